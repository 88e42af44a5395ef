"""Galleries and image definitions: made once, described anew as often as one likes, otherwise fixed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from builder.errors import ConflictError, NotFoundError
from builder.registry import rules
from builder.registry.part import Part, arm_key, not_found, now
from builder.registry.records import DefinitionRecord, GalleryRecord, region_key
from builder.registry.schema import DefinitionRow, GalleryRow, VersionRow
from templates.arm_id import DEFINITION_TYPE, GALLERY_TYPE, ResourceId, ResourceIdError
from templates.model.gallery import Gallery, ImageDefinition

NESTED = "Can not delete resource before nested resources are deleted."
DECLARE_HINT = (
    "AIB creates neither: declare gallery and definition in the deployment beside the image template, "
    "or run 'build gallery create' and 'build gallery definition create'."
)
DEFAULT_LOCATION = "local"


class Galleries(Part):
    """The registry's part for galleries and definitions."""

    def create_gallery(self, gallery: Gallery, *, default_location: str = DEFAULT_LOCATION) -> GalleryRecord:
        """Make a gallery, or update description and tags of one that is there.

        Raises BadNameError, and ConflictError when another gallery of that name exists: Azure
        wants names unique in a subscription, here they are unique in the home.
        """
        resource = _typed(gallery.id, GALLERY_TYPE)
        rules.check_gallery_name(resource.name)
        location = rules.check_region(gallery.location or default_location)
        with self._db.write() as session:
            row = session.get(GalleryRow, resource.key)
            if row is None:
                self._refuse_second(session, resource)
                row = GalleryRow(
                    key=resource.key,
                    id=str(resource),
                    name=resource.name,
                    name_key=resource.name.casefold(),
                    resource_group=resource.resource_group,
                    location=location,
                    created_at=now(),
                    created_by="",
                )
                session.add(row)
            elif gallery.location and region_key(row.location) != region_key(location):
                raise ConflictError(
                    f"The gallery '{row.name}' already exists in location '{row.location}'; "
                    f"it cannot be created in location '{location}'."
                )
            row.description = gallery.properties.description
            row.tags = dict(gallery.tags)
            return _gallery(row)

    def find_gallery(self, arm_id: str) -> GalleryRecord:
        """The gallery with that id. Raises NotFoundError."""
        resource = _typed(arm_id, GALLERY_TYPE)
        with self._db.read() as session:
            row = session.get(GalleryRow, resource.key)
            if row is None:
                raise not_found(resource, DECLARE_HINT)
            return _gallery(row)

    def find_gallery_by_name(self, name: str) -> GalleryRecord:
        """The gallery called `name`, without case. Raises NotFoundError."""
        with self._db.read() as session:
            row = session.scalars(select(GalleryRow).where(GalleryRow.name_key == name.casefold())).first()
            if row is None:
                raise NotFoundError(f"There is no gallery '{name}'.", hint="See 'build gallery list'.")
            return _gallery(row)

    def list_galleries(self) -> list[GalleryRecord]:
        """All galleries, by name."""
        with self._db.read() as session:
            return [
                _gallery(row) for row in session.scalars(select(GalleryRow).order_by(GalleryRow.name_key))
            ]

    def delete_gallery(self, arm_id: str) -> GalleryRecord:
        """Forget an empty gallery. Raises NotFoundError, ConflictError while it holds definitions."""
        resource = _typed(arm_id, GALLERY_TYPE)
        with self._db.write() as session:
            row = session.get(GalleryRow, resource.key)
            if row is None:
                raise not_found(resource)
            if row.definitions:
                names = tuple(d.name for d in row.definitions)
                raise ConflictError(NESTED, details=names, hint="Delete its image definitions first.")
            session.delete(row)
            return _gallery(row)

    def create_definition(
        self, definition: ImageDefinition, *, default_location: str | None = None
    ) -> DefinitionRecord:
        """Make an image definition, or update what may change of one that is there.

        Raises BadNameError, NotFoundError without its gallery, ConflictError with Azure's message
        when a fixed property differs or the publisher/offer/sku triple is taken.
        """
        resource = _typed(definition.id, DEFINITION_TYPE)
        wanted = definition.properties.identifier
        rules.check_definition_name(resource.name)
        rules.check_identifier(wanted.publisher, wanted.offer, wanted.sku)
        with self._db.write() as session:
            gallery = session.get(GalleryRow, resource.parent.key if resource.parent else "")
            if gallery is None:
                raise NotFoundError(
                    "Can not perform requested operation on nested resource. Parent resource "
                    f"'{resource.names[0]}' not found.",
                    details=(str(resource.parent),),
                    hint=DECLARE_HINT,
                )
            row = session.get(DefinitionRow, resource.key)
            if row is None:
                _refuse_same_triple(session, gallery.key, definition)
                location = definition.location or default_location or gallery.location
                row = _new_definition(resource, gallery, definition, rules.check_region(location))
                session.add(row)
            else:
                _refuse_changes(row, definition)
            row.description = definition.properties.description
            row.end_of_life = definition.properties.end_of_life_date
            row.tags = dict(definition.tags)
            return _definition(row)

    def find_definition(self, arm_id: str) -> DefinitionRecord:
        """The definition with that id. Raises NotFoundError."""
        resource = _typed(arm_id, DEFINITION_TYPE)
        with self._db.read() as session:
            row = session.get(DefinitionRow, resource.key)
            if row is None:
                raise not_found(resource, DECLARE_HINT)
            return _definition(row)

    def list_definitions(self, gallery_id: str | None = None) -> list[DefinitionRecord]:
        """The definitions of one gallery or of all, by name."""
        query = select(DefinitionRow).join(GalleryRow).order_by(GalleryRow.name_key, DefinitionRow.key)
        if gallery_id is not None:
            query = query.where(DefinitionRow.gallery_key == arm_key(gallery_id))
        with self._db.read() as session:
            return [_definition(row) for row in session.scalars(query)]

    def delete_definition(self, arm_id: str) -> DefinitionRecord:
        """Forget a definition without versions. Raises NotFoundError, ConflictError."""
        resource = _typed(arm_id, DEFINITION_TYPE)
        with self._db.write() as session:
            row = session.get(DefinitionRow, resource.key)
            if row is None:
                raise not_found(resource)
            query = select(func.count()).where(VersionRow.definition_key == row.key)
            count = session.scalar(query.select_from(VersionRow)) or 0
            if count:
                details = (f"{count} image version(s) of {row.gallery.name}/{row.name}",)
                raise ConflictError(NESTED, details=details, hint="Delete its versions first.")
            session.delete(row)
            return _definition(row)

    @staticmethod
    def _refuse_second(session: Session, resource: ResourceId) -> None:
        query = select(GalleryRow).where(GalleryRow.name_key == resource.name.casefold())
        other = session.scalars(query).first()
        if other is not None:
            raise ConflictError(
                f"A gallery named '{other.name}' already exists in resource group '{other.resource_group}'. "
                "Gallery names are unique.",
                details=(other.id,),
            )


