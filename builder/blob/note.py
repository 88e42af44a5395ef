"""What is written down about an unfinished upload, so that it can be continued or taken away.

JSON lines in `uploads/` of the home. The first line is on the disk before the blob exists:

    {"formatVersion": 1, "uri": U, "uploadId": I, "leaseId": L, "digest": D, "size": N, ...}
    {"start": 0, "end": 4194304, "md5": "..."}
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.blob.plan import PageRange
from builder.disk.extents import sync_directory
from builder.lock import FileLock

if TYPE_CHECKING:
    from builder.settings import Home

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Begun:
    """An upload that began. `uri` is the plain address, `size` the blob's in bytes. `kept`: left on purpose.
    `snapshot`: what holds the blob that was there before; "" when there was none.
    """

    uri: str
    digest: str
    size: int
    upload_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    lease_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    snapshot: str = ""
    kept: bool = False


class Note:
    """The file of one address; safe from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = FileLock(path.with_suffix(".lock"))
        self._guard = threading.Lock()

    @classmethod
    def of(cls, home: Home, uri: str) -> Note:
        """The note for the plain address `uri`."""
        return cls(home.uploads / f"{hashlib.sha256(uri.encode()).hexdigest()[:24]}.jsonl")

    def read(self) -> tuple[Begun | None, dict[PageRange, str]]:
        """What began, and the MD5 of each range that was sent. A torn or foreign line is passed over."""
        begun: Begun | None = None
        sent: dict[PageRange, str] = {}
        for record in _records(self.path):
            with contextlib.suppress(KeyError, TypeError, ValueError):
                if "uploadId" in record:
                    begun = _begun(record)
                else:
                    sent[PageRange(int(record["start"]), int(record["end"]))] = str(record["md5"])
        return begun, sent if begun else {}

    def begin(self, begun: Begun) -> None:
        """Write anew that an upload begins; on the disk when it returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self.path.with_suffix(".tmp")
        part.write_text(_line({"formatVersion": FORMAT_VERSION, **_camel(asdict(begun))}))
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(self.path)
        sync_directory(self.path.parent)

    def change(self, begun: Begun) -> None:
        """From now on the upload is described by `begun`."""
        self._append({"formatVersion": FORMAT_VERSION, **_camel(asdict(begun))}, to_disk=True)

    def sent(self, one: PageRange, md5: str) -> None:
        """A range is there. Not forced to the disk: after a power cut it is sent once more."""
        self._append({"start": one.start, "end": one.end, "md5": md5}, to_disk=False)

    def delete(self) -> None:
        """There is no unfinished upload any more."""
        self.path.unlink(missing_ok=True)

    def _append(self, record: Mapping[str, Any], *, to_disk: bool) -> None:
        line = _line(record).encode()
        with self._guard, self.path.open("ab", buffering=0) as file:
            file.write(line)
            if to_disk:
                os.fsync(file.fileno())


def notes(home: Home) -> list[Note]:
    """Those of all unfinished uploads of a home."""
    return [Note(path) for path in sorted(home.uploads.glob("*.jsonl"))]


def _records(path: Path) -> Iterator[dict[str, Any]]:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return
    for line in raw.splitlines():
        with contextlib.suppress(ValueError):
            record = json.loads(line)
            if isinstance(record, dict):
                yield record


def _begun(record: Mapping[str, Any]) -> Begun:
    if record["formatVersion"] != FORMAT_VERSION:
        raise ValueError("written by another version")
    return Begun(
        uri=str(record["uri"]),
        digest=str(record["digest"]),
        size=int(record["size"]),
        upload_id=str(record["uploadId"]),
        lease_id=str(record["leaseId"]),
        started=str(record["started"]),
        snapshot=str(record["snapshot"]),
        kept=bool(record["kept"]),
    )


def _camel(facts: Mapping[str, Any]) -> dict[str, Any]:
    from builder.as_json import camel

    return {camel(name): value for name, value in facts.items()}


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, separators=(",", ":")) + "\n"
