"""`build gallery` for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from builder.api.verbs import Verbs
from builder.registry import lookup
from templates.arm_id import ResourceId

if TYPE_CHECKING:
    from builder.registry.records import GalleryRecord


class Galleries(Verbs):
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
