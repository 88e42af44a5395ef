"""The plain face in a CI service: stages fold, warnings and errors are annotations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, TextIO

from builder.events import Event, Note, RunFinished, StageFinished, StageStarted
from builder.ui.ci.service import Level, Service, Where
from builder.ui.diagnostics.places import below_here
from builder.ui.failure import error_lines
from builder.ui.plain import PlainSink
from builder.ui.text import clean


class CiSink(PlainSink):
    """Writes what PlainSink writes, and the service's commands beside it. What a guest writes is none:
    `clean` sees to that.
    """

    def __init__(self, stream: TextIO, service: Service) -> None:
        super().__init__(stream)
        self._service = service
        self._open = ""

    def _show(self, event: Event, at: datetime) -> None:
        match event:
            case StageStarted():
                self._fold(event.stage)
            case RunFinished():
                self._fold("")
        super()._show(event, at)
        match event:
            case StageFinished() if event.stage == self._open:
                self._fold("")
            case Note(level="warning"):
                self._command(
                    self._service.annotation("warning", event.code or "Warning", clean_lines(event.message))
                )
            case RunFinished() if event.error is not None:
                failure = self._tally.failure() or event.error
                for text in annotations_of(failure, self._service):
                    self._command(text)

    def _fold(self, title: str) -> None:
        """Close the group that is open, and open one called `title`: none of these services has groups in
        groups.
        """
        if self._open:
            self._command(self._service.close_group(self._open))
        self._open = title
        if title:
            self._command(self._service.open_group(title))

    def _command(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def annotations_of(error: Mapping[str, Any], service: Service) -> Iterator[str]:
    """The annotations of an error (as `error_to_dict` has it): one for each problem of a template, at its
    line; for anything else one with all that is told.
    """
    problems = error.get("diagnostics") or ()
    for item in problems:
        hint = f"\nhint: {item['hint']}" if item.get("hint") else ""
        where = Where(below_here(str(item["file"])), int(item["line"]), int(item["column"]))
        level: Level = "error" if item["severity"] == "error" else "warning"
        text = clean_lines(f"{item['message']}{hint}")
        yield service.annotation(level, str(item["code"]), text, where)
    if not problems:
        text = "\n".join(text for kind, text in error_lines(error) if kind != "output")
        yield service.annotation("error", str(error.get("code") or "Error"), clean_lines(text))


def clean_lines(text: str) -> str:
    """`text` without controls, its lines kept."""
    return "\n".join(clean(line) for line in text.split("\n"))
