"""How an installation goes wrong, and the signs of it on the serial console.

Sources of the texts: dracut's and Anaconda's own modules of it (anaconda-lib.sh, fetch-kickstart-disk),
pyanaconda's exception handling and payload, cdebconf's text front end, and logs that people published.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from builder.errors import BuildError, BuildTimeoutError


class InstallationError(BuildError):
    """The installer gave up, stopped, or left a system that is not whole."""

    code = "InstallationFailed"


class InstallationTimeoutError(BuildTimeoutError):
    """The installation took longer than its own limit."""

    code = "InstallationTimeout"


@dataclass(frozen=True, slots=True)
class Sign:
    """A line that means trouble. `message` completes "The installer of X ..."; `{0}`, `{1}` are the pattern's
    groups, with `next_line` the line that comes after. `lasting`: nothing else follows but a prompt.
    `prompt`: the line does not end.
    """

    pattern: re.Pattern[str]
    message: str
    hint: str
    lasting: bool = True
    next_line: bool = False
    prompt: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """A sign that was seen: what to say, what to do, and whether there is no hope left."""

    message: str
    hint: str
    lasting: bool


_ANSWERS = "x-goldsmith.kickstart is yours to correct; if there is none, this is a mistake of Goldsmith's."
_MEMORY = "Raise x-goldsmith.memoryMiB."
_MEDIUM = (
    "Compare the ISO's sha256 with its maker's; say with x-goldsmith.osVariant what is on it if it does not."
)
_PACKAGES = (
    "Take the DVD, which has packages; or check that x-goldsmith.repositories can be reached from here."
)
_DISK = "Raise x-goldsmith.diskSizeGB."


def _sign(pattern: str, message: str, hint: str, **kind: bool) -> Sign:
    return Sign(re.compile(pattern), message, hint, **kind)


_KERNEL = (
    _sign(
        r"CPU does not support (x86-64-v\d)",
        "needs a processor of level {0}, which the VM does not have",
        "It needs hardware virtualisation (KVM) on a processor of that level; see build doctor.",
    ),
    _sign(r"Kernel panic - not syncing: System is deadlocked on memory", "ran out of memory", _MEMORY),
    _sign(r"Initramfs unpacking failed: (.*)", "could not unpack its initramfs ({0})", _MEMORY),
    _sign(r"Kernel panic - not syncing: (.*)", "ended in a kernel panic: {0}", "See the serial log."),
    _sign(r"Out of memory: Kill(?:ed)? process \d+ \((\S+?)\)", "ran out of memory: {0} was killed", _MEMORY),
    _sign(
        r"No space left on device",
        "ran out of space on the disk, or in memory",
        "Raise x-goldsmith.diskSizeGB; when that is large enough, memoryMiB.",
        lasting=False,
    ),
)

_ANACONDA = (
    _sign(
        r"Can't get kickstart from (\S+)",
        "could not read the answers at {0}",
        "The answers' disk was written by this build: is the host's disk full?",
    ),
    _sign(
        r"(?:following problem occurred on line (\d+)|problem reading from line (\d+)) of the kickstart file",
        "refused line {0}{1} of the kickstart",
        _ANSWERS,
    ),
    _sign(
        r"error occurred during reading (?:of )?the kickstart file",
        "refused the kickstart: {0}",
        _ANSWERS,
        next_line=True,
    ),
    _sign(
        r"Can't have a question in command line mode",
        "had a question that nobody can answer",
        "A kickstart of your own has to answer everything; its log says what is missing.",
    ),
    _sign(r"Error setting up (base repository|software source)", "found no packages: no {0}", _PACKAGES),
    _sign(r"Failed to download metadata for repo '([^']+)'", "could not read the repository {0}", _PACKAGES),
    _sign(r"Cannot (?:retrieve|find a valid).*repo", "could not read a repository", _PACKAGES),
    _sign(r"There are no enabled repo", "found no repository to install from", _PACKAGES),
    _sign(
        r"Unable to allocate requested partition scheme|not enough (?:free )?space on (?:selected )?disks?",
        "could not lay its partitions out on the disk",
        _DISK,
    ),
    _sign(
        r"needs (\d+\s*\S+) (?:more space )?on the (\S+) filesystem",
        "lacks {0} on the file system {1}",
        _DISK,
    ),
    _sign(
        r"No usable disks|Unable to find any usable disks|No disks selected",
        "found no disk",
        "Its kernel has no virtio driver; is that really what the medium installs?",
    ),
    _sign(r"Non interactive installation failed: (.*)", "stopped: {0}", "See the serial log."),
    _sign(r"The exact error message is:", "stopped: {0}", "See the serial log.", next_line=True),
    _sign(r"An unknown error has occurr?ed", "stopped because of an unknown error", "See the serial log."),
    _sign(r"Pane is dead", "died ('Pane is dead')", "See the serial log for its last words."),
    _sign(
        r"Warning: (/dev/(?!root\b)\S+) does not exist",
        "did not find {0} and stopped in dracut's emergency shell",
        _MEDIUM,
    ),
    _sign(
        r"Warning: /dev/root does not exist|Enter(?:ing)? emergency mode|Dracut Emergency Shell|^dracut:/#",
        "did not find its own second part (stage 2) and stopped in dracut's emergency shell",
        _MEDIUM,
        prompt=True,
    ),
)

_DEBIAN = (
    _sign(
        r"!! ERROR: (.+)",
        "stopped: {0}",
        "Its last lines say more; the package mirror (setting debian_mirror) must be whole.",
    ),
    _sign(
        r"^Prompt: .*'\?' for help",
        "asks a question that nobody can answer",
        "See its last lines for the question.",
        prompt=True,
    ),
)

SIGNS = {"anaconda": (*_KERNEL, *_ANACONDA), "debian": (*_KERNEL, *_DEBIAN)}

REMARKS = re.compile(
    r"anaconda: failed to fetch|^error: |^Error: |^E: |^Traceback \(most recent|Warning: (?!/dev)"
    r"|failed to download"
)
"""Lines that are no failure by themselves, but explain one."""
