"""Looking into an ext4 file system on an image without mounting it: no root, no loop device.

Reads through debugfs (e2fsprogs), which opens read-only. Its quirks are handled here and nowhere
else: it exits with 0 whatever happens, follows symbolic links in the middle of a path but not at its end,
and takes `?` in a file name as the start of options.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from builder import process
from builder.disk.apart import apart
from builder.disk.view import LARGEST_FILE, UnsupportedFilesystem
from builder.errors import BuildError

PACKAGE = "e2fsprogs"
_TIMEOUT = 120.0
_MAX_LINKS = 40
_SUPERBLOCK = 1024
_NEEDS_RECOVERY = 0x4
_ENTRY = re.compile(r"/(\d+)/(\d{6})/(\d+)/(\d+)/([^/]*)/(\d*)/\n")


@dataclass(frozen=True, slots=True)
class Entry:
    """A name in a directory. `mode` with the file type bits, as in stat(2); `size` in bytes."""

    name: str
    inode: int
    mode: int
    uid: int
    gid: int
    size: int


class Ext4Image:
    """A read-only view of the ext2/3/4 file system at `offset` bytes of a raw disk or fixed VHD.

    Paths are absolute in the file system; symbolic links are followed within it. A file system that
    was not unmounted is seen as it is on disk, its journal not replayed: see `needs_recovery`.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        if not _is_ext(path, offset):
            raise UnsupportedFilesystem(f"There is no ext file system at byte {offset} of {path}.")
        self.path = path
        self.offset = offset

    @property
    def needs_recovery(self) -> bool:
        """Whether the journal holds changes that are not in place yet."""
        incompatible = _peek(self.path, self.offset + _SUPERBLOCK + 0x60, 4)
        return bool(int.from_bytes(incompatible, "little") & _NEEDS_RECOVERY)

    def read(self, path: str) -> bytes | None:
        """The content of a regular file; None when there is none."""
        return self.read_many([path])[path]

    def read_many(self, paths: Sequence[str]) -> dict[str, bytes | None]:
        """Several files at the cost of one."""
        return self.look(paths, ())[0]

    def look(
        self, files: Sequence[str], directories: Sequence[str]
    ) -> tuple[dict[str, bytes | None], dict[str, list[str] | None]]:
        """What `read` and `listdir` say of many paths, at the cost of one."""
        found = self._follow_all(files, "regular")
        listed = self._follow_all(directories, "directory")
        with tempfile.TemporaryDirectory(prefix="goldsmith-ext4-") as folder:
            places = {path: Path(folder, str(number)) for number, path in enumerate(found)}
            commands = [f"dump {_quote(real)} {_quote(str(places[path]))}" for path, real in found.items()]
            commands += [f"ls -p {_quote(real)}" for real in listed.values()]
            texts = self._debugfs(commands)[len(found) :] if commands else []
            contents = {path: _content(places.get(path)) for path in files}
        names = {
            path: sorted(entry.name for entry in _children(text))
            for path, text in zip(listed, texts, strict=True)
        }
        return contents, {path: names.get(path) for path in directories}

    def listdir(self, path: str) -> list[str] | None:
        """The names in a directory, sorted; None when it is none."""
        return self.look((), [path])[1][path]

    def scandir(self, path: str) -> list[Entry] | None:
        """The entries of a directory without `.` and `..`; None when it is none."""
        real = self._follow(path, want="directory")
        if real is None:
            return None
        (text,) = self._debugfs([f"ls -p {_quote(real)}"])
        return _children(text)

    def exists(self, path: str) -> bool:
        """Whether something has that name; a dangling symbolic link has."""
        return self._type(path) is not None

    def readlink(self, path: str) -> str | None:
        """Where a symbolic link points, as written; None when it is none."""
        (text,) = self._debugfs([f"stat {_quote(path)}"])
        return self._target(path, text) if _type_in(text) == "symlink" else None

    def _target(self, path: str, text: str) -> str:
        """Where the symbolic link points whose `stat` printed `text`."""
        fast = re.search(r'^Fast link dest: "(.*)"$', text, re.MULTILINE | re.DOTALL)
        if fast:
            return fast[1]
        (target,) = self._debugfs([f"cat {_quote(path)}"])
        return target

    def is_symlink(self, path: str) -> bool:
        """Whether the name itself is a symbolic link."""
        return self._type(path) == "symlink"

    def is_dir(self, path: str) -> bool:
        """Whether the path, links followed, is a directory."""
        return self._follow(path, want="directory") is not None

    def walk(self, path: str) -> Iterator[tuple[str, Entry]]:
        """Everything below a directory with its full path, links not followed, parents first."""
        for entry in self.scandir(path) or []:
            full = f"{path.rstrip('/')}/{entry.name}"
            yield full, entry
            if entry.mode & 0o170000 == 0o040000:
                yield from self.walk(full)

    def _type(self, path: str) -> str | None:
        (text,) = self._debugfs([f"stat {_quote(path)}"])
        return _type_in(text)

    def _follow(self, path: str, want: str = "regular") -> str | None:
        """The path after following a final symbolic link, when it is of the wanted type."""
        return self._follow_all([path], want).get(path)

    def _follow_all(self, paths: Sequence[str], want: str) -> dict[str, str]:
        """Those of the paths that are of the wanted type, and where a final symbolic link leads."""
        left, found = {path: path for path in paths}, dict[str, str]()
        for _ in range(_MAX_LINKS):
            if not left:
                break
            texts = self._debugfs([f"stat {_quote(real)}" for real in left.values()])
            looked, left = left, {}
            for (path, real), text in zip(looked.items(), texts, strict=True):
                kind = _type_in(text)
                if kind == "symlink":
                    # debugfs follows links in the middle itself, so plain joining is enough.
                    left[path] = str(PurePosixPath(real).parent / self._target(real, text))
                elif kind == want:
                    self._check_size(path, text)
                    found[path] = real
        return found

    def _check_size(self, path: str, text: str) -> None:
        size = re.search(r"\bSize: (\d+)", text)
        if size and int(size[1]) > LARGEST_FILE:
            raise BuildError(f"{path} on {self.path} has {size[1]} bytes: too large to be looked into.")

    def _debugfs(self, commands: Sequence[str]) -> list[str]:
        """What each command printed. A command that fails printed nothing."""
        program = process.require("debugfs", PACKAGE)
        with _plain_name(self.path) as name, tempfile.NamedTemporaryFile("w", suffix=".debugfs") as script:
            script.write("".join(f"{command}\n" for command in commands))
            script.flush()
            done = process.run(
                [program, "-c", "-f", script.name, f"{name}?offset={self.offset}"], timeout=_TIMEOUT
            )
        if "while opening filesystem" in done.stderr or "Filesystem not open" in done.stderr:
            raise BuildError(
                f"The file system at byte {self.offset} of {self.path} cannot be opened.",
                details=tuple(done.stderr.splitlines()[-5:]),
            )
        return _split(done.stdout, commands)


