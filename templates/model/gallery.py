"""Gallery resources that may stand beside an image template in a deployment (Microsoft.Compute)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from templates.model.base import Model


class GalleryProperties(Model):
    """`properties` of a gallery."""

    # Valid in Azure, without a meaning here: neither read nor reported.
    carried_fields: ClassVar[frozenset[str]] = frozenset({"identifier", "sharingProfile", "softDeletePolicy"})

    description: str = Field(default="", description="What the gallery is for")


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


class DefinitionProperties(Model):
    """`properties` of an image definition; what is not modelled yet stays in `model_extra`."""

    # Valid in Azure, without a meaning here: neither read nor reported.
    carried_fields: ClassVar[frozenset[str]] = frozenset(
        {"allowUpdateImage", "recommended", "disallowed", "eula", "privacyStatementUri", "releaseNoteUri"}
    )

    os_type: Literal["Linux", "Windows"] = Field(description="Operating system of the images")
    os_state: Literal["Generalized", "Specialized"] = Field(
        default="Generalized", description="A build makes generalized images"
    )
    identifier: Identifier = Field(description="The triple that names the images")
    hyper_v_generation: Literal["V1", "V2"] = Field(
        default="V1", alias="hyperVGeneration", description="V1 boots by BIOS, V2 by UEFI"
    )
    architecture: Literal["x64", "Arm64"] = Field(default="x64", description="Processor; only x64 is built")
    features: list[dict[str, Any]] = Field(default_factory=list, description="Features; carried")
    description: str = Field(default="", description="What the images are for")
    end_of_life_date: str | None = Field(default=None, description="When the images should not be used on")
    purchase_plan: dict[str, str] | None = Field(default=None, description="Purchase plan; carried")


class ImageDefinition(Model):
    """`Microsoft.Compute/galleries/images`. `id` is the full ARM id, made by the reader."""

    id: str
    name: str = Field(description="Name of the gallery and of the definition: gallery/definition")
    location: str = Field(default="", description="Region")
    tags: dict[str, str] = Field(default_factory=dict, description="Tags of the definition")
    properties: DefinitionProperties = Field(description="The definition itself")
