"""The face for a person at a terminal: what is done stays above, what is going on moves below."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from builder.cli.output import human_seconds
from builder.events import (
    ArtifactProduced,
    Envelope,
    Event,
    Note,
    RunFinished,
    RunStarted,
    StageFinished,
    StageStarted,
    StepFinished,
    StepOutput,
    StepStarted,
    WaitFinished,
    WaitProgress,
    WaitStarted,
)
from builder.ui.closing import LOOKS, print_closing
from builder.ui.console import make_console
from builder.ui.pause import register, unregister
from builder.ui.tally import Tally, progress_text
from builder.ui.text import clean
from builder.ui.ticker import Ticker

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.text import Text

REFRESH_SECONDS = 0.1
SHOW_WAIT_AFTER = 1.0
# More than anyone reads in a tenth of a second; all of it is in the log.
LINES_PER_REFRESH = 200


@dataclass(slots=True)
class _Wait:
    since: float
    done: int = 0
    total: int = 0
    unit: str = ""


class TerminalSink:
    """Live display on `stream`. A context manager: leaving it, also by Ctrl-C, gives the cursor back."""

    def __init__(self, stream: TextIO, console: Console | None = None) -> None:
        from rich.live import Live
        from rich.spinner import Spinner

        self._console = console or make_console(stream)
        self._ascii = self._console.options.ascii_only
        self._spinner = Spinner("line" if self._ascii else "dots", style="cyan")
        self._bar = "|" if self._ascii else "│"
        self._lock = threading.RLock()
        self._ticker = Ticker(self._beat, REFRESH_SECONDS)
        self._tally = Tally()
        self._waits: dict[str, _Wait] = {}
        self._steps: dict[tuple[str, int], tuple[StepStarted, float]] = {}
        self._lines: list[str] = []
        self._flushed = 0.0
        self._paused = False
        self._live = Live(console=self._console, auto_refresh=False, transient=True, get_renderable=self._now)

    def __enter__(self) -> Self:
        self._live.start()
        self._ticker.start()
        register(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        unregister(self)
        try:
            self._ticker.stop()
            with self._lock:
                self._flush()
        finally:
            self._live.stop()

    def pause(self) -> None:
        """Stop redrawing and give the cursor back; events are still printed."""
        with self._lock:
            self._flush()
            self._paused = True
            self._live.stop()

    def resume(self) -> None:
        """Redraw again."""
        with self._lock:
            if self._paused:
                self._paused = False
                self._live.start()

    def __call__(self, envelope: Envelope) -> None:
        """Show one event."""
        event = envelope.event
        with self._lock:
            self._tally.take(envelope)
            if isinstance(event, StepOutput):
                self._lines.append(event.line)
                if time.monotonic() - self._flushed >= REFRESH_SECONDS:
                    self._flush()
                return
            if isinstance(event, WaitProgress):
                wait = self._waits.setdefault(event.what, _Wait(time.monotonic()))
                wait.done, wait.total, wait.unit = event.done, event.total, event.unit
                return
            self._flush()
            self._show(event)

    def _show(self, event: Event) -> None:  # noqa: PLR0912 - one case an event
        match event:
            case RunStarted():
                self._say((f"Building {event.template}", "bold"), (f"  run {event.run_id}", "dim"))
                self._say((f"Workspace {event.workspace}, logs in {event.log_dir}", "dim"), wrap=False)
            case StageStarted():
                self._say((f"\n{event.stage}", "bold cyan"))
            case StageFinished():
                if event.outcome != "succeeded":
                    self._ended(event.outcome, event.stage, event.seconds, "")
            case StepStarted():
                self._steps[event.stage, event.index] = (event, time.monotonic())
                kind = f"  {event.type}" if event.type != event.name else ""
                self._say((f"  {event.index}/{event.total} ", "cyan"), (event.name, "bold"), (kind, "dim"))
            case StepFinished():
                self._steps.pop((event.stage, event.index), None)
                self._ended(event.outcome, event.name, event.seconds, event.detail)
            case WaitStarted():
                self._waits[event.what] = _Wait(time.monotonic())
            case WaitFinished():
                self._waits.pop(event.what, None)
                if event.seconds >= SHOW_WAIT_AFTER:
                    self._say((f"  {event.what}  {human_seconds(event.seconds)}", "dim"))
            case Note(level="warning"):
                self._say(("  warning: ", "bold yellow"), (event.message, "yellow"))
            case Note():
                self._say((f"  {event.message}", "dim"))
            case ArtifactProduced():
                self._say((f"  made {event.run_output}", ""), (f"  {event.type}", "dim"))
            case RunFinished():
                self._waits.clear()
                self._steps.clear()
                if not self._paused:
                    self._live.refresh()
                print_closing(self._console, self._tally, ascii_only=self._ascii)

    def _ended(self, outcome: str, name: str, seconds: float, detail: str) -> None:
        look = LOOKS[outcome]
        mark = look.ascii if self._ascii else look.mark
        shown = f"  {detail}" if detail else ""
        word = "" if outcome == "succeeded" else f" {look.word}"
        self._say(
            (f"  {mark} ", look.style),
            (f"{name}{word}", look.style),
            (f"  {human_seconds(seconds)}{shown}", "dim"),
        )

    def _say(self, *parts: tuple[str, str], wrap: bool = True) -> None:
        """Print above the moving part. Text is cleaned here, so nothing reaches the screen raw."""
        from rich.text import Text

        line = Text(overflow="fold")
        for text, style in parts:
            line.append("\n".join(clean(piece) for piece in text.split("\n")), style=style)
        self._console.print(line, soft_wrap=not wrap)

    def _flush(self) -> None:
        from rich.text import Text

        self._flushed = time.monotonic()
        lines, self._lines = self._lines, []
        if not lines:
            return
        left_out = len(lines) - LINES_PER_REFRESH
        if left_out > 0:
            half = LINES_PER_REFRESH // 2
            lines = [*lines[:half], f"... {left_out} lines not shown, the log has them ...", *lines[-half:]]
        prefix = f"    {self._bar} "
        width = max(10, self._console.width - len(prefix))
        shown = Text()
        for line in lines:
            for piece in Text(clean(line)).wrap(self._console, width, overflow="fold") or [Text()]:
                piece.rstrip()
                shown.append(f"{prefix}{piece.plain}\n", style="dim")
        self._console.print(shown, end="", soft_wrap=True)

    def _beat(self) -> None:
        with self._lock:
            self._flush()
            if not self._paused:
                self._live.refresh()

    def _now(self) -> Group:
        """The moving part: the steps under way, and every wait longer than a second."""
        from rich.console import Group

        with self._lock:
            now = time.monotonic()
            lines = [
                self._moving(f"{step.stage} {step.index}/{step.total} {step.name}", now - since)
                for step, since in self._steps.values()
            ]
            for what, wait in self._waits.items():
                if now - wait.since >= SHOW_WAIT_AFTER:
                    lines.append(self._moving(what, now - wait.since, wait))
            # A region higher than the screen cannot be erased again.
            return Group(*lines[-max(1, self._console.height - 2) :])

    def _moving(self, what: str, seconds: float, wait: _Wait | None = None) -> Text:
        from rich.text import Text

        spin = self._spinner.render(time.monotonic())
        facts = Text()
        if wait is not None and wait.total:
            facts.append(f"{self._gauge(wait.done / wait.total)}  ", style="cyan")
        if wait is not None and wait.done:
            facts.append(f"{progress_text(wait.done, wait.total, wait.unit)}  ")
        facts.append(human_seconds(int(seconds)) if seconds >= 10 else f"{int(seconds)} s", style="dim")
        # The name gives way on a narrow terminal, the time does not.
        name = Text(clean(what))
        name.truncate(max(8, self._console.width - facts.cell_len - 7), overflow="ellipsis")
        line = Text("  ", no_wrap=True, overflow="crop")
        line.append_text(spin if isinstance(spin, Text) else Text("*"))
        line.append(" ").append_text(name).append("  ").append_text(facts)
        line.truncate(max(1, self._console.width - 1), overflow="crop")
        return line

    def _gauge(self, part: float) -> str:
        width = max(5, min(24, self._console.width // 4))
        full = round(width * min(1.0, max(0.0, part)))
        return ("#" * full + "." * (width - full)) if self._ascii else ("━" * full + "╌" * (width - full))
