"""A region at a URL: whatever fsspec has a backend for (S3, Azure Blob, SFTP, ...)."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from builder.cancellation import checkpoint
from builder.disk.extents import BLOCK, ContentDigest
from builder.errors import EnvironmentProblem, GoldsmithError, UsageError
from builder.registry.places import MARKER
from builder.replication.place import (
    OS_DISK,
    PlaceError,
    Reader,
    Tick,
    refuse_foreign,
    refuse_unmarked,
)

_STEP = 8 * 1024**2
_ZEROS = bytes(_STEP)
# S3 takes 10,000 parts of at least 5 MiB; so many, of this size at least.
_PARTS, _PART_SIZE = 9000, 16 * 1024**2
_PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), "adlfs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    "smb": "smbprotocol",
}
# Their files can be written from any place on, and renamed at no cost.
_FILE_SERVERS = {"sftp", "ssh"}
_INSTALL = "python -m pip install fsspec"
_SHORTEST_SECRET = 6


class RemoteReader:
    """A file behind fsspec."""

    path: Path | None = None

    def __init__(self, file: Any, size: int) -> None:  # noqa: ANN401 - fsspec has no types
        self._file = file
        self._at = 0
        self.size = size

    def extents(self) -> Iterator[tuple[int, int]]:
        """All of it: nobody tells where the holes are."""
        yield 0, self.size

    def read(self, offset: int, length: int) -> bytes:
        """See Reader."""
        if offset != self._at:
            self._file.seek(offset)
        pieces, missing = [], length
        while missing:
            piece = self._file.read(missing)
            if not piece:
                raise EOFError("the file is shorter than it should be")
            pieces.append(piece)
            missing -= len(piece)
        self._at = offset + length
        return b"".join(pieces)


class RemotePlace:
    """A prefix at a URL. Each thread has a connection of its own."""

    is_local = False

    def __init__(self, region: str, url: str, options: Mapping[str, Any]) -> None:
        self.region = region
        self.url = url
        self._options = options
        self._protocol = url.partition("://")[0]
        self._mine = threading.local()
        self.copies_within = not self.is_file_server

    @property
    def is_file_server(self) -> bool:
        """Whether a copy can be gone on with in the middle, and has holes."""
        return self._protocol in _FILE_SERVERS

    def location(self, *folders: str) -> str:
        """See Place."""
        return "/".join((self.url, *folders, OS_DISK))

    def check(self, identity: str, *, used: bool, take: bool = True) -> bool:
        """See Place."""
        with self._explained("reached") as fs:
            marker = f"{self.url}/{MARKER}"
            fs.invalidate_cache()
            found = bytes(fs.cat_file(marker)).decode(errors="replace") if fs.exists(marker) else ""
            if not found.strip():  # none, or one whose writer was stopped before a word was in it
                if used:
                    refuse_unmarked(self)
                if not take:
                    return False
                found = json.dumps({"registry": identity})
                self._make_folder(fs, marker)
                with fs.open(marker, "wb") as file:
                    file.write(found.encode())
        if identity not in found:
            refuse_foreign(self, found)
        return True

    def size(self, location: str) -> int | None:
        """See Place."""
        with self._explained("read") as fs:
            fs.invalidate_cache()
            try:
                return int(fs.info(location)["size"])
            except FileNotFoundError:
                return None

    @contextmanager
    def reader(self, location: str) -> Iterator[Reader]:
        """See Place."""
        size = self.size(location)
        if size is None:
            raise PlaceError(f"The file {location} of region {self.region} is gone.", permanent=True)
        with self._explained("read") as fs:
            # Read once, from the beginning to the end: nothing is worth keeping.
            more = {} if self.is_file_server else {"cache_type": "readahead"}
            with fs.open(location, "rb", **more) as file:
                if self.is_file_server:
                    _read_ahead(file, size)
                yield RemoteReader(file, size)

    def staging(self, location: str) -> str:
        """See Place. An object appears whole, under its own name."""
        if not self.is_file_server:
            return location
        folder, _, name = location.rpartition("/")
        return f"{folder}/.{name}.part"

    def write(self, staged: str, source: Reader, tick: Tick) -> int:
        """See Place. A file server's file is gone on with; an object is sent from the beginning, zeros and
        all: there are no holes in it.
        """
        with self._explained("written") as fs:
            self._make_folder(fs, staged)
            if self.is_file_server:
                return _write_file(fs, staged, source, tick)
            return _write_object(fs, staged, source, tick)

    def copy_within(self, source: str, location: str) -> bool:
        """Let an object store copy by itself, without sending it again; False where that is not so."""
        if not self.copies_within or not source.startswith(f"{self.url}/"):
            return False
        with self._explained("written") as fs:
            self._make_folder(fs, location)
            fs.cp_file(source, location)
        return True

    def digest(self, location: str, size: int, tick: Tick) -> str:
        """See Place."""
        digest = ContentDigest(size)
        with self.reader(location) as reader:
            if reader.size < size:
                return ""
            for at in range(0, size, _STEP):
                checkpoint()
                digest.update(reader.read(at, min(_STEP, size - at)))
                tick(0)
        return digest.hexdigest()

    def accept(self, staged: str, location: str) -> None:
        """See Place."""
        if staged != location:
            with self._explained("written") as fs:
                fs.mv(staged, location)

    def remove(self, location: str) -> None:
        """See Place."""
        with self._explained("written") as fs:
            with suppress(FileNotFoundError):
                fs.rm_file(fs._strip_protocol(location))
            if self.is_file_server:
                folder = location.rpartition("/")[0]
                while len(folder) > len(self.url):
                    try:
                        fs.rmdir(folder)
                    except OSError:
                        return
                    folder = folder.rpartition("/")[0]

    def files(self) -> Iterator[tuple[str, int]]:
        """See Place."""
        with self._explained("listed") as fs:
            fs.invalidate_cache()
            prefix = f"{self._protocol}://"
            _, root = self._split(fs)
            for name, facts in sorted(fs.find(root, detail=True).items()):
                if name.endswith((".vhd", ".part")):
                    inner = name[len(root) :].lstrip("/") if name.startswith(root) else name
                    at = f"{self.url}/{inner}" if name.startswith(root) else prefix + name
                    yield at, int(facts.get("size") or 0)

    def _split(self, fs: Any) -> tuple[str, str]:  # noqa: ANN401 - fsspec has no types
        return self._protocol, str(fs._strip_protocol(self.url)).rstrip("/")

    def _make_folder(self, fs: Any, location: str) -> None:  # noqa: ANN401 - fsspec has no types
        if self._protocol in _PACKAGES:  # object stores have no folders, only buckets, which are not ours
            return
        folder = fs._strip_protocol(location).rpartition("/")[0]
        for more in reversed(range(folder.count("/") + 1)):
            try:
                fs.makedirs(folder, exist_ok=True)
            except PermissionError:
                raise
            except OSError:  # SFTP says "Failure" of a folder that another copy made in this moment, too
                if not more:
                    raise
            else:
                return

    def _connected(self) -> Any:  # noqa: ANN401 - fsspec has no types
        if getattr(self._mine, "fs", None) is None:
            self._mine.fs = _connect(self.url, self._protocol, self.region, self._options)
        return self._mine.fs

    @contextmanager
    def _explained(self, what: str) -> Iterator[Any]:
        """The file system; any error of a backend as a PlaceError, and the next try connects anew."""
        try:
            yield self._connected()
        except GoldsmithError:
            raise
        except Exception as error:
            if self.is_file_server:
                self._mine.fs = None
            raise PlaceError(
                f"The place of region {self.region} cannot be {what}: {self._said(error)}",
                details=(self.url,),
                permanent=isinstance(error, PermissionError),
            ) from error

    def _said(self, error: Exception) -> str:
        """A backend's words, on one line, without the secrets of the settings."""
        text = " ".join(str(error).split())[:300] or type(error).__name__
        for value in _texts(_with_environment(self._options, self.region)):
            if len(value) >= _SHORTEST_SECRET:
                text = text.replace(value, "***")
        return text if text.endswith(".") else f"{text}."


