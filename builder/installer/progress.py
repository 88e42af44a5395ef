"""Where an installer is, read from the serial console. Pure: bytes go in, facts come out."""

from __future__ import annotations

import codecs
import re
from collections import deque
from dataclasses import dataclass

from builder.installer.failure import REMARKS, SIGNS, Sign, Trouble
from builder.installer.installation import MARKER, Family

TAIL_LINES = 25
_MOST_REMARKS = 8
# A new position of the cursor begins what a person sees as a line; everything else only colours it.
_MOVES = re.compile(r"\x1b\[\d*(?:;\d*)?[Hf]|\r+\n?|\n")
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-9;?<=>]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][0-9A-B]|[ -/]*[0-~])"
    r"|[\x00-\x08\x0b-\x1f\x7f]"
)
_STARTED_ESCAPE = re.compile(r"\x1b[^@-~]*\Z|\x1b\[[0-9;?<=>]*\Z")
_PREFIX = re.compile(r"^\[\s*\d+\.\d+\]\s+|^[A-Za-z][\w-]*\[\d+\]:\s*")
# What tmux writes below Anaconda's output, on the same line for a log.
_STATUS_LINE = re.compile(r"\[anaconda\]\s?1:main\*.*?(?:Help: F1|$)")
# Quotes before it: somebody shows the script that says it.
_MARKER = re.compile(rf"(?<!['\"]){MARKER} (begun|installed|configured|warning|has|failed)\b ?(.*)")


@dataclass(frozen=True, slots=True)
class _Phase:
    """A part of an installation, by the first thing that is heard of it. Counts: groups `done`, `total`."""

    name: str
    pattern: re.Pattern[str]


def _phase(name: str, pattern: str) -> _Phase:
    return _Phase(name, re.compile(pattern))


BOOTING = "starting"
_ANACONDA = (
    _phase(BOOTING, r"^Linux version |Command line: "),
    _phase("looking for the medium", r"dracut|Reached target .*initrd|Welcome to .*[Ii]nit"),
    _phase(
        "loading the installer",
        r"/run/install/repo|Switching root|Starting installer, one moment|install\.img",
    ),
    _phase("reading the answers", r"^anaconda \S+ for .* started|Starting automated install|^begun$"),
    _phase(
        "checking the answers",
        r"^Checking (?:software selection|storage configuration)|Generating updated storage configuration",
    ),
    _phase(
        "setting up the disk",
        r"Setting up the installation environment|^Configuring storage|^Creating (?:disklabel|\w+) on /",
    ),
    _phase(
        "installing packages",
        r"Starting package installation|Preparing transaction|^Downloading (?:packages|\d+ RPMs)"
        r"|^(?:Installing|Upgrading) \S+ \((?P<done>\d+)/(?P<total>\d+)\)",
    ),
    _phase(
        "setting up the new system", r"Performing post-installation setup|^Configuring (?:installed|addons)"
    ),
    _phase("installing the boot loader", r"^Installing boot loader"),
    _phase("making the initramfs", r"^Generating initramfs"),
    _phase("running the scripts at the end", r"^Running post-installation scripts|^installed$"),
    _phase("powering off", r"^configured$|Power down|Powering off|Reached target .*Power-Off"),
)
_DEBIAN = (
    _phase(BOOTING, r"^Linux version |Command line: "),
    _phase("reading the answers", r"^begun$"),
    _phase("finding the network", r"[Cc]onfigur\w+ the network|Network autoconfiguration"),
    _phase("loading the installer", r"[Ll]oading additional components|[Dd]ownload(?:ing)? installer comp"),
    _phase("setting up the disk", r"[Ss]tarting up the partitioner|Partitions formatting"),
    _phase("installing the base system", r"[Ii]nstalling the base system|Installing base system"),
    _phase("installing packages", r"[Ss]elect(?:ing)? and install(?:ing)? software|Configuring apt"),
    _phase("installing the boot loader", r"[Ii]nstalling (?:the )?GRUB"),
    _phase("running the scripts at the end", r"[Ff]inishing the installation|^installed$"),
    _phase("powering off", r"^configured$|Power down|The system is going down"),
)
_PHASES = {"anaconda": _ANACONDA, "debian": _DEBIAN}


