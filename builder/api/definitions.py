"""`build gallery definition` for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from builder.api.verbs import Verbs
from builder.registry import lookup
from templates.arm_id import ResourceId

if TYPE_CHECKING:
    from builder.registry.records import DefinitionRecord


class Described(TypedDict, total=False):
    """What is said about an image definition and may change. `recommended` as in ARM:
    `{"vCPUs": {"min": 2, "max": 8}, "memory": {"min": 4}}`; `end_of_life` an ISO 8601 date.
    """

    description: str
    end_of_life: str | None
    eula: str
    privacy_statement_uri: str
    release_note_uri: str
    recommended: Mapping[str, Mapping[str, int]] | None
    disallowed_disk_types: Sequence[str]
    features: Mapping[str, str]
    tags: Mapping[str, str]


class Made(Described, total=False):
    """What a definition is besides, for ever. `plan` has name, publisher and product."""

    os_type: Literal["Linux", "Windows"]
    os_state: Literal["Generalized", "Specialized"]
    generation: Literal["V1", "V2"]
    architecture: Literal["x64", "Arm64"]
    plan: Mapping[str, str]


class Definitions(Verbs):
    """`build gallery definition`."""

    def create(
        self,
        definition: str,
        *,
        publisher: str,
        offer: str,
        sku: str,
        location: str | None = None,
        **properties: Unpack[Made],
    ) -> DefinitionRecord:
        """Make a definition, by default of generalized Linux images of generation V2 for x64; of one that is
        there all that may change becomes what is said here.

        Raises NotFoundError without its gallery, BadNameError, BadValueError, QuotaError, ConflictError with
        Azure's message for what may not change.
        """
        from builder.registry.definitions import properties_of
        from templates.model.gallery import ImageDefinition

        resource = ResourceId.parse(self._id(definition))
        said = {
            "osType": properties.get("os_type", "Linux"),
            "osState": properties.get("os_state", "Generalized"),
            "hyperVGeneration": properties.get("generation", "V2"),
            "architecture": properties.get("architecture", "x64"),
            "identifier": {"publisher": publisher, "offer": offer, "sku": sku},
            "purchasePlan": properties.get("plan"),
            **_as_declared(properties),
        }
        wanted = ImageDefinition(
            id=str(resource),
            name=resource.name,
            location=location or "",
            tags=dict(properties.get("tags", {})),
            properties=properties_of(said),
        )
        return self._registry.create_definition(wanted)

    def update(
        self, definition: str, *, allow_update_image: bool = False, **described: Unpack[Described]
    ) -> DefinitionRecord:
        """Change what is given; features only with `allow_update_image`. Raises as `create` does."""
        from builder.registry.definitions import as_declared, properties_of

        now = as_declared(self.show(definition))
        before = now.properties.model_dump(mode="json", by_alias=True)
        merged = {**before, **_as_declared(described), "allowUpdateImage": allow_update_image}
        changes: dict[str, object] = {"properties": properties_of(merged)}
        if "tags" in described:
            changes["tags"] = dict(described["tags"])
        return self._registry.create_definition(now.model_copy(update=changes))

    def list(self, gallery: str | None = None) -> list[DefinitionRecord]:
        """Those of a gallery, or all, by name."""
        wanted = None if gallery is None else lookup.gallery_id(self._registry, gallery)
        return self._registry.list_definitions(wanted)

    def show(self, definition: str) -> DefinitionRecord:
        """One of them. Raises NotFoundError."""
        return self._registry.find_definition(self._id(definition))

    def delete(self, definition: str, *, force: bool = False) -> tuple[str, ...]:
        """Delete it, with `force` its versions first; the ids of what went.

        Raises NotFoundError, ConflictError.
        """
        if force:
            return self._goldsmith.delete_nested(self._id(definition))
        return (self._registry.delete_definition(self._id(definition)).id,)

    def _id(self, definition: str) -> str:
        return lookup.definition_id(self._registry, definition)


def _as_declared(described: Described) -> dict[str, Any]:
    """As a template would say it."""
    names = {
        "description": "description",
        "end_of_life": "endOfLifeDate",
        "eula": "eula",
        "privacy_statement_uri": "privacyStatementUri",
        "release_note_uri": "releaseNoteUri",
        "recommended": "recommended",
    }
    found: dict[str, Any] = {names[key]: value for key, value in described.items() if key in names}
    if "disallowed_disk_types" in described:
        kinds = list(described["disallowed_disk_types"])
        found["disallowed"] = {"diskTypes": kinds} if kinds else None
    if "features" in described:
        given = described["features"]
        found["features"] = [{"name": name, "value": value} for name, value in given.items()]
    return found