def _typed(arm_id: str, kind: str) -> ResourceId:
    resource = ResourceId.parse(arm_id)
    if not resource.is_a(kind):
        raise ResourceIdError(f"'{arm_id}' is the id of a {resource.type}, not of a {kind}")
    return resource


def _triple(definition: ImageDefinition) -> str:
    wanted = definition.properties.identifier
    return "/".join((wanted.publisher, wanted.offer, wanted.sku)).casefold()


def _refuse_same_triple(session: Session, gallery_key: str, definition: ImageDefinition) -> None:
    query = select(DefinitionRow).where(
        DefinitionRow.gallery_key == gallery_key, DefinitionRow.triple == _triple(definition)
    )
    other = session.scalars(query).first()
    if other is not None:
        raise ConflictError(
            f"Gallery image: {other.name} identified by (publisher:{other.publisher}, offer:{other.offer}, "
            f"sku:{other.sku}) already exists. Choose a different publisher, offer, sku combination."
        )


def _refuse_changes(row: DefinitionRow, definition: ImageDefinition) -> None:
    properties, triple = definition.properties, definition.properties.identifier
    fixed = (
        ("osType", row.os_type, properties.os_type),
        ("osState", row.os_state, properties.os_state),
        ("hyperVGeneration", row.generation, properties.hyper_v_generation),
        ("architecture", row.architecture, properties.architecture),
        ("identifier.publisher", row.publisher, triple.publisher),
        ("identifier.offer", row.offer, triple.offer),
        ("identifier.sku", row.sku, triple.sku),
    )
    for name, old, new in fixed:
        if old.casefold() != new.casefold():
            raise ConflictError(
                f"Changing property 'galleryImage.properties.{name}' is not allowed",
                details=(row.id, f"is {old}, asked for {new}"),
                hint="Use another definition, or delete this one and its versions first.",
            )


def _new_definition(
    resource: ResourceId, gallery: GalleryRow, definition: ImageDefinition, location: str
) -> DefinitionRow:
    properties = definition.properties
    return DefinitionRow(
        key=resource.key,
        id=str(resource),
        name=resource.name,
        gallery=gallery,
        gallery_key=gallery.key,
        location=location,
        os_type=properties.os_type,
        os_state=properties.os_state,
        generation=properties.hyper_v_generation,
        architecture=properties.architecture,
        publisher=properties.identifier.publisher,
        offer=properties.identifier.offer,
        sku=properties.identifier.sku,
        triple=_triple(definition),
        features=list(properties.features),
        plan=properties.purchase_plan,
        eula="",
        privacy_statement_uri="",
        release_note_uri="",
        created_at=now(),
        created_by="",
    )


def _gallery(row: GalleryRow) -> GalleryRecord:
    return GalleryRecord(
        id=row.id,
        name=row.name,
        resource_group=row.resource_group,
        location=row.location,
        description=row.description,
        tags=dict(row.tags),
        created_at=row.created_at,
        created_by=row.created_by,
    )


def _definition(row: DefinitionRow) -> DefinitionRecord:
    return DefinitionRecord(
        id=row.id,
        name=row.name,
        gallery_id=row.gallery.id,
        gallery_name=row.gallery.name,
        location=row.location,
        os_type=cast("Any", row.os_type),
        os_state=cast("Any", row.os_state),
        generation=cast("Any", row.generation),
        architecture=row.architecture,
        publisher=row.publisher,
        offer=row.offer,
        sku=row.sku,
        features=tuple(cast("list[Mapping[str, Any]]", row.features)),
        description=row.description,
        end_of_life=row.end_of_life,
        plan=row.plan,
        tags=dict(row.tags),
        created_at=row.created_at,
        created_by=row.created_by,
        eula=row.eula,
        privacy_statement_uri=row.privacy_statement_uri,
        release_note_uri=row.release_note_uri,
        recommended=row.recommended,
        disallowed=row.disallowed,
    )
