"""The second disk of an installation: a small ISO labelled OEMDRV with the kickstart and what it needs.

The kickstart itself holds no secret: keys and the subscription are files of their own beside it, taken
by the scripts that need them. So nothing of them is left in the installed system's copy of the kickstart.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.installer.kickstart import LABEL, KickstartError, enter_script
from builder.vm.access import BuildAccess
from builder.vm.seed import write_iso


@dataclass(frozen=True, slots=True)
class Registration:
    """A subscription; both are secrets."""

    organization: str
    activation_key: str

    def __repr__(self) -> str:
        return "Registration(****)"


@contextlib.contextmanager
def answers(
    target: Path, kickstart: str, access: BuildAccess, registration: Registration | None
) -> Iterator[Path]:
    """Write the ISO to `target` (mode 0600), and remove it when the block ends."""
    contents = {
        "ks.cfg": kickstart,
        "enter.sh": enter_script(access.user),
        "build-user.pub": access.client_key.public + "\n",
        "host_key": access.host_key.private,
        "host_key.pub": access.host_key.public + "\n",
    }
    if registration is not None:
        contents["subscription"] = _lines(registration)
    try:
        yield write_iso(target, contents, label=LABEL)
    finally:
        target.unlink(missing_ok=True)


def _lines(registration: Registration) -> str:
    """A line each, as a shell's `read -r` and a kickstart's quotes take them."""
    for name, value in (
        ("organization", registration.organization),
        ("activation key", registration.activation_key),
    ):
        if not value.isprintable() or set(value) & set("\"'\\ "):
            raise KickstartError(
                f"The {name} of the subscription holds a blank, a quote or a line break.",
                hint="It is one word; check where it comes from.",
            )
    return f"{registration.organization}\n{registration.activation_key}\n"


def boot_arguments(label: str, major: int, *, needs_network: bool) -> str:
    """What the installer's kernel is told. `label` is the medium's volume id.

    The console comes last: Anaconda shows itself on the last one. Source: Anaconda's "Boot options".
    """
    arguments = [
        f"inst.stage2=hd:LABEL={_escaped(label)}",
        # Said, though OEMDRV is looked for anyway: with it a missing kickstart is an error, not a menu.
        f"inst.ks=hd:LABEL={LABEL}:/ks.cfg",
        "inst.text",
        "inst.cmdline",
        # No copy of the kickstart and no log in the image; an installer too old for it passes over it.
        "inst.nosave=all",
        # GPT also for BIOS; from 10 on that is so by itself.
        *(("inst.gpt",) if major < 10 else ()),
        # The name the card will have in Azure.
        *("net.ifnames=0", "biosdevname=0"),
        *(("ip=dhcp",) if needs_network else ()),
        *("console=tty0", "console=ttyS0,115200n8"),
    ]
    return " ".join(arguments)


def _escaped(label: str) -> str:
    """As udev writes a label, which is how it is looked for."""
    plain = "#+-.:=@_"
    return "".join(
        char if (char.isascii() and char.isalnum()) or char in plain else f"\\x{ord(char):02x}"
        for char in label
    )
