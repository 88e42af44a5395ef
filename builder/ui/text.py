"""Making text from a guest safe to show: no cursor movements, no bells, no commands, no surprises."""

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
# What CI services take for a command: Azure's agent looks for `##vso[` anywhere in a line, GitHub's runner
# for its older `##[` as well; its newer `::name facts::` may have blanks before it. Sources: Command.TryParse
# of the agent, ActionCommand.TryParse and TryParseV2 of the runner.
_ANYWHERE = re.compile(r"##(?=(?:vso)?\[)", re.IGNORECASE)
_AT_THE_BEGINNING = re.compile(r"^([^\S\n]*):(?=:[a-z_-]+(?: [^\n]*?)?::)", re.IGNORECASE | re.MULTILINE)


def clean(line: str) -> str:
    """`line` without terminal controls and `inert`.

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
    return inert(_CONTROLS.sub("", text.expandtabs(_TAB)))


def inert(text: str) -> str:
    """`text`, which somebody else wrote, with an underscore in what a CI service would take for a command.
    Always, not only where we see a service: a container in a pipeline does not know of it.
    """
    if "##" not in text and "::" not in text:
        return text
    return _AT_THE_BEGINNING.sub(r"\1:_", _ANYWHERE.sub("#_#", text))


def inert_json(text: str) -> str:
    """JSON that means the same as `text`, which is JSON, and is no command of a CI service."""
    return _ANYWHERE.sub(r"#\\u0023", text)
