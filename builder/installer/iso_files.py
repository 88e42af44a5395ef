"""The files in an ISO image, by the names people know, whichever of its name spaces has them."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from builder.errors import NotFoundError, PreflightError

_SECTOR = 2048
_FIRST_DESCRIPTOR = 16 * _SECTOR
_MOST_TEXT = 4 * 1024 * 1024
_LISTED = 12


class MediumError(PreflightError):
    """The ISO is no installation medium that can be used."""

    code = "BadMedium"


class IsoFiles:
    """An open ISO. Paths are written without a leading slash."""

    def __init__(self, iso: Any, path: Path) -> None:  # noqa: ANN401 - pycdlib has no types
        self._iso = iso
        self._path = path
        if iso.has_rock_ridge():
            self._kind = "rr_path"
        elif iso.has_joliet():
            self._kind = "joliet_path"
        elif iso.has_udf():
            self._kind = "udf_path"
        else:
            self._kind = "iso_path"
        # A Windows medium tells its secrets in UDF only; its ISO 9660 half is a note that says so.
        if iso.has_udf() and self._kind != "udf_path" and len(self.names()) <= 1:
            self._kind = "udf_path"

    @property
    def label(self) -> str:
        """The volume id, by which a booted installer finds it."""
        return _text(self._iso.pvd.volume_identifier)

    @property
    def publisher(self) -> str:
        """Who made it, as far as it says."""
        return _text(self._iso.pvd.publisher_identifier.text)

    def exists(self, name: str) -> bool:
        """Whether there is a file or folder of that name."""
        return self._record(name) is not None

    def names(self) -> list[str]:
        """What is at its top, the first dozen."""
        with self._damage():
            children = list(self._iso.list_children(**{self._kind: "/"}))
            found = [self._name(child) for child in children if child is not None]
        return sorted(name for name in found if name not in ("", ".", "..", "/"))[:_LISTED]

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """The file's content, read as it is asked for."""
        with self._damage(), self._iso.open_file_from_iso(**{self._kind: self._full(name)}) as file:
            yield cast("BinaryIO", file)

    def text(self, name: str) -> str:
        """A small file as text."""
        with self.open(name) as file:
            return file.read(_MOST_TEXT).decode("utf-8", "replace")

    def _record(self, name: str) -> Any:  # noqa: ANN401 - pycdlib has no types
        from pycdlib.pycdlibexception import PyCdlibInvalidInput

        try:
            with self._damage():
                return self._iso.get_record(**{self._kind: self._full(name)})
        except PyCdlibInvalidInput:
            return self._as_folder(name)

    def _as_folder(self, name: str) -> Any:  # noqa: ANN401 - pycdlib has no types
        """Plain ISO 9660 spells a file `NAME.;1`, a folder `NAME`."""
        from pycdlib.pycdlibexception import PyCdlibInvalidInput

        if self._kind != "iso_path":
            return None
        with contextlib.suppress(PyCdlibInvalidInput):
            return self._iso.get_record(iso_path="/" + name.upper())
        return None

    def _full(self, name: str) -> str:
        if self._kind != "iso_path":
            return "/" + name
        folder, _, base = ("/" + name.upper()).rpartition("/")
        return f"{folder}/{base if '.' in base else base + '.'};1"

    def _name(self, child: Any) -> str:  # noqa: ANN401 - pycdlib has no types
        if self._kind == "rr_path" and child.rock_ridge is not None:
            return _text(child.rock_ridge.name())
        raw = child.file_identifier()
        if self._kind == "joliet_path":
            return bytes(raw).decode("utf-16-be", "replace").removesuffix(";1")
        return _text(raw).removesuffix(";1")

    @contextlib.contextmanager
    def _damage(self) -> Iterator[None]:
        from pycdlib.pycdlibexception import PyCdlibInvalidInput

        try:
            yield
        except PyCdlibInvalidInput:
            raise  # a question about what is not there
        except _failures() as error:
            raise _damaged(self._path, error) from error


@contextlib.contextmanager
def open_iso(path: Path) -> Iterator[IsoFiles]:
    """Open the ISO at `path`, without reading more than its directory.

    Raises NotFoundError, MediumError when it is none, or is cut short.
    """
    _check_whole(path)
    import pycdlib

    iso = pycdlib.PyCdlib()
    try:
        iso.open(str(path))
    except _failures() as error:
        raise _damaged(path, error) from error
    try:
        yield IsoFiles(iso, path)
    finally:
        iso.close()


def _check_whole(path: Path) -> None:
    """Compare the size its primary descriptor gives (ECMA-119, 8.4) with the file's."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(512)
            file.seek(_FIRST_DESCRIPTOR)
            descriptor = file.read(_SECTOR)
    except FileNotFoundError:
        raise NotFoundError(
            f"The ISO {path} does not exist.", hint="Relative paths start at the template's folder."
        ) from None
    except OSError as error:
        raise MediumError(f"The ISO {path} cannot be read: {error.strerror or error}.") from error
    if descriptor[1:6] != b"CD001" or descriptor[0] != 1:
        raise _no_iso(path, head, size)
    (blocks,) = struct.unpack_from("<I", descriptor, 80)
    (block,) = struct.unpack_from("<H", descriptor, 128)
    if blocks * block > size:
        raise MediumError(
            f"{path} is cut short: it has {size} of its {blocks * block} bytes.",
            hint="Fetch it again; a download that ended early looks like this.",
        )


def _no_iso(path: Path, head: bytes, size: int) -> MediumError:
    start = head.lstrip().lower()
    what, hint = f"{path} is not an ISO image.", "Expected is an image of a CD or DVD (ISO 9660)."
    if size == 0:
        what = f"{path} is empty."
    elif start.startswith((b"<!doctype", b"<html", b"<?xml")):
        what = f"{path} is not an ISO image but a web page."
        hint = "A link that needs a login, or has expired, gives such a page: fetch a fresh link."
    elif head.startswith(b"QFI\xfb") or head.startswith(b"KDMV"):
        what = f"{path} is the image of a disk, not of a DVD."
        hint = "Use it through a catalogue entry (build marketplace)."
    elif head[510:512] == b"\x55\xaa":
        what = f"{path} is the image of a disk or stick, not of a DVD."
        hint = "Take the ISO of the same release; a disk can come in through a catalogue entry."
    return MediumError(what, hint=hint)


def _failures() -> tuple[type[Exception], ...]:
    from pycdlib.pycdlibexception import PyCdlibException

    # pycdlib meets a damaged directory with whatever its parsing runs into.
    return (PyCdlibException, struct.error, IndexError, ValueError, KeyError)


def _damaged(path: Path, error: Exception) -> MediumError:
    return MediumError(
        f"The directory of the ISO {path} cannot be read.",
        details=(str(error) or type(error).__name__,),
        hint="Fetch it again, and compare its sha256 with its maker's.",
    )


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").rstrip(" \0")
