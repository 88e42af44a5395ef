"""Gallery resources that may stand beside an image template in a deployment (Microsoft.Compute)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from templates.model.base import Model

DiskType = Literal[
    "Standard_LRS",
    "StandardSSD_LRS",
    "StandardSSD_ZRS",
    "Premium_LRS",
    "Premium_ZRS",
    "PremiumV2_LRS",
    "UltraSSD_LRS",
]


class GalleryProperties(Model):
    """`properties` of a gallery."""

    # Valid in Azure, without a meaning here: neither read nor reported.
    carried_fields: ClassVar[frozenset[str]] = frozenset({"identifier", "sharingProfile", "softDeletePolicy"})

    description: str = Field(default="", description="What the gallery is for; may change later")


class Gallery(Model):
    """`Microsoft.Compute/galleries`. `id` is the full ARM id, made by the reader."""

    id: str
    name: str = Field(description="Name of the gallery")
    location: str = Field(default="", description="Region")
    tags: dict[str, str] = Field(default_factory=dict, description="Tags of the gallery")
    properties: GalleryProperties = Field(default_factory=GalleryProperties, description="The gallery itself")


class Identifier(Model):
    """The triple that is unique in a gallery."""

    publisher: str = Field(description="Publisher of the images")
    offer: str = Field(description="Offer of the images")
    sku: str = Field(description="SKU of the images")


class Feature(Model):
    """One thing that machines made from the images can do."""

    name: str = Field(
        description="SecurityType, IsHibernateSupported, IsAcceleratedNetworkSupported, DiskControllerType, "
        "or another one"
    )
    value: str = Field(description="Its value, a string: True, TrustedLaunchSupported, SCSI")
    starts_at_version: str | None = Field(default=None, description="The first version that has it")


class ResourceRange(Model):
    """From the least to the most."""

    min: int | None = Field(default=None, ge=1, description="At least")
    max: int | None = Field(default=None, ge=1, description="At most")


class Recommended(Model):
    """The machine that the images are meant for. Nothing enforces it, in Azure neither."""

    v_cpus: ResourceRange | None = Field(default=None, alias="vCPUs", description="Virtual processors")
    memory: ResourceRange | None = Field(default=None, description="Memory in GB")


class Disallowed(Model):
    """What machines made from the images must not have."""

    disk_types: list[DiskType] = Field(default_factory=list, description="Types of disks")


class PurchasePlan(Model):
    """The plan under which the source of the images is sold; a version's source must have the same."""

    name: str = Field(min_length=1, description="Name of the plan")
    publisher: str = Field(min_length=1, description="Publisher of the plan")
    product: str = Field(min_length=1, description="Product of the plan")


class DefinitionProperties(Model):
    """`properties` of an image definition."""

    os_type: Literal["Linux", "Windows"] = Field(description="Operating system of the images")
    os_state: Literal["Generalized", "Specialized"] = Field(
        default="Generalized", description="A build makes generalized images"
    )
    identifier: Identifier = Field(description="The triple that names the images")
    hyper_v_generation: Literal["V1", "V2"] = Field(
        default="V1",
        alias="hyperVGeneration",
        description="V1 boots by BIOS, V2 by UEFI. From API version 2025-03-03 the default is V2",
    )
    architecture: Literal["x64", "Arm64"] = Field(default="x64", description="Processor; only x64 is built")
    features: list[Feature] = Field(
        default_factory=list,
        description="Features. From API version 2025-03-03 a V2 definition has SecurityType "
        "TrustedLaunchSupported when it says no other",
    )
    allow_update_image: bool = Field(
        default=False, description="Whether the features of a definition that is there may change"
    )
    description: str = Field(default="", description="What the images are for; may change later")
    end_of_life_date: str | None = Field(
        default=None, description="When the images should not be used on: ISO 8601; may change later"
    )
    eula: str = Field(default="", description="Licence agreement; may change later")
    privacy_statement_uri: str = Field(default="", description="Privacy statement; may change later")
    release_note_uri: str = Field(default="", description="Release notes; may change later")
    recommended: Recommended | None = Field(default=None, description="Recommended machine; may change later")
    disallowed: Disallowed | None = Field(default=None, description="Disallowed disks; may change later")
    purchase_plan: PurchasePlan | None = Field(default=None, description="Purchase plan")


class ImageDefinition(Model):
    """`Microsoft.Compute/galleries/images`. `id` is the full ARM id, made by the reader."""

    id: str
    name: str = Field(description="Name of the gallery and of the definition: gallery/definition")
    api_version: str = Field(default="", description="API version; decides what is not said")
    location: str = Field(default="", description="Region")
    tags: dict[str, str] = Field(default_factory=dict, description="Tags of the definition")
    properties: DefinitionProperties = Field(description="The definition itself")
