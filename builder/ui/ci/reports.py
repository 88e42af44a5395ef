"""Files about a whole command, written when it ends: a summary, outputs, JUnit."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from builder.errors import UsageError
from builder.events import Envelope, Sink
from builder.ui.ci.junit import validators_xml
from builder.ui.ci.outputs import azure_lines, output_lines, outputs_of
from builder.ui.ci.service import Service
from builder.ui.ci.summary import markdown
from builder.ui.tally import Tally


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which files. None: what the service itself offers, if any; `junit` is written only when asked for."""

    summary: Path | None = None
    outputs: Path | None = None
    junit: Path | None = None

    def check(self) -> None:
        """Raises UsageError for a file whose folder is not there."""
        for option, file in (
            ("--summary", self.summary),
            ("--outputs", self.outputs),
            ("--junit", self.junit),
        ):
            if file is not None and not file.absolute().parent.is_dir():
                raise UsageError(f"{option} {file}: there is no folder {file.absolute().parent}.")
            if file is not None and file.is_dir():
                raise UsageError(f"{option} {file}: this is a folder.", hint="Name a file.")


class _Taking:
    """Fills a tally."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def __call__(self, envelope: Envelope) -> None:
        self._tally.take(envelope)


@dataclass
class Reports:
    """A context: `sink()` for each build, and at the end the files. A file that cannot be written is a
    warning: the build is what it is. What a service is told in its log goes to `stream`.
    """

    wanted: Wanted
    service: Service | None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    stream: TextIO = field(default_factory=lambda: sys.stdout)
    _tallies: list[Tally] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tallies = [tally for tally in self._tallies if tally.started is not None]
        if tallies:
            self._write(tallies)

    def sink(self) -> Sink:
        """For the events of one build."""
        self._tallies.append(Tally())
        return _Taking(self._tallies[-1])

    def _write(self, tallies: Sequence[Tally]) -> None:
        name = self.service.name if self.service is not None else ""
        own = self.environ.get("GITHUB_STEP_SUMMARY") if name == "github" else None
        text = markdown(tallies)
        if self.wanted.summary is not None:
            _put(self.wanted.summary, text, append=False)
        if own:
            _put(Path(own), text, append=True)
        if name == "azure" and self.wanted.summary is not None:
            self.stream.write(f"##vso[task.uploadsummary]{self.wanted.summary.absolute()}\n")
        found = outputs_of(tallies)
        own = self.environ.get("GITHUB_OUTPUT") if name == "github" else None
        if self.wanted.outputs is not None:
            _put(self.wanted.outputs, output_lines(found), append=False)
        if own:
            _put(Path(own), output_lines(found), append=True)
        if name == "azure":
            self.stream.write(azure_lines(found))
        if self.wanted.junit is not None:
            _put(self.wanted.junit, validators_xml(tallies), append=False)
        self.stream.flush()


def _put(file: Path, text: str, *, append: bool) -> None:
    try:
        # A path may hold what is no text: it is told as well as can be.
        with file.open("a" if append else "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
    except OSError as error:
        sys.stderr.write(f"warning: {file} was not written: {error.strerror}\n")
