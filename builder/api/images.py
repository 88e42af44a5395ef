"""`build images`, managed images, for programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from builder.api.verbs import Verbs
from builder.registry import lookup
from templates.arm_id import MANAGED_IMAGE_TYPE, ResourceId

if TYPE_CHECKING:
    from builder.interchange.export import ExportedFile
    from builder.interchange.importing import Imported
    from builder.registry.records import ImageRecord
    from builder.sources.base import Generation, OsType


class Images(Verbs):
    """`build images`: managed images."""

    def list(self) -> list[ImageRecord]:
        """All of them, by id."""
        return self._registry.list_images()

    def show(self, image: str) -> ImageRecord:
        """One of them. Raises NotFoundError, UsageError when several have that name."""
        return self._registry.find_image(self._id(image))

    def add(
        self,
        image: str,
        file: Path,
        *,
        data_disks: Mapping[int, Path] | None = None,
        os_type: OsType | None = None,
        generation: Generation | None = None,
        tags: Mapping[str, str] | None = None,
        may_replace: bool = False,
    ) -> Imported:
        """`build images import`: make the managed image `image` (`group/name`, a name, or its id) of a VHD,
        VHDX, qcow2, raw or VMDK file. OS and generation are looked for in it when they are not said.

        Raises ConflictError when it is there, UsageError for a file that is none of these, BuildError.
        """
        from builder.interchange.importing import Incoming, import_image

        incoming = Incoming(file, dict(data_disks or {}), os_type=os_type, generation=generation)
        services = self._goldsmith.services("import")
        return import_image(incoming, self._new(image), services, tags=tags, may_replace=may_replace)

    def export(
        self, image: str, file: Path, *, compress: str | None = None, force: bool = False
    ) -> tuple[ExportedFile, ...]:
        """`build images export`: write a managed image or a version (`team/web/1.0.0`) to `file`, in the
        format its ending names. Raises ConflictError for a file that is there, EnvironmentProblem,
        BuildError.
        """
        from builder.interchange.copying import finished_of
        from builder.interchange.export import export
        from builder.interchange.kind import kind_of

        kind, place = kind_of(file, None, compress)
        services = self._goldsmith.services("export")
        _, found = finished_of(services, image)
        return export(found, place, kind, services, force=force)

    def delete(self, image: str) -> ImageRecord:
        """Delete it and its files. Raises NotFoundError."""
        return self._registry.delete_image(self._id(image))

    def _id(self, image: str) -> str:
        return lookup.image_id(self._registry, image, self._goldsmith.settings.subscription_id)

    def _new(self, image: str) -> str:
        settings = self._goldsmith.settings
        if image.startswith("/"):
            return image
        group, _, name = image.rpartition("/")
        provider, kind = MANAGED_IMAGE_TYPE.split("/")
        wanted = group or settings.resource_group
        return str(ResourceId(settings.subscription_id, wanted, provider, (kind,), (name,)))