def preen(path: Path, offset: int, size: int, *, timeout: float = 600) -> None:
    """Do what the next mount would do to the `size` bytes at `offset`: replay the journal, drop files
    deleted while still open.

    A guest that is switched off after `sysrq u` leaves its open, deleted files on the orphan list;
    the file system is consistent, but e2fsck rightly calls it unfinished. Writes to the image.
    Raises BuildError for anything that is not safe to put right.
    """
    if Ext4Image(path, offset).needs_recovery:
        with apart(path, offset, size) as copy:
            _preen(copy.path, 0, path, timeout)
            copy.write_back()
    else:
        _preen(path, offset, path, timeout)


def _preen(file: Path, offset: int, path: Path, timeout: float) -> None:
    """Preen the file system at `offset` of `file`; `path` is what messages call it."""
    program = process.require("e2fsck", PACKAGE)
    with _plain_name(file) as name:
        done = process.run([program, "-fp", f"{name}?offset={offset}"], timeout=timeout, ok=range(256))
    if done.exit_code not in (0, 1):
        lines = (done.stdout + done.stderr).replace(name, str(path)).splitlines()
        raise BuildError(
            f"The file system at byte {offset} of {path} is damaged (e2fsck exit code {done.exit_code}).",
            details=tuple(lines[-15:]),
        )


def fsck(path: Path, offset: int = 0, *, timeout: float = 600) -> None:
    """Check a file system completely, changing nothing. Raises BuildError when it is not clean.

    A journal waiting for its replay counts as unclean: the claim is about what is on the disk.
    """
    program = process.require("e2fsck", PACKAGE)
    with _plain_name(path) as name:
        done = process.run([program, "-fn", f"{name}?offset={offset}"], timeout=timeout, ok=range(256))
    if done.exit_code:
        lines = (done.stdout + done.stderr).replace(name, str(path)).splitlines()
        raise BuildError(
            f"The file system at byte {offset} of {path} is not clean (e2fsck exit code {done.exit_code}).",
            details=tuple(lines[-15:]),
        )


@contextmanager
def _plain_name(path: Path) -> Iterator[str]:
    """A name for `path` without `?`, which e2fsprogs reads as the start of options."""
    if "?" not in str(path):
        yield str(path)
        return
    with tempfile.TemporaryDirectory(prefix="goldsmith-ext4-") as folder:
        link = Path(folder, "disk")
        link.symlink_to(path.absolute())
        yield str(link)


def _quote(path: str) -> str:
    """A debugfs argument: double quotes, doubled inside. Raises ValueError for a line break."""
    if "\n" in path or "\r" in path or "\0" in path:
        raise ValueError(f"a path with a line break cannot be looked up: {path!r}")
    return '"' + path.replace('"', '""') + '"'


def _split(output: str, commands: Sequence[str]) -> list[str]:
    """debugfs echoes each command of a script before what it prints."""
    results: list[str] = []
    rest = output
    for index, command in enumerate(commands):
        rest = rest.partition(f"debugfs: {command}\n")[2]
        if index + 1 < len(commands):
            following = f"debugfs: {commands[index + 1]}\n"
            results.append(rest.partition(following)[0])
        else:
            results.append(rest)
    return results


def _type_in(text: str) -> str | None:
    """The type of file that `stat` printed."""
    found = re.search(r"^Inode: \d+\s+Type: (.+?)\s+Mode:", text)
    return found[1] if found else None


def _children(text: str) -> list[Entry]:
    return [entry for entry in _entries(text) if entry.name not in {".", "..", ""} and entry.inode]


def _entries(text: str) -> Iterator[Entry]:
    for inode, mode, uid, gid, name, size in _ENTRY.findall(text):
        yield Entry(name, int(inode), int(mode, 8), int(uid), int(gid), int(size or 0))


def _content(place: Path | None) -> bytes | None:
    return place.read_bytes() if place is not None and place.exists() else None


def _is_ext(path: Path, offset: int) -> bool:
    return _peek(path, offset + _SUPERBLOCK + 0x38, 2) == b"\x53\xef"


def _peek(path: Path, offset: int, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)
