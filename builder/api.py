"""Goldsmith's registry for Python programs: the verbs of `build gallery` and `build images`.

    from builder.api import Goldsmith

    with Goldsmith() as goldsmith:
        goldsmith.galleries.create("team")
        goldsmith.definitions.create("team/web", publisher="Acme", offer="web", sku="1")
        print(goldsmith.latest("team/web", region="westeurope").version)

Things are named as on the command line: `team`, `team/web`, `team/web/1.0.0`, `group/image`, or by ARM id.
What is handed out are frozen records (`builder.registry.records`). Errors are GoldsmithErrors: `message`,
`details`, `hint`. Every call asks whether its caller may (docs/access.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, Unpack

from builder.registry import lookup
from builder.registry.store import Registry
from builder.settings import Home, Settings, load_settings
from templates.arm_id import ResourceId, parse_image_version

if TYPE_CHECKING:
    from builder.deploy import Deployed
    from builder.registry.latest import Explanation
    from builder.registry.records import (
        DefinitionRecord,
        GalleryRecord,
        ImageRecord,
        VersionRecord,
    )

__all__ = ["Definitions", "Described", "Galleries", "Goldsmith", "Images", "Made", "Versions"]


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


class Goldsmith:
    """A registry, opened on first use. `home` is the folder of `$GOLDSMITH_HOME`, by default that one;
    `settings` those of its settings.toml. With `trial` everything happens in a copy in memory.
    """

    def __init__(
        self, home: Path | None = None, *, settings: Settings | None = None, trial: bool = False
    ) -> None:
        self.home = Home(home)
        self.settings = settings or load_settings(self.home)
        self.registry = Registry.of(self.home, self.settings, snapshot=trial)
        """What the verbs stand on, and for all that has none here: channels, roles, the audit, replicas."""
        self.galleries = Galleries(self)
        self.definitions = Definitions(self)
        self.versions = Versions(self)
        self.images = Images(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database; a later call opens it again."""
        self.registry.close()

    def latest(self, definition: str, region: str | None = None) -> VersionRecord:
        """The latest version, as `region` sees it. Raises NotFoundError with Azure's messages."""
        identity = lookup.definition_id(self.registry, definition)
        return self.registry.find_version(f"{identity}/versions/latest", region)

    def explain(self, definition: str, region: str | None = None) -> Explanation:
        """Why each version is or is not the latest. Raises NotFoundError."""
        return self.registry.explain_latest(lookup.definition_id(self.registry, definition), region)

    def deploy(self, file: Path, parameters: Mapping[str, Any] | None = None) -> list[Deployed]:
        """Make the galleries and definitions that an ARM deployment declares; the second time all of them are
        unchanged. Raises TemplateError, UnreadableFile; then nothing is changed.
        """
        import templates
        from builder.deploy import deploy
        from templates.arm.scope import DeploymentScope

        settings = self.settings
        scope = DeploymentScope(settings.subscription_id, settings.resource_group, settings.location)
        document = templates.read(file, parameters=parameters, defaults=scope, buildable=False)
        trial = Registry.of(self.home, settings, snapshot=True)
        try:
            deploy(document, trial)
        finally:
            trial.close()
        return deploy(document, self.registry)

    def delete_nested(self, arm_id: str) -> tuple[str, ...]:
        """Delete a gallery or definition with all that is in it; the ids of what went.

        Raises NotFoundError, and what `Nested.delete` raises.
        """
        from builder.replication.nested import Nested
        from builder.replication.place import Places

        nested = Nested(self.registry, Places(self.home, self.settings), arm_id)
        return tuple(nested.delete()[0])


class _Verbs:
    def __init__(self, goldsmith: Goldsmith) -> None:
        self._goldsmith = goldsmith
        self._registry = goldsmith.registry


