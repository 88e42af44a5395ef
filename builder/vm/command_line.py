"""An argv as the one string that SSH carries, for the shell that sshd hands it to."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence
from typing import Literal

from builder.sources.base import OsType
from provisioners.environment import powershell_quote
from provisioners.guest import GuestError

WindowsShell = Literal["cmd", "powershell"]
WINDOWS_LIMIT = 8191
"""Characters of a command line that cmd.exe takes (Microsoft's support article 830473)."""

PROBE = "echo goldsmith-$PID"
"""Tells the shells apart: cmd.exe says it as it is, PowerShell knows a number for it, others know nothing."""


def command_line(argv: Sequence[str], os_type: OsType, shell: WindowsShell = "cmd") -> str:
    """Linux: for a POSIX login shell; a further command after it keeps the shell alive, so that a
    program killed by a signal yields 128+N instead of no exit code. Windows: quoted for CreateProcess,
    for sshd's default cmd.exe; the metacharacters of cmd are the caller's business (encode). Where
    OpenSSH's DefaultShell is PowerShell, it says the exit code itself: else every failure would be 1.

    Raises GuestError when Windows would cut it off.
    """
    if os_type == "Linux":
        return f"{shlex.join(argv)}; exit $?"
    if shell == "powershell":
        words = " ".join(_plain_or_quoted(word) for word in argv)
        line = f"& {words}; exit $LASTEXITCODE"
    else:
        line = subprocess.list2cmdline(argv)
    if len(line) > WINDOWS_LIMIT:
        raise GuestError(
            f"A command of {len(line)} characters is too long for Windows, which takes {WINDOWS_LIMIT}.",
            hint="Put what it does into a script.",
        )
    return line


def shell_of(answer: str) -> WindowsShell:
    """The shell that gave this answer to PROBE. Raises GuestError for one we cannot talk to."""
    text = answer.strip()
    if "goldsmith-$PID" in text:
        return "cmd"
    if re.search(r"goldsmith-\d+", text):
        return "powershell"
    raise GuestError(
        "The guest's SSH server runs commands by a shell that is neither cmd.exe nor PowerShell.",
        details=(f"it answered: {text[:200]}",) if text else (),
        hint="Remove the value DefaultShell of HKLM\\SOFTWARE\\OpenSSH in the image.",
    )


def _plain_or_quoted(word: str) -> str:
    harmless = word and all(letter.isalnum() or letter in "-./\\:_=+" for letter in word)
    return word if harmless and word[0] != "@" else powershell_quote(word)