def _read_ahead(file: Any, size: int) -> None:  # noqa: ANN401 - paramiko's
    """Ask for all of it in a thread of paramiko's that says nothing when the connection ends first: who reads
    gets the same error, and who is done reading needs none.
    """
    ask = file._prefetch_thread

    def quietly(*arguments: Any) -> None:  # noqa: ANN401 - paramiko's own
        with suppress(OSError, EOFError):
            ask(*arguments)

    file._prefetch_thread = quietly
    file.prefetch(size)


def _connect(url: str, protocol: str, region: str, options: Mapping[str, Any]) -> Any:  # noqa: ANN401
    try:
        import fsspec
    except ImportError as error:
        raise EnvironmentProblem(
            f"Region {region} lies at {protocol}://, which needs the package fsspec.", hint=_INSTALL
        ) from error
    known = dict(_with_environment(options, region))
    if protocol in _FILE_SERVERS:
        from builder.replication.known_hosts import policy

        known["skip_instance_cache"] = True
        known["host_key_policy"] = policy(known.pop("known_hosts", None))
    package = _PACKAGES.get(protocol, "")
    try:
        fs, _path = fsspec.core.url_to_fs(url, **known)
    except ImportError as error:
        raise EnvironmentProblem(
            f"Region {region} lies at {protocol}://, which needs the package {package or 'of its backend'}.",
            details=(str(error),),
            hint=f"pip install {package}" if package else None,
        ) from error
    except ValueError as error:
        if "rotocol not known" not in str(error):
            raise
        raise UsageError(
            f"Region {region}: nothing is known about {protocol}://.",
            hint="Use s3://, az://, sftp:// or another protocol of fsspec, or a folder.",
        ) from error
    return fs


