"""A file that is not whole yet: `NAME.part`, and beside it in `NAME.spans.part` which bytes are there.

With the notes a download that was killed goes on with every one of its ranges, and only while the
server still has the very file they came from.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

_FORMAT = 1
# No more digits than a file can have bytes: int() refuses thousands of them.
_CONTENT_RANGE = re.compile(r"^bytes (?:(\d{1,19})-(\d{1,19})|\*)/(\d{1,19}|\*)$", re.ASCII)
_LENGTH = re.compile(r"^\d{1,19}$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Remote:
    """What a server says of its file. `length` in bytes, None when it does not say."""

    length: int | None = None
    etag: str = ""
    last_modified: str = ""
    ranges: bool = False

    @classmethod
    def of(cls, response: httpx.Response) -> Remote:
        """What the head of an answer (200 or 206) says of the whole file."""
        headers = response.headers
        if response.status_code == 206:
            length = content_range(response)[1]
        else:
            written = headers.get("Content-Length", "")
            length = int(written) if _LENGTH.match(written) else None
        ranges = response.status_code == 206 or headers.get("Accept-Ranges", "").lower() == "bytes"
        return cls(length, headers.get("ETag", ""), headers.get("Last-Modified", ""), ranges)

    @property
    def strong(self) -> str:
        """A validator that only this very content has (RFC 9110, 8.8.1), "" when there is none."""
        return self.etag if self.etag and not self.etag.startswith("W/") else ""

    @property
    def validator(self) -> str:
        """What If-Range takes: the strong one, else the date, which changes with the file (to a second)."""
        return self.strong or self.last_modified

    def contradicts(self, other: Remote) -> bool:
        """Whether both cannot be the same file. What one of them does not say contradicts nothing."""
        return any(
            mine and theirs and mine != theirs
            for mine, theirs in (
                (self.length, other.length),
                (self.etag, other.etag),
                ("" if self.etag and other.etag else self.last_modified, other.last_modified),
            )
        )


@dataclass(slots=True)
class Span:
    """Bytes `start` to `end` (None: to the end of the file, wherever that is), of which `done` are there."""

    start: int
    end: int | None
    done: int = 0

    @property
    def position(self) -> int:
        """Where the next byte goes."""
        return self.start + self.done

    @property
    def finished(self) -> bool:
        """Whether all of it is there."""
        return self.end is not None and self.position >= self.end


def content_range(response: httpx.Response) -> tuple[int | None, int | None]:
    """First byte and length of the whole file out of Content-Range; None for what is not said."""
    found = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    if not found:
        return None, None
    return (
        int(found[1]) if found[1] else None,
        int(found[3]) if found[3] != "*" else None,
    )


class Part:
    """The unfinished form of `dest`. Not for several threads at once, but for `write`."""

    def __init__(self, dest: Path) -> None:
        self.path = dest.with_name(dest.name + ".part")
        self._notes = dest.with_name(dest.name + ".spans.part")
        self.remote: Remote | None = None
        self.source = ""
        self.spans = [Span(0, None)]

    @property
    def done(self) -> int:
        """Bytes that are there."""
        return sum(span.done for span in self.spans)

    @property
    def finished(self) -> bool:
        """Whether all bytes are there."""
        return all(span.finished for span in self.spans)

    def load(self) -> None:
        """Take up what an earlier download left; without notes, what is there is its beginning."""
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            self.reset()
            return
        try:
            notes = json.loads(self._notes.read_bytes())
            spans = [_span(*item) for item in notes["spans"]]
            if notes["format"] == _FORMAT and _sound(spans, size):
                self.remote, self.source, self.spans = Remote(**notes["remote"]), notes["source"], spans
                return
        except FileNotFoundError:
            self.remote, self.source, self.spans = None, "", [Span(0, None, size)]
            return
        except (OSError, ValueError, TypeError, KeyError, IndexError):
            pass
        self.reset()

    def reset(self) -> None:
        """Begin anew: nothing is there."""
        self.remote, self.source, self.spans = None, "", [Span(0, None)]
        self._notes.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def learn(self, remote: Remote) -> None:
        """The server has told what its file is; the only span gets its end."""
        self.remote = remote
        if len(self.spans) == 1:
            self.spans[0].end = remote.length

    def split(self, pieces: int) -> None:
        """Make `pieces` spans of about the same size out of the only one."""
        (span,) = self.spans
        end = span.end
        if end is None:
            return
        step = -(-(end - span.position) // pieces)
        starts = [span.position + step * number for number in range(1, pieces)]
        starts = [start for start in starts if start < end]
        if starts:
            span.end = starts[0]
            self.spans += [Span(a, b) for a, b in zip(starts, [*starts[1:], end], strict=True)]

    def open(self) -> int:
        """A descriptor for `write`."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def save(self, *, to_disk: bool) -> None:
        """Note what is there. `to_disk`: first wait until it really is, for who cannot prove it later."""
        if self.remote is None:
            return
        spans = [[span.start, span.end, span.done] for span in self.spans]
        if to_disk:
            with self.path.open("rb") as file:
                os.fdatasync(file.fileno())
        text = json.dumps(
            {"format": _FORMAT, "source": self.source, "remote": asdict(self.remote), "spans": spans}
        )
        new = self._notes.with_name(f".{self._notes.name}")
        new.write_text(text)
        new.replace(self._notes)

    def become(self, dest: Path) -> None:
        """The file is whole: it takes its name, on disk, and the notes go."""
        with self.path.open("rb+") as file:
            if self.remote is not None and self.remote.length is not None:
                file.truncate(self.remote.length)
            os.fsync(file.fileno())
        self.path.replace(dest)
        with contextlib.suppress(OSError):
            self._notes.unlink(missing_ok=True)


def write_at(descriptor: int, data: bytes, position: int) -> None:
    """All of `data`, wherever the file's position is. Raises OSError."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, position)
        view, position = view[written:], position + written


def _span(start: Any, end: Any, done: Any) -> Span:  # noqa: ANN401 - out of JSON
    return Span(_count(start) or 0, _count(end), _count(done) or 0)


def _count(value: Any) -> int | None:  # noqa: ANN401 - out of JSON
    if value is None:
        return None
    if not isinstance(value, int) or value < 0:
        raise ValueError(value)
    return value


def _sound(spans: list[Span], size: int) -> bool:
    """Whether notes can be true: spans that follow each other, and no byte that the file does not have."""
    position = 0
    for number, span in enumerate(spans):
        if span.start != position or (span.end is None and number < len(spans) - 1):
            return False
        if (span.done and span.position > size) or (span.end is not None and span.position > span.end):
            return False
        position = span.end if span.end is not None else position
    return bool(spans)
