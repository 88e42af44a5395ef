"""Galleries: made once, described anew as often as one likes, otherwise fixed."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from builder.errors import ConflictError, NotFoundError
from builder.registry import rules
from builder.registry.part import Part, in_subscription, not_found, now, same_region, typed
from builder.registry.records import GalleryRecord, region_key
from builder.registry.schema import GalleryRow
from templates.arm_id import GALLERY_TYPE, ResourceId
from templates.model.gallery import Gallery

NESTED = "Can not delete resource before nested resources are deleted."
DECLARE_HINT = (
    "AIB creates neither: declare gallery and definition in the deployment beside the image template, "
    "or run 'build gallery create' and 'build gallery definition create'."
)
DEFAULT_LOCATION = "local"


class Galleries(Part):
    """The registry's part for galleries."""

    def create_gallery(self, gallery: Gallery, *, default_location: str = DEFAULT_LOCATION) -> GalleryRecord:
        """Make a gallery, or update description and tags of one that is there.

        Raises BadNameError, QuotaError, and ConflictError when another gallery of that name exists: Azure
        wants names unique in a subscription, here they are unique in the home.
        """
        resource = typed(gallery.id, GALLERY_TYPE)
        rules.check_gallery_name(resource.name)
        location = rules.check_region(gallery.location or default_location)
        with self._db.write() as session:
            row = session.get(GalleryRow, resource.key)
            if row is None:
                self._refuse_second(session, resource)
                self.limits.check("galleries", _count(session, resource, location), location)
                row = _new(resource, location)
                session.add(row)
            elif gallery.location and region_key(row.location) != region_key(location):
                raise ConflictError(
                    f"The gallery '{row.name}' already exists in location '{row.location}'; "
                    f"it cannot be created in location '{location}'."
                )
            row.description = gallery.properties.description
            row.tags = dict(gallery.tags)
            return _gallery(row)

    def update_gallery(
        self, arm_id: str, *, description: str | None = None, tags: Mapping[str, str] | None = None
    ) -> GalleryRecord:
        """Change what is given. Nothing else of a gallery may change. Raises NotFoundError."""
        resource = typed(arm_id, GALLERY_TYPE)
        with self._db.write() as session:
            row = _require(session, resource)
            if description is not None:
                row.description = description
            if tags is not None:
                row.tags = dict(tags)
            return _gallery(row)

    def find_gallery(self, arm_id: str) -> GalleryRecord:
        """The gallery with that id. Raises NotFoundError."""
        with self._db.read() as session:
            return _gallery(_require(session, typed(arm_id, GALLERY_TYPE)))

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
        resource = typed(arm_id, GALLERY_TYPE)
        with self._db.write() as session:
            row = session.get(GalleryRow, resource.key)
            if row is None:
                raise not_found(resource)
            if row.definitions:
                names = tuple(d.name for d in row.definitions)
                raise ConflictError(
                    NESTED, details=names, hint="Delete its image definitions first, or use --force."
                )
            session.delete(row)
            return _gallery(row)

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


def _require(session: Session, resource: ResourceId) -> GalleryRow:
    row = session.get(GalleryRow, resource.key)
    if row is None:
        raise not_found(resource, DECLARE_HINT)
    return row


def _count(session: Session, resource: ResourceId, location: str) -> int:
    query = select(func.count()).select_from(GalleryRow)
    query = query.where(in_subscription(GalleryRow.key, resource), same_region(GalleryRow.location, location))
    return session.scalar(query) or 0


def _new(resource: ResourceId, location: str) -> GalleryRow:
    return GalleryRow(
        key=resource.key,
        id=str(resource),
        name=resource.name,
        name_key=resource.name.casefold(),
        resource_group=resource.resource_group,
        location=location,
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