def _write_file(fs: Any, staged: str, source: Reader, tick: Tick) -> int:  # noqa: ANN401
    try:
        there = min(int(fs.info(staged)["size"]), source.size)
    except FileNotFoundError:
        there = 0
    there -= there % BLOCK
    sent = 0
    with fs.open(staged, "r+b" if there else "wb") as file:
        file.set_pipelined(True)
        for start, end in source.extents():
            tick(max(0, min(end, there) - start))
            for position in range(max(start, there), end, _STEP):
                checkpoint()
                length = min(_STEP, end - position)
                data = source.read(position, length)
                if data != _ZEROS[:length]:
                    file.seek(position)
                    file.write(data)
                    sent += length
                tick(length)
        file.flush()
        file.truncate(source.size)
    return sent


def _write_object(fs: Any, location: str, source: Reader, tick: Tick) -> int:  # noqa: ANN401
    file = fs.open(location, "wb", block_size=max(_PART_SIZE, source.size // _PARTS))
    try:
        position = 0
        for start, end in source.extents():
            _send_zeros(file, start - position, tick)
            for at in range(start, end, _STEP):
                checkpoint()
                length = min(_STEP, end - at)
                file.write(source.read(at, length))
                tick(length)
            position = end
        _send_zeros(file, source.size - position, tick)
        file.close()
        return source.size
    except BaseException:
        # Closing would finish it: an object of half the size.
        with suppress(Exception):
            file.discard()
        file.closed = True
        raise


def _send_zeros(file: Any, length: int, tick: Tick) -> None:  # noqa: ANN401
    """What a hole reads as, without reading it."""
    while length > 0:
        checkpoint()
        length -= file.write(_ZEROS[: min(length, len(_ZEROS))])
        tick(0)


def _with_environment(options: Mapping[str, Any], region: str) -> dict[str, Any]:
    """Options with {env = "NAME"} replaced. Raises UsageError for a variable that is not set."""
    found: dict[str, Any] = {}
    for name, value in options.items():
        if isinstance(value, Mapping) and set(value) == {"env"}:
            variable = str(value["env"])
            if variable not in os.environ:
                raise UsageError(
                    f"Region {region}: the variable {variable} is not set.",
                    hint=f"Its option '{name}' is read from there; see the setting 'regions'.",
                )
            found[name] = os.environ[variable]
        else:
            found[name] = _with_environment(value, region) if isinstance(value, Mapping) else value
    return found


def _texts(options: Mapping[str, Any]) -> Iterator[str]:
    for value in options.values():
        if isinstance(value, Mapping):
            yield from _texts(value)
        elif isinstance(value, str):
            yield value
