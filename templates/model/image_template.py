"""The image template: `Microsoft.VirtualMachineImages/imageTemplates`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from templates.model.base import Model
from templates.model.distribute import Distribute
from templates.model.source import Source
from templates.model.steps import Customizer, Validator

State = Literal["Enabled", "Disabled"]
OnError = Literal["cleanup", "abort"]

DEFAULT_TIMEOUT_MINUTES = 240


class VnetConfig(Model):
    """Azure networking; carried and warned about, it means nothing on one machine."""

    subnet_id: str = ""
    proxy_vm_size: str = ""
    container_instance_subnet_id: str = ""


class VmProfile(Model):
    """The build VM. `os_disk_size_gb` 0 means the source's size."""

    vm_size: str = ""
    os_disk_size_gb: int = Field(default=0, ge=0, alias="osDiskSizeGB")
    user_assigned_identities: list[str] = Field(default_factory=list)
    vnet_config: VnetConfig | None = None


class ErrorHandling(Model):
    """Whether the build VM is kept when something fails (API 2023-07-01)."""

    on_customizer_error: OnError = "cleanup"
    on_validation_error: OnError = "cleanup"


class Validate(Model):
    """Checks on a VM booted from the result."""

    continue_distribute_on_failure: bool = False
    source_validation_only: bool = False
    in_vm_validations: list[Validator] = Field(default_factory=list, alias="inVMValidations")


class VmBoot(Model):
    """Azure's boot optimisation."""

    state: State = "Disabled"


class Workload(Model):
    """Azure's workload optimisation (API 2025-10-01)."""

    state: State = "Disabled"
    script_uri: str | None = None
    sha256_checksum: str | None = None


class Optimize(Model):
    """Azure's optimisations; carried and warned about."""

    vm_boot: VmBoot | None = None
    workload: Workload | None = None


class AutoRun(Model):
    """Whether creating the template starts a build (API 2024-02-01)."""

    state: State = "Disabled"


class DataDisk(Model):
    """An additional data disk (API 2025-10-01)."""

    size_gb: int = Field(default=0, ge=0, alias="sizeGB")


class TemplateExtensions(Model):
    """`x-goldsmith` of the whole template."""

    network: bool = Field(default=True, description="false: the guest reaches nothing outside")


class Properties(Model):
    """`properties` of the template."""

    source: Source
    customize: list[Customizer] = Field(default_factory=list)
    distribute: list[Distribute]
    validation: Validate | None = Field(default=None, alias="validate")
    vm_profile: VmProfile = Field(default_factory=VmProfile)
    error_handling: ErrorHandling = Field(default_factory=ErrorHandling)
    optimize: Optimize | None = None
    auto_run: AutoRun | None = None
    build_timeout_in_minutes: int = Field(default=0, ge=0, le=960)
    staging_resource_group: str = ""
    managed_resource_tags: dict[str, str] = Field(default_factory=dict)
    additional_data_disks: list[DataDisk] = Field(default_factory=list)
    extensions: TemplateExtensions = Field(default_factory=TemplateExtensions, alias="x-goldsmith")

    @property
    def build_timeout_minutes(self) -> int:
        """The effective limit: 0 means 240 (aib-template, section 3)."""
        return self.build_timeout_in_minutes or DEFAULT_TIMEOUT_MINUTES


class Identity(Model):
    """The Azure identity of the template; carried, unused here."""

    type: Literal["UserAssigned", "None"] | None = None
    user_assigned_identities: dict[str, Any] = Field(default_factory=dict)


class ImageTemplate(Model):
    """One image template, checked. Names match `^[A-Za-z0-9-_.]{1,64}$`."""

    type: Literal["Microsoft.VirtualMachineImages/imageTemplates"]
    api_version: str
    name: str = Field(pattern=r"^[A-Za-z0-9\-_.]{1,64}$")
    location: str = ""
    tags: dict[str, str] = Field(default_factory=dict)
    identity: Identity | None = None
    properties: Properties
