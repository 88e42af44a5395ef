"""Repeats builds of one template, each by a process of the command as a person would start it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder import process
from builder.bench.results import AFTER_THE_END, Measured, MeasuredPhase
from builder.errors import (
    BuildError,
    BuildTimeoutError,
    CancelledError,
    EnvironmentProblem,
    ExitCode,
    GoldsmithError,
    PreflightError,
)
from builder.runs import latest
from builder.ui.phases import phase_label
from templates.files import STDIN

if TYPE_CHECKING:
    from builder.bench.home import BenchHome
    from builder.bench.template import BenchTemplate
    from builder.run_record import RunRecord

CASES = {
    "cold": "no layers are known",
    "warm": "only the warm base (the layer of the first boot) is known",
    "edited": "everything is known but the last customizer, which was edited",
    "unchanged": "nothing was changed",
}
# -P: a folder called "builder" beside the template is not ours.
_COMMAND = (sys.executable, "-P", "-m", "builder", "run", "-")
_KINDS: Mapping[ExitCode, type[GoldsmithError]] = {
    ExitCode.BAD_TEMPLATE: PreflightError,
    ExitCode.ENVIRONMENT: EnvironmentProblem,
    ExitCode.TIMED_OUT: BuildTimeoutError,
    ExitCode.CANCELLED: CancelledError,
}
_SLACK_SECONDS = 600.0
_LAST_LINES = 20


class Bench:
    """Measures in `place`. `folder` is where the template's relative paths begin, `minutes` its time limit;
    `variables` and `parameters` reach the builds by files that only this user can read.
    """

    def __init__(
        self,
        place: BenchHome,
        template: BenchTemplate,
        *,
        folder: Path,
        minutes: float,
        variables: Mapping[str, str],
        parameters: Mapping[str, Any] | None,
        strict: bool,
        say: Callable[[str], None],
    ) -> None:
        self._place = place
        self._template = template
        self._folder = folder
        self._limit = minutes * 60 + _SLACK_SECONDS
        self._say = say
        self._edits = 0
        words = [*_COMMAND, "--output-dir", str(place.out), *(["--strict"] if strict else [])]
        if variables:
            words += ["--var-file", str(place.private_file("variables.json", dict(variables)))]
        if parameters is not None:
            values = {"parameters": {name: {"value": value} for name, value in parameters.items()}}
            words += ["--parameters", str(place.private_file("parameters.json", values))]
        self._argv = words

    def run(self, cases: Sequence[str], times: int) -> list[Measured]:
        """Build `times` times for each case. Raises BuildError when one fails."""
        measured: list[Measured] = []
        # Whatever is made only once (a base, the verdict on KVM) must not count, nor be missing.
        self._say("preparing: a build that does not count")
        self._build("preparing", 0)
        for case in (case for case in CASES if case in cases):
            if case == "edited" and self._template.why_not:
                self._say(f"edited: left out: {self._template.why_not}")
                continue
            if case == "edited" and self._template.note:
                self._say(f"edited: {self._template.note}")
            if case == "unchanged" and self._edits:
                self._say("unchanged: a build that does not count, as the last one was an edited one")
                self._build("preparing", 0)
            for number in range(1, times + 1):
                measured.append(self._case(case, number))
                self._say(f"{case} {number}/{times}: {measured[-1].seconds:.2f} s")
        return measured

    def _case(self, case: str, number: int) -> Measured:
        if case in ("cold", "warm"):
            self._place.forget(keep_warm_base=case == "warm")
        if case == "warm" and number == 1 and not self._place.knows_warm_base:
            self._say("warm: there is no warm base, these builds begin cold")
        self._edits += case == "edited"
        return self._build(case, number, self._edits if case == "edited" else 0)

    def _build(self, case: str, number: int, edit: int = 0) -> Measured:
        self._place.begin_anew()
        start = time.monotonic()
        done = process.run(
            self._argv,
            timeout=self._limit,
            ok=[int(code) for code in ExitCode],
            stdin=self._template.text(edit),
            env={"GOLDSMITH_HOME": str(self._place.home.root)},
            cwd=self._folder,
        )
        seconds = time.monotonic() - start
        if done.exit_code != ExitCode.OK:
            raise self._failure(f"{case} {number}" if number else case, done)
        record = latest(self._place.home).read()
        return Measured(case, number, round(seconds, 3), record.guest_seconds, _phases(record, seconds))

    def _failure(self, which: str, done: process.Completed) -> GoldsmithError:
        said = [*done.stdout.splitlines(), *done.stderr.splitlines()][-_LAST_LINES:]
        try:
            message = latest(self._place.home).read().message
        except GoldsmithError:  # it was refused before there was a run
            message = ""
        kind = _KINDS.get(ExitCode(done.exit_code), BuildError)
        return kind(
            f"The build '{which}' ended with exit code {done.exit_code}{f': {message}' if message else '.'}",
            details=tuple(said),
            hint=f"Build it by itself first: build {self._template.file}",
        )


def folder_of(file: str) -> Path:
    """Where the relative paths of a template file begin."""
    return Path.cwd() if file == str(STDIN) else Path(file).absolute().parent


def _phases(record: RunRecord, seconds: float) -> tuple[MeasuredPhase, ...]:
    told = [MeasuredPhase(phase_label(item), item.where, item.seconds) for item in record.phases]
    after = seconds - record.guest_seconds - record.engine_seconds
    return (*told, MeasuredPhase(AFTER_THE_END, "engine", round(max(0.0, after), 3)))
