"""Gallery resources that may stand beside an image template in a deployment (Microsoft.Compute)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from templates.model.base import Model


class GalleryProperties(Model):
    """`properties` of a gallery."""

    # Valid in Azure, without a meaning here: neither read nor reported.
    carried_fields: ClassVar[frozenset[str]] = frozenset({"identifier", "sharingProfile", "softDeletePolicy"})

    description: str = ""


class Gallery(Model):
    """`Microsoft.Compute/galleries`. `id` is the full ARM id, made by the reader."""

    id: str
    name: str
    location: str = ""
    tags: dict[str, str] = Field(default_factory=dict)
    properties: GalleryProperties = Field(default_factory=GalleryProperties)


class Identifier(Model):
    """The triple that is unique in a gallery."""

    publisher: str
    offer: str
    sku: str


class DefinitionProperties(Model):
    """`properties` of an image definition; what is not modelled yet stays in `model_extra`."""

    # Valid in Azure, without a meaning here: neither read nor reported.
    carried_fields: ClassVar[frozenset[str]] = frozenset(
        {"allowUpdateImage", "recommended", "disallowed", "eula", "privacyStatementUri", "releaseNoteUri"}
    )

    os_type: Literal["Linux", "Windows"]
    os_state: Literal["Generalized", "Specialized"] = "Generalized"
    identifier: Identifier
    hyper_v_generation: Literal["V1", "V2"] = Field(default="V1", alias="hyperVGeneration")
    architecture: Literal["x64", "Arm64"] = "x64"
    features: list[dict[str, Any]] = Field(default_factory=list)
    description: str = ""
    end_of_life_date: str | None = None
    purchase_plan: dict[str, str] | None = None


class ImageDefinition(Model):
    """`Microsoft.Compute/galleries/images`. `id` is the full ARM id, made by the reader."""

    id: str
    name: str
    location: str = ""
    tags: dict[str, str] = Field(default_factory=dict)
    properties: DefinitionProperties
