"""Team catalogues: `$GOLDSMITH_HOME/catalogues/NAME.json`, each with NAME.origin beside it.

What is added is copied, so a build needs no network to know its images; `update` fetches it anew. A file
is written whole under its own hidden name and renamed, the catalogue before its origin.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from builder.deadline import Deadline
from builder.errors import (
    ConflictError,
    GoldsmithError,
    InUseError,
    NotFoundError,
    PreflightError,
    UsageError,
)
from builder.lock import FileLock
from builder.settings import Home
from builder.sources.catalogue.load import OWN, anchored, parse_catalogue, read_built_in, read_file
from builder.sources.catalogue.model import CatalogueImage
from builder.sources.catalogue.words import BUILT_IN

MAX_BYTES = 4 * 1024 * 1024
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_WEB = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a team catalogue came from. `source` is an http(s) address or a full path; `pinned` the SHA-256
    it must have for ever (empty: whatever is there), `sha256` the one it has, `fetched` in UTC.
    """

    source: str
    sha256: str
    fetched: str
    pinned: str = ""

    @property
    def is_local(self) -> bool:
        """Whether it is a file of this machine."""
        return not self.source.lower().startswith(_WEB)

    @property
    def shown(self) -> str:
        """The source as it may be shown (an address may hold a token)."""
        from builder.download.errors import public_url

        return self.source if self.is_local else public_url(self.source)


@dataclass(frozen=True, slots=True)
class Shelved:
    """One team catalogue: `images` and `versions` it has, or in `problem` why it cannot be read."""

    name: str
    origin: Origin | None
    images: int = 0
    versions: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Added:
    """What `add` and `update` did. `replaces` are versions of catalogues below that this one lays over."""

    name: str
    images: int
    replaces: tuple[str, ...]
    changed: bool = True


