"""The root of Goldsmith's one error family.

It lives in the lowest package so that `templates`, `provisioners` and `builder` share it without
importing upwards.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Process exit codes, part of the command's contract (docs/reference.md)."""

    OK = 0
    BUILD_FAILED = 1
    BAD_TEMPLATE = 2
    ENVIRONMENT = 3
    TIMED_OUT = 4
    PARTIALLY_DISTRIBUTED = 5
    CANCELLED = 130


class GoldsmithError(Exception):
    """An error with everything a person needs to go on.

    `message` says what is wrong in one sentence, `details` are further lines (what was expected,
    the last output), `hint` says what to do. `code` is stable and machine readable (CamelCase).
    """

    code: ClassVar[str] = "GoldsmithError"
    exit_code: ClassVar[ExitCode] = ExitCode.BUILD_FAILED
    bundle: str = ""
    """The directory with everything collected about this failure; empty when there is none."""

    def __init__(self, message: str, *, details: tuple[str, ...] = (), hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class UsageError(GoldsmithError):
    """A wrong option, argument or setting."""

    code = "Usage"
    exit_code = ExitCode.BAD_TEMPLATE