class Galleries(_Verbs):
    """`build gallery`."""

    def create(
        self,
        name: str,
        *,
        resource_group: str | None = None,
        location: str | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> GalleryRecord:
        """Make a gallery; of one that is there description and tags become these. Raises BadNameError,
        ConflictError, QuotaError.
        """
        from templates.model.gallery import Gallery, GalleryProperties

        settings = self._goldsmith.settings
        group = resource_group or settings.resource_group
        resource = ResourceId(settings.subscription_id, group, "Microsoft.Compute", ("galleries",), (name,))
        gallery = Gallery(
            id=str(resource),
            name=name,
            location=location or "",
            tags=dict(tags or {}),
            properties=GalleryProperties(description=description),
        )
        return self._registry.create_gallery(gallery, default_location=settings.location)

    def update(
        self, gallery: str, *, description: str | None = None, tags: Mapping[str, str] | None = None
    ) -> GalleryRecord:
        """Change what is given. Raises NotFoundError."""
        return self._registry.update_gallery(self._id(gallery), description=description, tags=tags)

    def list(self) -> list[GalleryRecord]:
        """All of them, by name."""
        return self._registry.list_galleries()

    def show(self, gallery: str) -> GalleryRecord:
        """One of them. Raises NotFoundError."""
        return self._registry.find_gallery(self._id(gallery))

    def delete(self, gallery: str, *, force: bool = False) -> tuple[str, ...]:
        """Delete it, with `force` all that is in it; the ids of what went.

        Raises NotFoundError, ConflictError.
        """
        if force:
            return self._goldsmith.delete_nested(self._id(gallery))
        return (self._registry.delete_gallery(self._id(gallery)).id,)

    def _id(self, gallery: str) -> str:
        return lookup.gallery_id(self._registry, gallery)


class Definitions(_Verbs):
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


class Versions(_Verbs):
    """`build gallery version`. Builds make them; a program that makes its own has `reserve_version` and
    `complete_version` in `goldsmith.registry`.
    """

    def list(
        self, definition: str | None = None, *, limit: int | None = None, after: str | None = None
    ) -> list[VersionRecord]:
        """Those of a definition, or all, the newest number first; `after` the last one of the page before."""
        wanted = None if definition is None else lookup.definition_id(self._registry, definition)
        last = None if after is None else self._id(after)
        return self._registry.list_versions(wanted, limit=limit, after=last)

    def show(self, version: str, region: str | None = None) -> VersionRecord:
        """One of them, `team/web/latest` as well. Raises NotFoundError, ConflictError while it is made."""
        return self._registry.find_version(self._id(version), region)

    def update(
        self,
        version: str,
        *,
        end_of_life: str | None = None,
        exclude_from_latest: bool | None = None,
        exclude_in: Mapping[str, bool | None] | None = None,
        block_deletion_before_end_of_life: bool | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> VersionRecord:
        """Change what is given; see `Publishing.update_version`. Raises NotFoundError, BadValueError."""
        return self._registry.update_version(
            self._id(version),
            end_of_life=end_of_life,
            exclude_from_latest=exclude_from_latest,
            exclude_in=exclude_in,
            block_deletion_before_end_of_life=block_deletion_before_end_of_life,
            tags=tags,
        )

    def revoke(self, version: str, reason: str, *, descendants: bool = False) -> tuple[VersionRecord, ...]:
        """Let nobody build on it any more, with `descendants` nor on what was made from it. Raises
        NotFoundError, ConflictError when it is revoked already.
        """
        return self._registry.revoke_version(self._id(version), reason, descendants=descendants)

    def delete(self, version: str, *, force: bool = False) -> VersionRecord:
        """Delete it and its files in every region. Raises NotFoundError, PlaceError, and ConflictError while
        it is made, kept until its end of life or, unless `force` is given, a channel points to it.
        """
        from builder.replication.place import Places
        from builder.replication.removal import delete_version

        places = Places(self._goldsmith.home, self._goldsmith.settings)
        named = str(parse_image_version(self._id(version)))
        return delete_version(self._registry, places, named, force=force)[0]

    def _id(self, version: str) -> str:
        return lookup.version_id(self._registry, version)


class Images(_Verbs):
    """`build images`: managed images."""

    def list(self) -> list[ImageRecord]:
        """All of them, by id."""
        return self._registry.list_images()

    def show(self, image: str) -> ImageRecord:
        """One of them. Raises NotFoundError, UsageError when several have that name."""
        return self._registry.find_image(self._id(image))

    def delete(self, image: str) -> ImageRecord:
        """Delete it and its files. Raises NotFoundError."""
        return self._registry.delete_image(self._id(image))

    def _id(self, image: str) -> str:
        return lookup.image_id(self._registry, image, self._goldsmith.settings.subscription_id)


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
