"""Several builds on a terminal: those that ended stay above, one moving line for each under way below."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from builder.cli.output import human_seconds
from builder.events import (
    Envelope,
    Note,
    OpenSink,
    RunFinished,
    StageFinished,
    StageStarted,
    StepFinished,
    StepStarted,
    WaitFinished,
    WaitStarted,
)
from builder.ui.closing import ERROR_STYLES, STATES
from builder.ui.console import make_console
from builder.ui.failure import error_lines
from builder.ui.tally import Tally, closing_line
from builder.ui.text import clean
from builder.ui.ticker import Ticker

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.text import Text

    from builder.ui.guarded import ContextSink
    from builder.ui.together import AnyBuild

REFRESH_SECONDS = 0.1


@dataclass(eq=False)
class _Line:
    """What is known of a build under way."""

    label: str
    since: float
    stage: str = ""
    step: str = ""
    waits: dict[str, float] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)

    @property
    def doing(self) -> str:
        if self.step:
            return f"{self.stage} {self.step}"
        return next(reversed(self.waits), "") or self.stage or "starting"


class TogetherTerminal:
    """Live display on `stream` of `total` builds. Leaving it, also by Ctrl-C, gives the cursor back."""

    def __init__(self, stream: TextIO, *, total: int, console: Console | None = None) -> None:
        from rich.live import Live
        from rich.spinner import Spinner

        self._console = console or make_console(stream)
        self._ascii = self._console.options.ascii_only
        self._spinner = Spinner("line" if self._ascii else "dots", style="cyan")
        self._lock = threading.RLock()
        self._lines: list[_Line] = []
        self._to_begin = total
        self._ticker = Ticker(self._beat, REFRESH_SECONDS)
        self._live = Live(console=self._console, auto_refresh=False, transient=True, get_renderable=self._now)

    def __enter__(self) -> Self:
        self._live.start()
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._ticker.stop()
        finally:
            self._lines.clear()
            self._live.stop()

    def sink(self, build: AnyBuild) -> ContextSink:
        """A build begins: it has a line of its own from now on."""
        with self._lock:
            line = _Line(clean(build.label), time.monotonic())
            self._lines.append(line)
            self._to_begin -= 1
        return _OfOne(self, line)

    def say(self, text: str) -> None:
        """A line about all of them."""
        self._print(clean(text), "dim")

    def take(self, line: _Line, envelope: Envelope) -> None:
        """Show one event of one build."""
        with self._lock:
            line.tally.take(envelope)
            match envelope.event:
                case StageStarted(stage=stage):
                    line.stage, line.step = stage, ""
                case StageFinished():
                    line.step = ""
                case StepStarted() as step:
                    line.step = f"{step.index}/{step.total} {step.name}"
                case StepFinished():
                    line.step = ""
                case WaitStarted(what=what):
                    line.waits[what] = time.monotonic()
                case WaitFinished(what=what):
                    line.waits.pop(what, None)
                case Note(level="warning", message=message):
                    self._print(f"  {line.label}: warning: {clean(message)}", "yellow")
                case RunFinished() as end:
                    self._end(line, end)

    def _end(self, line: _Line, event: RunFinished) -> None:
        if line in self._lines:
            self._lines.remove(line)
        self._live.refresh()  # before anything is printed above a line that is gone
        look = STATES[event.state]
        mark = look.ascii if self._ascii else look.mark
        self._print(f"{mark} {line.label}  {clean(closing_line(line.tally))}", f"bold {look.style}")
        for item in line.tally.artifacts:
            self._print(f"    {clean(item.run_output)}  {clean(item.id or item.uri or item.path)}", "")
        failure = line.tally.failure()
        for kind, text in error_lines(failure) if failure else ():
            prefix = {"error": "error: ", "hint": "hint: ", "output": "  | "}.get(kind, "  ")
            self._print(f"    {prefix}{text}", ERROR_STYLES[kind])

    def _print(self, text: str, style: str) -> None:
        from rich.text import Text

        self._console.print(Text(text, style=style), soft_wrap=True)

    def _beat(self) -> None:
        with self._lock:
            self._live.refresh()

    def _now(self) -> Group:
        from rich.console import Group
        from rich.text import Text

        with self._lock:
            width = max((len(line.label) for line in self._lines), default=0)
            shown = [self._moving(line, width) for line in self._lines]
            if self._to_begin > 0 and self._lines:
                shown.append(Text(f"  {self._to_begin} more to begin", style="dim", no_wrap=True))
            # A region higher than the screen cannot be erased again.
            return Group(*shown[-max(1, self._console.height - 2) :])

    def _moving(self, line: _Line, width: int) -> Text:
        from rich.text import Text

        spin = self._spinner.render(time.monotonic())
        seconds = time.monotonic() - line.since
        took = f"  {human_seconds(int(seconds)) if seconds >= 10 else f'{int(seconds)} s'}"
        # The names give way on a narrow terminal, the time does not.
        what = Text(f"{line.label:<{width}}  {clean(line.doing)}")
        what.truncate(max(8, self._console.width - len(took) - 6), overflow="ellipsis")
        shown = Text("  ", no_wrap=True, overflow="crop")
        shown.append_text(spin if isinstance(spin, Text) else Text("*"))
        shown.append(" ").append_text(what).append(took, style="dim")
        shown.truncate(max(1, self._console.width - 1), overflow="crop")
        return shown


class _OfOne(OpenSink):
    """The sink of one build."""

    def __init__(self, face: TogetherTerminal, line: _Line) -> None:
        self._face = face
        self._line = line

    def __call__(self, envelope: Envelope) -> None:
        self._face.take(self._line, envelope)
