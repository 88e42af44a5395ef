"""Finished images: `cache/finished/<id>/os.vhd`, so that only distribution runs again when nothing else
changed. The file is a link of what was distributed, on one file system; it costs no space of its own then.

The same rules as for layers: appears by a rename, damaged or foreign is a miss.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from builder.disk.extents import link_or_copy, sync_directory, sync_file
from builder.owner import host_boot_id
from builder.sources.base import Generation, OsType

FORMAT = 1
IMAGE, META = "os.vhd", "meta.json"
READ_ONLY = 0o444


@dataclass(frozen=True, slots=True)
class FinishedMeta:
    """What meta.json says. `file_size` and `modified` (ns) tell whether the file is still the one that was
    proved; `frozen` is when each layer below it was made; `proof` is the proof's one line; `validated` holds
    the digests of the validations it passed; `host_boot` the boot of the host that wrote it (`soundness.py`).
    Sizes in bytes.
    """

    id: str
    template: str
    source: str
    os_type: OsType
    generation: Generation
    virtual_size: int
    file_size: int
    modified: int
    digest: str
    proof: str
    frozen: tuple[float, ...]
    created: float
    validated: tuple[str, ...] = ()
    host_boot: str = ""
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class FinishedLayer:
    """A finished image in the cache."""

    folder: Path
    meta: FinishedMeta

    @property
    def vhd(self) -> Path:
        """The fixed VHD."""
        return self.folder / IMAGE


class FinishedStore:
    """The finished images of one home."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, image_id: str) -> FinishedLayer | None:
        """The image of that id, None when it is not there or not as it was stored."""
        folder, meta = self.root / image_id, self.read(image_id)
        try:
            status = (folder / IMAGE).stat()
        except OSError:
            return None
        if meta is None or (status.st_size, status.st_mtime_ns) != (meta.file_size, meta.modified):
            return None
        return FinishedLayer(folder, meta)

    def read(self, image_id: str) -> FinishedMeta | None:
        """What the image's meta.json says, whatever its file is."""
        try:
            meta = _adapter().validate_json((self.root / image_id / META).read_bytes(), strict=True)
        except (OSError, ValueError):
            return None
        return meta if image_id and (meta.format, meta.id) == (FORMAT, image_id) else None

    def add(self, vhd: Path, facts: Mapping[str, object], image_id: str, draft: Path) -> FinishedLayer | None:
        """Store the image `vhd` with the fields of FinishedMeta that it does not say itself. `draft` is a
        folder in the workspace that does not exist yet; it moves here. Replaces an image of that id.
        Its data is not forced to the disk (`soundness.py`). Raises OSError: then it is not stored.
        """
        draft.mkdir(mode=0o700)
        link_or_copy(vhd, draft / IMAGE)
        (draft / IMAGE).chmod(READ_ONLY)
        status = (draft / IMAGE).stat()
        meta = FinishedMeta(
            id=image_id,
            file_size=status.st_size,
            modified=status.st_mtime_ns,
            created=time.time(),
            host_boot=host_boot_id(),
            **facts,  # type: ignore[arg-type]
        )
        _save(draft, meta)
        sync_directory(draft)
        return self.adopt(draft, image_id)

    def adopt(self, draft: Path, image_id: str) -> FinishedLayer | None:
        """Store the folder `draft`, whole and on the disk, as that image; it moves here. Raises OSError."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.drop(image_id)
        try:
            draft.rename(self.root / image_id)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
            return self.find(image_id)  # another build stored the same one just now
        sync_directory(self.root)
        return self.find(image_id)

    def passed(self, image: FinishedLayer, validation: str) -> None:
        """Note that `image` passed the validations of that digest. Best effort."""
        if validation in image.meta.validated:
            return
        with contextlib.suppress(OSError):
            _save(image.folder, replace(image.meta, validated=(*image.meta.validated, validation)))

    def used(self, image: FinishedLayer) -> None:
        """Note that it was of use just now, and that it is what was written."""
        with contextlib.suppress(OSError):
            if image.meta.host_boot == host_boot_id():
                os.utime(image.folder / META)
            else:
                _save(image.folder, replace(image.meta, host_boot=host_boot_id()))

    def drop(self, image_id: str) -> None:
        """Take an image away."""
        trash = self.root / f".trash-{uuid.uuid4().hex}"
        with contextlib.suppress(FileNotFoundError):
            (self.root / image_id).rename(trash)
        shutil.rmtree(trash, ignore_errors=True)

    def sweep(self) -> list[Path]:
        """Folders here that are no image, or no longer as they were stored. Only looks."""
        if not self.root.is_dir():
            return []
        return [
            folder for folder in sorted(self.root.iterdir()) if folder.is_dir() and not self.find(folder.name)
        ]

    def all(self) -> list[FinishedLayer]:
        """Every whole image, the oldest first."""
        if not self.root.is_dir():
            return []
        found = [self.find(folder.name) for folder in self.root.iterdir() if not folder.name.startswith(".")]
        return sorted((item for item in found if item), key=lambda item: item.meta.created)


@cache
def _adapter() -> TypeAdapter[FinishedMeta]:
    return TypeAdapter(FinishedMeta)


def _save(folder: Path, meta: FinishedMeta) -> None:
    """In one step: a reader sees the old or the new one."""
    part = folder / f".{META}.{uuid.uuid4().hex}"
    part.write_text(json.dumps(asdict(meta), indent=1) + "\n")
    sync_file(part)
    part.replace(folder / META)