class Shelf:
    """The team catalogues of a home."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._folder = home.root / "catalogues"

    @property
    def names(self) -> list[str]:
        """The names, in the order in which they lie over each other."""
        return sorted(file.stem for file in self._folder.glob("*.json") if _NAME.fullmatch(file.stem))

    def layers(self) -> Iterator[tuple[str, Sequence[CatalogueImage]]]:
        """Name and images of each. Raises UsageError for one that cannot be read: a build must not take
        another image because the catalogue that says otherwise is broken.
        """
        for name in self.names:
            yield name, self._images(name)

    def all(self) -> list[Shelved]:
        """All of them, also those that cannot be read."""
        return [self._look(name) for name in self.names]

    def add(self, source: str, name: str, pinned: str, deadline: Deadline) -> Added:
        """Fetch and keep a catalogue. `name` may be empty: then it is the file's.

        Raises ConflictError when the name is taken, UsageError when it is no catalogue, DownloadError.
        """
        from builder.download.errors import check_address
        from builder.download.reading import path_of

        if source.lower().startswith(_WEB):
            check_address(source)
        else:
            file = path_of(source) if source.lower().startswith("file://") else Path(source)
            source = str(file.expanduser().absolute())
        name = name or _name_of(source)
        _check_name(name)
        with self._lock():
            if self._file(name).exists():
                raise ConflictError(
                    f"There is a catalogue '{name}' already.",
                    hint=f"Fetch it anew: build marketplace update {name}; "
                    "or give this one another name with --name.",
                )
            return self._keep(name, source, pinned.lower(), deadline)

    def update(self, names: Sequence[str], deadline: Deadline) -> Iterator[Added]:
        """Fetch catalogues anew, all when none is named. What is refused or cannot be had stays as it was.

        Raises NotFoundError, DownloadError, UsageError, PreflightError for a pinned one that changed.
        """
        for name in names or self.names:
            with self._lock():
                origin = self._origin(self._known(name))
                if origin is None:
                    raise PreflightError(
                        f"Nothing tells where the catalogue '{name}' comes from.",
                        hint=f"Remove it and add it again: build marketplace remove {name}",
                    )
                yield self._keep(name, origin.source, origin.pinned, deadline, before=origin.sha256)

    def remove(self, name: str) -> None:
        """Forget a catalogue. Raises NotFoundError."""
        with self._lock():
            self._known(name)
            self._file(name).unlink()
            self._origin_file(name).unlink(missing_ok=True)

    def _keep(self, name: str, source: str, pinned: str, deadline: Deadline, *, before: str = "") -> Added:
        from builder.download.reading import read_uri

        data = read_uri(source, Path("/"), deadline, MAX_BYTES)
        digest = hashlib.sha256(data).hexdigest()
        if pinned and digest != pinned:
            raise PreflightError(
                f"The catalogue '{name}' is not the one that was promised.",
                details=(f"expected sha256 {pinned}", f"found    sha256 {digest}"),
                hint="Find out why it changed; then remove it and add it with the new --sha256.",
            )
        fetched = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds")
        origin = Origin(source, digest, fetched, pinned)
        images = _parsed(data, origin)
        replaces = self._replaced_by(name, images)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(self._file(name), data)
        write_whole(self._origin_file(name), (json.dumps(asdict(origin), indent=1) + "\n").encode())
        return Added(name, len(images), tuple(replaces), digest != before)

    def _replaced_by(self, name: str, images: Sequence[CatalogueImage]) -> list[str]:
        from builder.sources.catalogue.catalogue import Catalogue

        below = Catalogue()
        below.lay(BUILT_IN, read_built_in())
        for other in self.names:
            if other < name:
                with contextlib.suppress(UsageError):  # its own fault, told when it is used
                    below.lay(other, self._images(other))
        return below.lay(name, images)

    def _images(self, name: str) -> tuple[CatalogueImage, ...]:
        origin = self._origin(name)
        anchor = Path(origin.source).parent if origin and origin.is_local else None
        hint = (
            f"The team catalogue '{name}' is at fault. Fetch it anew with 'build marketplace update {name}', "
            f"or go without it: build marketplace remove {name}"
        )
        return read_file(self._file(name), anchor=anchor, hint=hint)

    def _look(self, name: str) -> Shelved:
        origin = self._origin(name)
        try:
            images = self._images(name)
        except GoldsmithError as error:
            problem = " ".join((error.message, *error.details[:1]))
            return Shelved(name, origin, problem=problem)
        return Shelved(name, origin, len(images), sum(len(image.versions) for image in images))

    def _origin(self, name: str) -> Origin | None:
        try:
            return TypeAdapter(Origin).validate_json(self._origin_file(name).read_bytes())
        except (OSError, ValueError):
            return None

    def _known(self, name: str) -> str:
        if name not in self.names:
            known = ", ".join(self.names) or "none"
            special = {BUILT_IN, OWN}
            hint = "'build marketplace catalogues' lists them."
            if name in special:
                hint = "The built-in catalogue and your own catalogue.json are always there."
            raise NotFoundError(
                f"There is no team catalogue '{name}'.", details=(f"Catalogues here: {known}",), hint=hint
            )
        return name

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _origin_file(self, name: str) -> Path:
        return self._folder / f"{name}.origin"

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        lock = FileLock(self._folder / ".lock")
        if not lock.try_acquire(by="marketplace"):
            raise InUseError("The catalogues are being changed by another command.", hint="Try again.")
        try:
            yield
        finally:
            lock.release()


def _parsed(data: bytes, origin: Origin) -> tuple[CatalogueImage, ...]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{origin.shown} is not a catalogue: it is not UTF-8 text.") from error
    anchor = Path(origin.source).parent if origin.is_local else None
    return anchored(parse_catalogue(text, origin.shown).images, anchor, origin.shown)


def _name_of(source: str) -> str:
    from urllib.parse import urlsplit

    path = urlsplit(source).path if source.lower().startswith(_WEB) else source
    stem = Path(path).stem.lower()
    name = re.sub(r"[^a-z0-9._-]+", "-", stem).strip("-._")
    return name or "team"


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name in (BUILT_IN, OWN):
        raise UsageError(
            f"'{name}' cannot be the name of a catalogue.",
            hint="Use lower-case letters, digits and . _ - (--name); they lie over each other by name.",
        )


def write_whole(file: Path, data: bytes) -> None:
    """Whole or not at all. One name for the half-written one: what a kill leaves, the next one overwrites."""
    part = file.with_name(f".{file.name}.part")
    with part.open("wb") as opened:
        os.fchmod(opened.fileno(), 0o600)
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())
    part.replace(file)
