"""The cache of base disks: `cache/bases/<key>/` holds one disk, read-only, and its meta.json.

Rules:
- A base appears by one rename, after fsync; what is half made carries the name `.<key>.tmp`.
- A base has an `identity` beside its `key`. The key says how it is made; made again (newer
  packages), the disk differs, and a layer on the old one must not be laid on the new one. So the
  identity is drawn anew for each making unless the recipe fixes every byte.
- Damaged or foreign (another format version, another size) means it is made again, never an error.
- One lock a key: of two builds that want it, one makes it and the other waits.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from builder.deadline import Deadline
from builder.disk.extents import sync_directory, sync_file
from builder.disk.graph import BlockGraph, DiskFormat, DiskLayer
from builder.errors import BuildError, ConflictError
from builder.events import EventBus, Wait
from builder.sources.base import SourceDisk

FORMAT = 1
_META = "meta.json"
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class BaseMeta:
    """What meta.json says. `size` is what the guest sees, `file_size` the file's length, in bytes. `digest`
    (algorithm:hex) is that of the file it was made of, where its recipe does not say it beforehand.
    """

    identity: str
    description: str
    file: str
    disk_format: DiskFormat
    size: int
    file_size: int
    created: float
    format: int = FORMAT
    digest: str = ""


@dataclass(frozen=True, slots=True)
class MadeDisk:
    """What a maker wrote into the folder it was given. `size` in bytes as the guest sees it, `digest`
    (algorithm:hex) that of the file it came from, when only the making told it.
    """

    file: Path
    disk_format: DiskFormat
    size: int
    digest: str = ""


class BaseCache:
    """The bases of one home."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def find(self, key: str) -> BaseMeta | None:
        """The base under `key`, None when it is not there or not sound."""
        meta = self.read(key)
        try:
            sound = meta and (self._root / key / meta.file).stat().st_size == meta.file_size
        except OSError:
            return None
        return meta if sound else None

    def read(self, key: str) -> BaseMeta | None:
        """What the base's meta.json says, whether its disk is there or not."""
        try:
            meta = _adapter().validate_json((self._root / key / _META).read_bytes(), strict=True)
        except (OSError, ValueError):
            return None
        return meta if meta.format == FORMAT else None

    def open(self, key: str, meta: BaseMeta) -> SourceDisk:
        """The disk of a base that was found."""
        # A fixed VHD is a raw disk with its footer after the end.
        cut = meta.size if meta.disk_format == "raw" and meta.file_size > meta.size else None
        layer = DiskLayer(self._root / key / meta.file, meta.disk_format, cut)
        return SourceDisk(BlockGraph((layer,)), meta.size)

    def folder(self, key: str) -> Path:
        """Where the base lies, once it is there."""
        return self._root / key

    def known_identity(self, key: str) -> str:
        """Like `next_identity`, but draws none: empty as long as nobody wanted to make the base."""
        try:
            return f"{key}-{self._pending(key).read_text()}"
        except OSError:
            return ""

    def next_identity(self, key: str) -> str:
        """The identity the base will have once it is made: the same for all who ask until then."""
        self._root.mkdir(parents=True, exist_ok=True)
        file = self._pending(key)
        drawn = self._root / f".{key}.{uuid.uuid4().hex}"
        drawn.write_text(uuid.uuid4().hex)
        try:
            # A link appears with its content or not at all, so nobody reads a half-written one.
            with contextlib.suppress(FileExistsError):
                file.hardlink_to(drawn)
            return f"{key}-{file.read_text()}"
        finally:
            drawn.unlink()

    def make(
        self,
        key: str,
        identity: str,
        description: str,
        maker: Callable[[Path], MadeDisk],
        *,
        deadline: Deadline,
        bus: EventBus,
        anew: bool = False,
    ) -> SourceDisk:
        """Open the base, or let `maker` write it into a folder and keep that. Raises what `maker` raises.

        `anew`: made even if it is here; until the new one is whole the old one stays. Nobody may use its
        disk now.
        """
        with self._lock(key, deadline, bus):
            meta = None if anew else self.find(key)
            if meta is None:
                meta = self._make(key, identity, description, maker)
            if meta.identity != identity:
                raise BuildError(
                    f"{description} was made anew by another build just now.",
                    hint="Start this build again; it takes the new one.",
                )
            return self.open(key, meta)

    def adopt(self, key: str, folder: Path, *, deadline: Deadline, bus: EventBus) -> bool:
        """Take the base in `folder` (whole, on the disk, on this file system) as that of `key`; it moves
        here. False when it is here already. Raises ConflictError when another one is, and OSError.
        """
        meta = BaseCache(folder.parent).find(folder.name)
        assert meta is not None  # noqa: S101 - the caller looked at it
        with self._lock(key, deadline, bus):
            if self.check_free(key, meta):
                return False
            self._settle(folder, self._root / key)
        return True

    def check_free(self, key: str, meta: BaseMeta) -> bool:
        """Whether that very base is here already. Raises ConflictError when another one is in its place."""
        here = self.find(key)
        if here is not None and here.identity != meta.identity:
            raise ConflictError(
                f"This machine has a base '{here.description}' of its own making; layers made on another one "
                "do not fit it.",
                details=(f"Its folder is {self._root / key}.",),
                hint="Keep yours, or remove that folder while no build runs and import again.",
            )
        return here is not None

    def _make(self, key: str, identity: str, description: str, maker: Callable[[Path], MadeDisk]) -> BaseMeta:
        from builder.sources.scratch import remove_tree

        temporary, final = self._root / f".{key}.tmp", self._root / key
        remove_tree(temporary)
        temporary.mkdir(parents=True)
        try:
            made = maker(temporary)
            meta = BaseMeta(
                identity,
                description,
                made.file.name,
                made.disk_format,
                made.size,
                made.file.stat().st_size,
                time.time(),
                digest=made.digest,
            )
            made.file.chmod(0o444)
            sync_file(made.file)
            (temporary / _META).write_text(json.dumps(asdict(meta), indent=1))
            sync_file(temporary / _META)
            sync_directory(temporary)
            self._settle(temporary, final)
        except BaseException:
            remove_tree(temporary)
            raise
        return meta

    def _settle(self, folder: Path, final: Path) -> None:
        from builder.sources.scratch import remove_tree

        remove_tree(final)
        # Gone before the base appears: whoever finds neither draws a new identity.
        self._pending(final.name).unlink(missing_ok=True)
        folder.rename(final)
        sync_directory(self._root)

    def _pending(self, key: str) -> Path:
        return self._root / f".{key}.next"

    @contextlib.contextmanager
    def _lock(self, key: str, deadline: Deadline, bus: EventBus) -> Iterator[None]:
        self._root.mkdir(parents=True, exist_ok=True)
        fd = os.open(self._root / f".{key}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if not _try_lock(fd):
                with Wait(bus, "Waiting for another build that makes the same base"):
                    while not _try_lock(fd):
                        time.sleep(deadline.remaining(_POLL_SECONDS))
            yield
        finally:
            os.close(fd)


@cache
def _adapter() -> TypeAdapter[BaseMeta]:
    return TypeAdapter(BaseMeta)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
