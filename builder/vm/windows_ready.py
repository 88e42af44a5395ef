"""When a Windows guest is done with its setup: sshd may answer while Windows Setup is still at work."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from builder.events import EventBus
from provisioners import powershell_text
from provisioners.guest import GuestError, GuestTimeoutError, LinkLostError

if TYPE_CHECKING:
    from provisioners.guest import Guest

COMPLETE = "IMAGE_STATE_COMPLETE"
SECONDS = 1800.0
"""How long Windows Setup may take after sysprep, at most."""
CLOCK_SECONDS = 120.0
"""A clock that is wrong by more is set: certificates are not valid before their time."""
_LOOK_SECONDS = 60.0
_POLL_SECONDS = 3.0
_EPOCH_SECONDS = 11_644_473_600  # from 1601, where Windows begins to count, to 1970

_LOOK = """\
$key = 'HKLM:\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Setup\\State'
$state = (Get-ItemProperty -Path $key -ErrorAction SilentlyContinue).ImageState
[Console]::Out.WriteLine("$state $([DateTime]::UtcNow.ToFileTimeUtc())")
exit 0
"""
_SET_CLOCK = """\
Set-Date -Date ([DateTime]::FromFileTimeUtc({filetime}).ToLocalTime()) | Out-Null
exit 0
"""


def await_windows(guest: Guest, timeout: float, bus: EventBus) -> None:
    """Wait until Windows Setup is over, then set a clock that is far off. Raises GuestTimeoutError.

    Setup restarts the guest on its way: a lost link is taken up again.
    """
    end = time.monotonic() + min(timeout, SECONDS)
    state = ""
    while True:
        left = end - time.monotonic()
        if left <= 0:
            raise GuestTimeoutError(
                "Windows Setup is not over in the guest.",
                details=(f"its ImageState: {state or 'unknown'}",),
                hint="See the screenshot in the failure bundle: does a window wait for somebody?",
            )
        try:
            answer = guest.run(powershell_text.command(_LOOK), timeout=min(_LOOK_SECONDS, left))
            state, ticks = _parsed(answer.stdout)
            if state == COMPLETE:
                _set_clock(guest, ticks, bus)
                return
        except LinkLostError:
            with contextlib.suppress(GuestTimeoutError):
                guest.reconnect(timeout=max(1.0, end - time.monotonic()))
        except GuestTimeoutError:
            pass  # a guest at work answers late; the limit above counts
        time.sleep(min(_POLL_SECONDS, max(0.0, end - time.monotonic())))


def _parsed(text: str) -> tuple[str, int]:
    words = text.split()
    ticks = words[-1] if words else ""
    return (words[0], int(ticks)) if len(words) == 2 and ticks.isdigit() else ("", 0)


def _set_clock(guest: Guest, ticks: int, bus: EventBus) -> None:
    """The hardware clock is in UTC, as Microsoft's guide for Azure images wants it (RealTimeIsUniversal);
    other images take it for local time.
    """
    off = ticks / 10_000_000 - _EPOCH_SECONDS - time.time()
    if abs(off) < CLOCK_SECONDS:
        return
    now = int((time.time() + _EPOCH_SECONDS) * 10_000_000)
    result = guest.run(powershell_text.command(_SET_CLOCK.format(filetime=now)), timeout=_LOOK_SECONDS)
    if result.exit_code:
        raise GuestError("The guest's clock could not be set.", details=result.tail)
    bus.note(f"The guest's clock was {off:+.0f} s off and is set.", code="Clock")