class Progress:
    """One installation as its console tells it. `feed` it what was written since the last time.

    `trouble` is the first sign of a failure, `failed` what our own answers said was wrong.
    """

    def __init__(self, family: Family) -> None:
        self.phase = BOOTING
        self.done = 0
        self.total = 0
        self.begun = False
        self.configured = False
        self.has: list[str] = []
        self.warnings: list[str] = []
        self.failed = ""
        self.trouble: Trouble | None = None
        self.remarks: deque[str] = deque(maxlen=_MOST_REMARKS)
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._phases = _PHASES[family]
        self._signs = SIGNS[family]
        self._rank = 0
        self._awaited: Sign | None = None
        self._rest = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def last_line(self) -> str:
        """What was said last."""
        return self.tail[-1] if self.tail else ""

    def feed(self, data: bytes) -> None:
        """Take in the next piece, which may end anywhere."""
        text = self._rest + self._decoder.decode(data)
        *lines, self._rest = _MOVES.split(text)
        for line in lines:
            self._line(line)
        # A prompt ends without a line break.
        rest = _clean(_STARTED_ESCAPE.sub("", self._rest))
        if rest and self._awaited is None:
            self._look_for_trouble(rest, prompts=True)

    def close(self) -> None:
        """Nothing more comes: what stands without a line break counts as well."""
        line, self._rest = self._rest, ""
        self._line(line)
        if self._awaited is not None and self.trouble is None:
            self.trouble = _trouble(self._awaited, "it does not say why")

    def _line(self, raw: str) -> None:
        line = _clean(raw)
        if not line:
            return
        self.tail.append(line)
        marker = _MARKER.search(line)
        if marker is not None:
            self._marker(marker[1], marker[2].strip())
            return
        if REMARKS.search(line):
            self.remarks.append(line)
        self._look_for_phase(line)
        self._look_for_trouble(line)

    def _marker(self, word: str, text: str) -> None:
        if word == "begun":
            self.begun = True
        elif word == "configured":
            self.configured = True
        elif word == "warning" and text not in self.warnings:
            self.warnings.append(text)
        elif word == "has" and text not in self.has:
            self.has.append(text)
        elif word == "failed":
            self.failed = self.failed or text or "the scripts of the installation failed"
        self._look_for_phase(word)

    def _look_for_phase(self, line: str) -> None:
        for rank in range(len(self._phases) - 1, self._rank - 1, -1):
            match = self._phases[rank].pattern.search(line)
            if match is None:
                continue
            if rank > self._rank:
                self._rank, self.phase = rank, self._phases[rank].name
                self.done = self.total = 0
            counts = match.groupdict()
            if counts.get("total"):
                self.done, self.total = int(counts["done"]), int(counts["total"])
            return

    def _look_for_trouble(self, line: str, *, prompts: bool = False) -> None:
        if self.trouble is not None:
            return
        if self._awaited is not None:
            said = line.removeprefix("Non interactive installation failed: ").rstrip(".:")
            self.trouble = _trouble(self._awaited, said)
            return
        for sign in self._signs:
            match = sign.pattern.search(line) if sign.prompt or not prompts else None
            if match is not None:
                if sign.next_line:
                    self._awaited = sign
                else:
                    self.trouble = _trouble(sign, *match.groups())
                return


def _trouble(sign: Sign, *said: str | None) -> Trouble:
    words = [(word or "").strip().rstrip(".") for word in said]
    return Trouble(sign.message.format(*words), sign.hint, sign.lasting)


def _clean(raw: str) -> str:
    line = _STATUS_LINE.sub("", _ESCAPES.sub("", raw)).strip()
    while (bare := _PREFIX.sub("", line)) != line:
        line = bare
    return line.strip()
