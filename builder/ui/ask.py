"""The question `--on-error ask` puts to the person at the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

from builder.ui.pause import pause, resume

if TYPE_CHECKING:
    from builder.redact import Redactor
    from templates.errors import GoldsmithError

Reply = Literal["cleanup", "keep", "retry", "shell"]
CHOICES: dict[str, Reply] = {"c": "cleanup", "k": "keep", "r": "retry", "s": "shell"}
QUESTION = "[c]lean up, [k]eep the disk, [r]etry the step from before it began, [s]hell into the guest? "


def ask_on_error(error: GoldsmithError, redactor: Redactor) -> Reply:
    """Show the error and wait for an answer. The end of input means clean up.

    The live display stands still meanwhile, and after "shell" until the next answer: the shell has
    the terminal then.
    """
    pause()
    reply: Reply = "cleanup"
    try:
        reply = _answer(error, redactor)
    finally:  # a cancelled build goes on being shown, too
        if reply != "shell":
            resume()
    return reply


def _answer(error: GoldsmithError, redactor: Redactor) -> Reply:
    print(redactor.scrub(f"\n{error.message}"), file=sys.stderr)  # noqa: T201 - a dialogue
    for line in error.details:
        print(redactor.scrub(f"  {line}"), file=sys.stderr)  # noqa: T201
    while True:
        print(QUESTION, end="", file=sys.stderr, flush=True)  # noqa: T201
        line = ""
        try:
            line = sys.stdin.readline()
        finally:
            if not line:  # nobody pressed Enter: what follows begins on a line of its own
                print(file=sys.stderr)  # noqa: T201
        if not line:
            return "cleanup"
        reply = CHOICES.get(line.strip().lower()[:1])
        if reply:
            return reply
