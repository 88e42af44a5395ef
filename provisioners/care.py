"""What a Linux guest needs so that its life can be interrupted: before its disk and memory are frozen,
and after they were brought back, perhaps days later and for the tenth time.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from importlib import resources
from typing import Final

from provisioners.deprovision import LINUX_DEFAULT, LINUX_PATH
from provisioners.environment import posix_quote
from provisioners.guest import Guest, GuestError
from provisioners.shell import elevated

CALM_SECONDS: Final = 180.0
SETTLE_SECONDS: Final = 120.0
WAKE_SECONDS: Final = 120.0
GROW_SECONDS: Final = 180.0
_RANDOM_BYTES = 64


class CareError(GuestError):
    """The guest did not do what it needs before or after a snapshot."""

    code = "GuestCare"


@dataclass(frozen=True, slots=True)
class Settled:
    """What a guest said before it is frozen. `volatile`: files that a boot of its disk would not bring
    back (its /tmp, and what is mounted in memory); `sessions`: the processes of the connection it was asked
    over, which a restored guest still holds.
    """

    volatile: tuple[str, ...]
    sessions: tuple[int, ...]


def calm(guest: Guest) -> None:
    """Wait until the boot is over and stop the timers: a clock that jumps would start them all at once,
    and nobody wants an unattended upgrade in the middle of a build. Nothing of it is on the disk.
    """
    _run(guest, "calm", "", CALM_SECONDS, root=True)


def settle(guest: Guest) -> Settled:
    """Bring everything to the disk and say what it does not hold."""
    ours = f"ours={posix_quote(LINUX_PATH)}\nour_text={posix_quote(LINUX_DEFAULT)}\n"
    text = _run(guest, "settle", ours, SETTLE_SECONDS)
    volatile: list[str] = []
    sessions: list[int] = []
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "volatile":
            volatile.append(rest)
        elif word == "session" and rest.isdigit():
            sessions.append(int(rest))
    return Settled(tuple(volatile), tuple(sessions))


def wake(guest: Guest, sessions: tuple[int, ...]) -> str:
    """Set the clock, stir the random numbers, end the connection that was left. Returns the boot id.

    Raises CareError.
    """
    settings = (
        f"now={time.time():.3f}\n"
        f"fresh={posix_quote(secrets.token_hex(_RANDOM_BYTES))}\n"
        f"sessions={posix_quote(' '.join(map(str, sessions)))}\n"
    )
    return _run(guest, "wake", settings, WAKE_SECONDS, root=True).strip()


def grow(guest: Guest) -> str:
    """Let the root file system take what room the disk has gained. Returns what could not be done; ""."""
    text = _run(guest, "grow", "", GROW_SECONDS, root=True)
    return "" if text.strip() == "grown" else text.strip()


def _run(guest: Guest, function: str, settings: str, seconds: float, *, root: bool = False) -> str:
    script = resources.files("provisioners").joinpath("care_linux.sh").read_text(encoding="utf-8")
    # On stdin: fresh random bytes are for nobody's process list.
    text = f"{settings}{script}\n{function}\n"
    argv = elevated(guest, ["sh", "-s"]) if root else ["sh", "-s"]
    result = guest.run(argv, timeout=seconds, stdin=text.encode())
    if result.exit_code != 0:
        raise CareError(
            f"The guest could not be prepared ({function}, exit code {result.exit_code}).",
            details=result.tail[-10:],
        )
    return result.stdout
