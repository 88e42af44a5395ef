"""Making text from a guest safe to show: no cursor movements, no bells, no surprises."""

from __future__ import annotations

import re

# CSI, OSC (ended by BEL or ST), other string controls, and the two- and three-byte escapes.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\|$)"
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\|$)"
    r"|\x1b[ -/]*[0-~]"
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
# What is left of control characters; also the bidirectional overrides that can make a line lie.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_TAB = 4


def clean(line: str) -> str:
    """`line` without terminal controls.

    A progress bar that rewrites its line with carriage returns or erases shows its last state; a
    backspace takes a character back; tabs become blanks.
    """
    text = _ESCAPES.sub("", line)
    if "\r" in text:
        parts = [part for part in text.split("\r") if part.strip()]
        text = parts[-1] if parts else ""
    if "\b" in text:
        kept: list[str] = []
        for char in text:
            if char != "\b":
                kept.append(char)
            elif kept:
                kept.pop()
        text = "".join(kept)
    return _CONTROLS.sub("", text.expandtabs(_TAB))
