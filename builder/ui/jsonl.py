"""`--events F|-`: every event as one JSON line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from builder.errors import UsageError
from builder.events import Envelope
from builder.ui.text import inert_json

_begun: set[Path] = set()


class JsonLinesSink:
    """Writes each event as a JSON object on a line of its own, at once."""

    def __init__(self, stream: TextIO, *, close: bool = False) -> None:
        self._stream = stream
        self._close = close

    @classmethod
    def to_file(cls, path: Path) -> JsonLinesSink:
        """A sink that makes `path` anew, once a process: the runs of `build a.json b.json` follow one
        another in it. Raises UsageError when it cannot be written.
        """
        place = path.absolute()
        try:
            stream = place.open("a" if place in _begun else "w", encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"Events cannot be written to {path}: {error.strerror}.",
                hint="--events takes a file in an existing folder, or - for stdout.",
            ) from error
        _begun.add(place)
        return cls(stream, close=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._close:
            self._stream.close()

    def __call__(self, envelope: Envelope) -> None:
        """Write one event."""
        self.write(envelope.to_json())

    def write(self, data: Mapping[str, Any]) -> None:
        """Write one line."""
        self._stream.write(inert_json(json.dumps(data, ensure_ascii=False, default=str)) + "\n")
        self._stream.flush()
