"""The Go templates in Packer's strings: `{{user `name`}}`, `{{ .Vars }}`, `{{isotime "2006"}}`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

_WORD = re.compile(r"`[^`]*`|\"(?:[^\"\\]|\\.)*\"|[|()]|[^\s|()`\"]+", re.DOTALL)
_SPACE = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Action:
    """One `{{ … }}`. A word that stood in quotes is in `quoted` by its index, without them."""

    source: str
    words: tuple[str, ...]
    quoted: frozenset[int]

    def texts(self) -> tuple[str, ...]:
        """The quoted words."""
        return tuple(word for index, word in enumerate(self.words) if index in self.quoted)

    def is_call(self, name: str, arguments: int) -> bool:
        """Whether this is `name` with that many quoted arguments, perhaps with pipes behind."""
        head = self.words[: arguments + 1]
        return (
            len(head) == arguments + 1
            and head[0] == name
            and 0 not in self.quoted
            and all(index in self.quoted for index in range(1, arguments + 1))
            and (len(self.words) == arguments + 1 or self.words[arguments + 1] == "|")
        )

    def pipes(self, arguments: int) -> tuple[str, ...] | None:
        """The functions behind the call, when each is a single word; else None."""
        rest = self.words[arguments + 1 :]
        if rest[0::2] != ("|",) * (len(rest) // 2) or len(rest) % 2:
            return None
        return rest[1::2]


def parse_go_template(text: str) -> list[str | Action]:
    """`text` as literal pieces and actions. One that is never closed is literal."""
    pieces: list[str | Action] = []
    position = 0
    while (start := text.find("{{", position)) >= 0:
        end = _end_of_action(text, start + 2)
        if end < 0:
            break
        body = text[start + 2 : end]
        before = text[position:start]
        position = end + 2
        if re.match(r"-\s", body):  # {{- takes away the space before it
            body, before = body[1:], before.rstrip()
        if re.search(r"\s-\Z", body):
            body = body[:-1]
            position = _SPACE.match(text, position).end()  # type: ignore[union-attr]
        if before:
            pieces.append(before)
        pieces.append(_action(body, text[start : end + 2]))
    if text[position:]:
        pieces.append(text[position:])
    return pieces


def _end_of_action(text: str, position: int) -> int:
    """Where the `}}` of the action stands; quotes may hold braces. -1 without one."""
    quote = ""
    while position < len(text):
        char = text[position]
        if quote:
            if char == "\\" and quote == '"':
                position += 1
            elif char == quote:
                quote = ""
        elif char in '`"':
            quote = char
        elif text.startswith("}}", position):
            return position
        position += 1
    return -1


def _action(body: str, source: str) -> Action:
    words, quoted = [], set()
    for index, word in enumerate(_WORD.findall(body)):
        if word[0] in '`"':
            quoted.add(index)
            words.append(_unquote(word))
        else:
            words.append(word)
    return Action(source, tuple(words), frozenset(quoted))


def _unquote(word: str) -> str:
    if word[0] == "`":
        return word[1:-1]
    try:
        return str(json.loads(word))
    except ValueError:  # an escape that only Go knows
        return word[1:-1]
