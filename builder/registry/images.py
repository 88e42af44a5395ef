"""Managed images: one file each, replaced as a whole."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import select

from builder.errors import NotFoundError
from builder.registry.part import Part, as_json, not_found
from builder.registry.places import remove_file
from builder.registry.records import ImageRecord
from builder.registry.schema import ImageRow
from templates.arm_id import parse_managed_image


class Images(Part):
    """The registry's part for managed images."""

    def put_image(self, record: ImageRecord) -> ImageRecord | None:
        """Record an image, in place of one with the same id; the one it replaces, whose files are now
        the caller's to remove.
        """
        resource = parse_managed_image(record.id)
        with self._db.write() as session:
            row = session.get(ImageRow, resource.key)
            old = self._image(row) if row is not None else None
            if row is None:
                row = ImageRow(key=resource.key, id=str(resource))
                session.add(row)
            row.name, row.resource_group = resource.name, resource.resource_group
            row.location = record.location
            row.os_type, row.generation = record.os_type, record.generation
            row.path = self._stored(record.path)
            row.size, row.size_on_disk, row.digest = record.size, record.size_on_disk, record.digest
            row.source, row.template, row.run_id = record.source, record.template, record.run_id
            row.os_state = record.os_state
            row.parent_key, row.lineage = record.parent.casefold(), as_json(record.lineage)
            row.plan = dict(record.plan) if record.plan else None
            row.tags = dict(record.tags)
            row.created_at, row.created_by = record.created_at, str(self.caller)
            row.data_disks.clear()
            session.flush()  # the old disks' luns are free before the new ones come
            row.data_disks = [self._data_disk_row(disk) for disk in record.data_disks]
            return old

    def find_image(self, arm_id: str) -> ImageRecord:
        """The managed image with that id. Raises NotFoundError."""
        resource = parse_managed_image(arm_id)
        with self._db.read() as session:
            row = session.get(ImageRow, resource.key)
            if row is None:
                raise not_found(resource, "See 'build images list' for what there is.")
            return self._image(row)

    def find_images_by_name(self, name: str) -> list[ImageRecord]:
        """Images called `name` in any group, without case. Raises NotFoundError when none is."""
        found = [image for image in self.list_images() if image.name.casefold() == name.casefold()]
        if not found:
            raise NotFoundError(f"There is no managed image '{name}'.", hint="See 'build images list'.")
        return found

    def list_images(self) -> list[ImageRecord]:
        """All managed images, by id."""
        with self._db.read() as session:
            return [self._image(row) for row in session.scalars(select(ImageRow).order_by(ImageRow.key))]

    def delete_image(self, arm_id: str) -> ImageRecord:
        """Forget a managed image and remove its files. Raises NotFoundError."""
        resource = parse_managed_image(arm_id)
        with self._db.write() as session:
            row = session.get(ImageRow, resource.key)
            if row is None:
                raise not_found(resource)
            record = self._image(row)
            session.delete(row)
        # Row first: a crash in between leaves an orphan for gc, never an image without its file.
        for file in record.files:
            remove_file(file, self.home.images)
        return record

    def _image(self, row: ImageRow) -> ImageRecord:
        return ImageRecord(
            id=row.id,
            name=row.name,
            resource_group=row.resource_group,
            location=row.location,
            os_type=cast("Any", row.os_type),
            generation=cast("Any", row.generation),
            path=self._loaded(row.path),
            size=row.size,
            size_on_disk=row.size_on_disk,
            digest=row.digest,
            source=row.source,
            template=row.template,
            run_id=row.run_id,
            tags=dict(row.tags),
            created_at=row.created_at,
            data_disks=tuple(self._data_disk(disk) for disk in row.data_disks),
            os_state=cast("Any", row.os_state),
            parent=row.parent_key,
            lineage=row.lineage,
            created_by=row.created_by,
            plan=row.plan,
        )
