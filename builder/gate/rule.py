"""What a rule is, and what it may say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from builder.gate.subject import Subject

Severity = Literal["error", "warning"]
"""error: Azure refuses it, it would not start or be provisioned, or the page forbids it. warning: advice."""

Outcome = Literal["ok", "failed", "warning", "waived", "unknown", "notApplicable"]

_PAGES = "https://learn.microsoft.com/en-us/azure/virtual-machines/"
LINUX = _PAGES + "linux/create-upload-generic"
UPLOAD = _PAGES + "linux/disks-upload-vhd-to-managed-disk-cli"
WINDOWS = _PAGES + "windows/prepare-for-upload-vhd-image"
GENERATION = _PAGES + "generation-2"
GENERALIZE = _PAGES + "generalize"


class Unknown(Exception):
    """Nobody here can tell; the text says why ("partition 2 holds LVM")."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What a check found wrong: in a sentence, what to do about it, and what was seen where.

    `severity` is given where it differs from its rule's.
    """

    message: str
    fix: str = ""
    evidence: str = ""
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What a check saw that is as it should be, in a few words."""

    text: str


Check = Callable[["Subject"], Iterator[Fault | Seen]]
"""Looks at the facts, and at nothing else. Raises Unknown where it has nothing to look at; what it found
before stands.
"""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of Azure's with a name for good, and the page that has it. `applies` says why it does not."""

    name: str
    title: str
    page: str
    severity: Severity
    check: Check
    applies: Callable[[Subject], str] = lambda _subject: ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault under the name of its rule."""

    rule: str
    severity: Severity
    message: str
    fix: str
    evidence: str


def linux_only(subject: Subject) -> str:
    """For rules about a Linux guest."""
    return "a rule for Linux" if subject.os_type == "Windows" else ""
