"""Bytes of a guest's output as they come, turned into lines a person can read."""

from __future__ import annotations

import codecs

MAX_LINE = 16 * 1024


class LineSplitter:
    """Feed it chunks, get whole lines back.

    A lone carriage return starts the line over, as on a terminal: of a progress bar only its last
    state remains. Invalid UTF-8 becomes replacement characters; a line longer than MAX_LINE
    characters comes in pieces, so that no guest can fill our memory.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes."""
        self._rest += self._decoder.decode(data)
        *whole, self._rest = self._rest.split("\n")
        lines = [piece for line in whole for piece in _pieces(_last_state(line))]
        if len(self._rest) > MAX_LINE:
            # The last character may be a CR whose LF is still under way; _last_state keeps it apart.
            *full, self._rest = _pieces(_overwritten(self._rest))
            lines += full
        return lines

    def finish(self) -> list[str]:
        """What is left at the end: a last line without its newline."""
        rest = self._rest + self._decoder.decode(b"", final=True)
        self._rest = ""
        return _pieces(_last_state(rest)) if rest else []


def _last_state(line: str) -> str:
    return line.rstrip("\r").rpartition("\r")[2]


def _overwritten(line: str) -> str:
    """Like `_last_state`, for a line that is not complete yet."""
    stripped = line.rstrip("\r")
    return stripped.rpartition("\r")[2] + line[len(stripped) :][:1]


def _pieces(line: str) -> list[str]:
    return [line[start : start + MAX_LINE] for start in range(0, len(line), MAX_LINE)] or [""]
