"""The image template: `Microsoft.VirtualMachineImages/imageTemplates`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from templates.model.base import Model, SecretRef
from templates.model.distribute import Distribute
from templates.model.gate import GateMode, GateRule
from templates.model.source import Source
from templates.model.steps import Customizer, Validator

State = Literal["Enabled", "Disabled"]
OnError = Literal["cleanup", "abort"]

DEFAULT_TIMEOUT_MINUTES = 240


class VnetConfig(Model):
    """Azure networking; carried and warned about, it means nothing on one machine."""

    subnet_id: str = Field(default="", description="ARM id of the subnet of the build VM")
    proxy_vm_size: str = Field(default="", description="Size of the proxy VM that reaches the build VM")
    container_instance_subnet_id: str = Field(
        default="", description="ARM id of the subnet of the container instance; needs subnetId"
    )


class VmProfile(Model):
    """The build VM. `os_disk_size_gb` 0 means the source's size."""

    vm_size: str = Field(default="", description="Azure size of the build VM; empty: the default")
    os_disk_size_gb: int = Field(
        default=0,
        ge=0,
        alias="osDiskSizeGB",
        description="Size of the OS disk in GB; 0: that of the source. It only grows",
    )
    user_assigned_identities: list[str] = Field(
        default_factory=list, description="Azure identities of the build VM; without effect here"
    )
    vnet_config: VnetConfig | None = Field(
        default=None, description="Azure network of the build VM; without effect here"
    )


class ErrorHandling(Model):
    """Whether the build VM is kept when something fails (API 2023-07-01)."""

    on_customizer_error: OnError = Field(
        default="cleanup", description="'abort' keeps the build VM when a customizer fails"
    )
    on_validation_error: OnError = Field(
        default="cleanup", description="'abort' keeps the build VM when a validation fails"
    )


class Validate(Model):
    """Checks on a VM booted from the result."""

    continue_distribute_on_failure: bool = Field(
        default=False, description="Distribute even when a validation fails; the run fails either way"
    )
    source_validation_only: bool = Field(
        default=False, description="Validate the source image; build nothing"
    )
    in_vm_validations: list[Validator] = Field(
        default_factory=list,
        alias="inVMValidations",
        description="Checks, run in order in a VM booted from the result",
    )


class VmBoot(Model):
    """Azure's boot optimisation."""

    state: State = Field(default="Disabled", description="Whether it is done")


class Workload(Model):
    """Azure's workload optimisation (API 2025-10-01)."""

    state: State = Field(default="Disabled", description="Whether it is done")
    script_uri: str | None = Field(default=None, description="Script that runs the workload")
    sha256_checksum: str | None = Field(default=None, description="SHA-256 of what scriptUri names")


class Optimize(Model):
    """Azure's optimisations; carried and warned about."""

    vm_boot: VmBoot | None = Field(default=None, description="Optimisation of the boot")
    workload: Workload | None = Field(default=None, description="Optimisation for a workload")


class AutoRun(Model):
    """Whether creating the template starts a build (API 2024-02-01)."""

    state: State = Field(default="Disabled", description="Whether it does")


class DataDisk(Model):
    """An additional data disk (API 2025-10-01)."""

    size_gb: int = Field(
        default=0, ge=0, alias="sizeGB", description="Size of the data disk in GB; 0 or missing is an error"
    )


class GuestAccess(Model):
    """An account that the source image has already: Goldsmith enters by it instead of a user of its own."""

    user: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,31}$", description="Name of the account")
    private_key: SecretRef | None = Field(
        default=None, description="The private SSH key that the account takes, without a passphrase"
    )
    password: SecretRef | None = Field(default=None, description="The account's password")


class TemplateExtensions(Model):
    """`x-goldsmith` of the whole template."""

    network: bool = Field(default=True, description="false: the guest reaches nothing outside")
    devices: Literal["virtio", "compatible"] | None = Field(
        default=None,
        description="Disk and network card of the build VM: virtio, or an AHCI disk and an e1000e card. Left "
        "out: what the source says (virtio for Linux, compatible for Windows)",
    )
    access: GuestAccess | None = Field(
        default=None, description="An account of the source image to enter by; left out: one is made"
    )
    gate: GateMode | None = Field(
        default=None,
        description="When the VHD gate looks at the image: always, remote (when a target leaves this "
        "machine) or off. Left out: what the setting `gate` says",
    )
    waive: list[GateRule] = Field(
        default_factory=list, description="Rules of the VHD gate that this image may break (docs/gate.md)"
    )


class Properties(Model):
    """`properties` of the template."""

    source: Source = Field(description="The image to start from")
    customize: list[Customizer] = Field(default_factory=list, description="Steps, run in order")
    distribute: list[Distribute] = Field(description="Where the image goes")
    validation: Validate | None = Field(default=None, alias="validate", description="Checks on the result")
    vm_profile: VmProfile = Field(default_factory=VmProfile, description="The build VM")
    error_handling: ErrorHandling = Field(
        default_factory=ErrorHandling, description="What happens to the build VM on an error"
    )
    optimize: Optimize | None = Field(default=None, description="Azure's optimisations; without effect here")
    auto_run: AutoRun | None = Field(
        default=None, description="Whether creating the template starts a build; without effect here"
    )
    build_timeout_in_minutes: int = Field(
        default=0, ge=0, le=960, description="Limit of the whole build; 0 means 240"
    )
    staging_resource_group: str = Field(default="", description="Names the workspace")
    managed_resource_tags: dict[str, str] = Field(
        default_factory=dict,
        description="Tags of what the build creates; kept in the record of the workspace",
    )
    additional_data_disks: list[DataDisk] = Field(
        default_factory=list, description="Blank data disks, added to the build VM and to the image"
    )
    extensions: TemplateExtensions = Field(
        default_factory=TemplateExtensions,
        alias="x-goldsmith",
        description="What AIB has no word for; Azure refuses it",
    )

    @property
    def build_timeout_minutes(self) -> int:
        """The effective limit: 0 means 240 (aib-template, section 3)."""
        return self.build_timeout_in_minutes or DEFAULT_TIMEOUT_MINUTES


class UserAssignedIdentity(Model):
    """Nothing to say about an identity but its id; Azure answers with more."""


class Identity(Model):
    """The Azure identity of the template; carried, unused here."""

    type: Literal["UserAssigned", "None"] | None = Field(default=None, description="Kind of identity")
    user_assigned_identities: dict[str, UserAssignedIdentity] = Field(
        default_factory=dict, description="ARM ids of the identities, each with an empty object"
    )


class ImageTemplate(Model):
    """One image template, checked. Names match `^[A-Za-z0-9-_.]{1,64}$`."""

    type: Literal["Microsoft.VirtualMachineImages/imageTemplates"]
    api_version: str = Field(description="API version the template is written for")
    name: str = Field(pattern=r"^[A-Za-z0-9\-_.]{1,64}$", description="Name of the template")
    location: str = Field(default="", description="Region")
    tags: dict[str, str] = Field(default_factory=dict, description="Tags of the template")
    identity: Identity | None = Field(default=None, description="Azure identity; without effect here")
    properties: Properties = Field(description="The template itself")
