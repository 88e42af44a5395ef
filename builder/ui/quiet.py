"""`--quiet`: errors, and at the end what was made."""

from __future__ import annotations

from types import TracebackType
from typing import Self, TextIO

from builder.events import Envelope, RunFinished
from builder.ui.failure import error_lines
from builder.ui.tally import Tally
from builder.ui.text import clean


class QuietSink:
    """One line an artifact (run output, type, path or address, id; parted by tabs) on `stream`, errors on
    `errors`.
    """

    def __init__(self, stream: TextIO, errors: TextIO) -> None:
        self._stream = stream
        self._errors = errors
        self._tally = Tally()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def __call__(self, envelope: Envelope) -> None:
        """Remember one event; speak at the end of the run."""
        self._tally.take(envelope)
        if not isinstance(envelope.event, RunFinished):
            return
        for item in self._tally.artifacts:
            cells = [item.run_output, item.type, item.path or item.uri, *([item.id] if item.id else [])]
            self._stream.write("\t".join(clean(cell) for cell in cells) + "\n")
        self._stream.flush()
        failure = self._tally.failure()
        for kind, text in error_lines(failure) if failure else ():
            prefix = {"error": "error: ", "hint": "hint: ", "output": "  | "}.get(kind, "  ")
            self._errors.write(prefix + text + "\n")
        self._errors.flush()
