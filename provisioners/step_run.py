"""One step under way on one guest: its time, its link, its last lines."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from provisioners.base import ConnectionLostError, RestartedError, StepContext, StepError, StepTimeoutError
from provisioners.guest import (
    CommandResult,
    Guest,
    GuestError,
    GuestTimeoutError,
    LinkLostError,
    Stream,
)

TAIL_LINES = 40
ERROR_LINES = 10
"""Lines of stderr that the tail keeps however much stdout follows them."""
SHORT_SECONDS = 60.0
"""For commands that only look or tidy up."""
START_SECONDS = 300.0
"""How long a step waits for a guest that the step before restarted, as Packer does (aib-behaviour 4)."""
RETURN_SECONDS = 600.0
"""How long a guest that went away is waited for, to learn what became of it."""


class StepRun:
    """Runs a step's commands within its time, and tells a lost link from a restarted guest."""

    def __init__(self, guest: Guest, context: StepContext) -> None:
        self.guest = guest
        self.context = context
        self._end = time.monotonic() + context.timeout
        self._boot_id = ""
        self._lines = itertools.count()
        self._tail: deque[tuple[int, str]] = deque(maxlen=TAIL_LINES)
        self._errors: deque[tuple[int, str]] = deque(maxlen=ERROR_LINES)

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines the step wrote, oldest first; its last words on stderr are always among them.

        SSH keeps no order between the two streams: what a script said last on stderr may arrive
        before a hundred older lines of stdout.
        """
        kept = dict(self._errors)
        for number, line in reversed(self._tail):
            if len(kept) == TAIL_LINES:
                break
            kept[number] = line
        return tuple(kept[number] for number in sorted(kept))

    def remaining(self, cap: float | None = None) -> float:
        """Seconds left of the step's time, at most `cap`. Raises StepTimeoutError when none are."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.timed_out()
        return left if cap is None else min(left, cap)

    def timed_out(self) -> StepTimeoutError:
        """The error that says the step's time is over."""
        return StepTimeoutError(
            f"It did not finish within {self.context.timeout:.0f} s.",
            tail=self.tail,
            hint="Set x-goldsmith.timeout of the step or properties.buildTimeoutInMinutes higher, "
            "or look for a command that waits for input.",
        )

    def begin(self) -> None:
        """Note which boot the step starts in. A guest that the step before restarted is waited for."""
        try:
            self._boot_id = self.guest.boot_id(timeout=self.remaining(SHORT_SECONDS))
        except GuestError:
            try:
                self.guest.reconnect(timeout=self.remaining(START_SECONDS))
                self._boot_id = self.guest.boot_id(timeout=self.remaining(SHORT_SECONDS))
            except GuestError as error:
                raise ConnectionLostError(
                    "The guest did not answer when the step began.",
                    details=(error.message,),
                    hint="Did the step before shut the guest down? The serial log says more.",
                ) from error

    def run(self, argv: Sequence[str], *, stdin: bytes | None = None) -> CommandResult:
        """Run the step's own command, its output live. Raises StepError when nobody knows how it ended."""
        try:
            result = self.guest.run(argv, timeout=self.remaining(), stdin=stdin, on_output=self._output)
        except LinkLostError as error:
            raise self._link_lost() from error
        except GuestTimeoutError as error:
            raise self.timed_out() from error
        if result.exit_code < 0:
            # sshd went away before it could tell: the protocol calls it a missing exit status.
            raise self._link_lost()
        return result

    def look(self, argv: Sequence[str], *, stdin: bytes | None = None) -> CommandResult:
        """Run a short command of our own; its output goes nowhere."""
        try:
            return self.guest.run(argv, timeout=self.remaining(SHORT_SECONDS), stdin=stdin)
        except LinkLostError as error:
            raise self._link_lost() from error

    def put(self, content: bytes | Path, destination: str, *, mode: int) -> None:
        """Upload a file of our own."""
        try:
            self.guest.put(content, destination, timeout=self.remaining(), mode=mode)
        except LinkLostError as error:
            raise self._link_lost() from error
        except GuestTimeoutError as error:
            raise self.timed_out() from error

    def say(self, line: str) -> None:
        """Tell the person something beside the step's own output."""
        self._output("stderr", f"goldsmith: {line}")

    def failed(self, exit_code: int, *, hint: str | None = None) -> StepError:
        """The error for a command that ended with a code that is not accepted."""
        return StepError(
            f"The script ended with exit code {exit_code}{_meaning(exit_code)}.",
            exit_code_of_step=exit_code,
            tail=self.tail,
            hint=hint,
        )

    def _output(self, stream: Stream, line: str) -> None:
        numbered = next(self._lines), line
        self._tail.append(numbered)
        if stream == "stderr":
            self._errors.append(numbered)
        self.context.on_output(stream, line)

    def _link_lost(self) -> StepError:
        """Find out what became of the guest: restarted, only the link, or gone."""
        try:
            self.guest.reconnect(timeout=self.remaining(RETURN_SECONDS))
            now = self.guest.boot_id(timeout=self.remaining(SHORT_SECONDS))
        except StepTimeoutError as error:
            return error
        except GuestError as error:
            return ConnectionLostError(
                "The connection to the guest was lost and the guest did not answer again.",
                tail=self.tail,
                details=(error.message,),
                hint="The script may have shut the guest down, stopped sshd or taken the network away.",
            )
        if now != self._boot_id:
            return RestartedError(
                "The script restarted the guest.",
                tail=self.tail,
                hint="Put a customizer of type x-LinuxRestart (Windows: WindowsRestart) after the script "
                "instead. If the script restarts nothing, the step before it did, at its very end.",
            )
        return ConnectionLostError(
            "The connection to the guest was lost while the script ran; the guest did not restart.",
            tail=self.tail,
            hint="Does the script restart sshd, change the firewall or the network? How the script ended "
            "is unknown.",
        )


def _meaning(exit_code: int) -> str:
    meanings = {126: " (not executable)", 127: " (a command was not found)", 137: " (killed, SIGKILL)"}
    return meanings.get(exit_code, "")
