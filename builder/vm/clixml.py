"""CLIXML on stderr: how PowerShell wraps errors and progress when its output is no console.

`#< CLIXML`, then an XML document of "objects" (MS-PSRP, "Serialization"); people want the text in it.
"""

from __future__ import annotations

import html
import re

MARK = "#< CLIXML"
MAX_HELD = 1 << 20
"""Characters of a document that does not end before it is shown as it came."""

_TEXT = re.compile(r'<S S="(\w+)">(.*?)</S>', re.DOTALL)
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_SHOWN = {"error": "", "warning": "WARNING: ", "verbose": "VERBOSE: ", "debug": "DEBUG: ", "information": ""}


class ClixmlFilter:
    """Feed it the lines of stderr, get lines a person can read. Progress goes; a broken document stays."""

    def __init__(self) -> None:
        self._held: list[str] = []
        self._size = 0

    def feed(self, lines: list[str]) -> list[str]:
        """The readable lines that `lines` complete."""
        found: list[str] = []
        for line in lines:
            before, mark, after = line.partition(MARK)
            if self._held:
                found += self._hold(line)
            elif mark:
                found += [before] if before.strip() else []
                self._held = [mark]
                found += self._hold(after) if after else []
            else:
                found.append(line)
        return found

    def finish(self) -> list[str]:
        """What was held back of a document that never ended."""
        held, self._held, self._size = self._held, [], 0
        return [line for line in held if line != MARK and line.strip()]

    def _hold(self, line: str) -> list[str]:
        self._held.append(line)
        self._size += len(line)
        if line.rstrip().endswith("</Objs>"):
            document = "\n".join(self._held[1:])
            self._held, self._size = [], 0
            return texts_of(document)
        return self.finish() if self._size > MAX_HELD else []


def texts_of(document: str) -> list[str]:
    """The lines that a CLIXML document says, without its progress records."""
    found: list[str] = []
    part = ""
    for stream, text in _TEXT.findall(document):
        prefix = _SHOWN.get(stream.lower())
        if prefix is None:
            continue
        # One message comes in several pieces, each line of it ended by an escaped CR and LF.
        part += (prefix if not part else "") + _unescaped(text)
        *whole, part = re.split(r"\r?\n", part)
        found += whole
    found += [part] if part else []
    return [line for line in found if line.strip()]


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), html.unescape(text))
