"""Where the checks put what they find."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from templates.diagnostics import Diagnostic, Location, Severity
from templates.json_reader import JsonDocument
from templates.pointer_set import PointerSet
from templates.pointers import parent
from templates.repairs import Repair

_MASK = "****"
_LEAST_START = 6


class Report:
    """Collects diagnostics of one file and knows where values could not be computed."""

    def __init__(self, document: JsonDocument, *, strict: bool) -> None:
        self.document = document
        self.strict = strict
        self.diagnostics: list[Diagnostic] = list(document.diagnostics)
        self.failed = PointerSet()
        self.secrets: list[str] = []
        self.repairs: list[Repair] = []
        # Asked for every value: a search through all diagnostics would cost the square of their number.
        self._errors = {d.location.pointer for d in document.diagnostics if d.severity == "error"}
        self._aliases: dict[str, str] = {}

    def alias(self, pointer: str, written: str) -> None:
        """Note that the value at `pointer` of the computed JSON was made from what stands at `written`.

        Everything said about a value at or below `pointer` is then said about that place of the file.
        """
        self._aliases[pointer] = written

    def written_at(self, pointer: str) -> str:
        """The place in the file that the value at `pointer` of the computed JSON was made from."""
        known, left = pointer, len(self._aliases)
        while known and left:
            if known in self._aliases:
                pointer = known = self._aliases[known] + pointer[len(known) :]
                left -= 1  # each is followed once at most, so that none can lead in a circle
            else:
                known = parent(known)
        return pointer

    def error(self, code: str, message: str, pointer: str, **where: object) -> None:
        """Report an error at the value of `pointer`; see `add`."""
        self.add("error", code, message, pointer, **where)  # type: ignore[arg-type]

    def warn(self, code: str, message: str, pointer: str, **where: object) -> None:
        """Report a warning; see `add`."""
        self.add("warning", code, message, pointer, **where)  # type: ignore[arg-type]

    def lenient(self, code: str, message: str, pointer: str, **where: object) -> None:
        """Report what is only a warning unless the reading is strict; see `add`."""
        self.add("error" if self.strict else "warning", code, message, pointer, **where)  # type: ignore[arg-type]

    def add(
        self,
        severity: Severity,
        code: str,
        message: str,
        pointer: str,
        *,
        hint: str | None = None,
        key: bool = False,
        inside: int = 0,
    ) -> None:
        """Report at the value of `pointer`, at its key (`key`) or `inside` characters into its text.

        Follow-ups of a value that could not be computed are dropped: its own error says it all.
        """
        pointer = self.written_at(pointer)
        if self.is_failed(pointer):
            return
        document = self.document
        where = document.locate_key(pointer) if key else document.locate(pointer, inside=inside)
        self._put(severity, code, message, where, hint)

    def fail(
        self,
        code: str,
        message: str,
        pointer: str,
        *,
        hint: str | None = None,
        inside: int = 0,
        key: bool = False,
    ) -> None:
        """Report that the value at `pointer` could not be computed."""
        self.add("error", code, message, pointer, hint=hint, inside=inside, key=key)
        self.failed.add(self.written_at(pointer))

    def is_failed(self, pointer: str) -> bool:
        """Whether the value at `pointer` lies in one that could not be computed."""
        return self.failed.covers(self.written_at(pointer))

    def has_failures(self, pointer: str) -> bool:
        """Whether something at or below `pointer` could not be computed."""
        return self.failed.reaches_below(self.written_at(pointer))

    def has_error(self, pointer: str) -> bool:
        """Whether an error was reported at exactly `pointer`."""
        return self.written_at(pointer) in self._errors

    def finish(self) -> tuple[Diagnostic, ...]:
        """Everything found, in the order of the file, once each, without secrets."""
        document = self.document
        unique = dict.fromkeys(without_secrets(self.diagnostics, self.secrets, document.file, document.text))
        errors = {(d.code, d.message, d.location) for d in unique if d.severity == "error"}
        # A mistake nobody depends on is a warning, until somebody does.
        once = [d for d in unique if d.severity == "error" or (d.code, d.message, d.location) not in errors]
        return tuple(sorted(once, key=lambda d: (d.location.line, d.location.column)))

    def _put(self, severity: Severity, code: str, message: str, where: Location, hint: str | None) -> None:
        self.diagnostics.append(Diagnostic(severity, code, message, where, hint))
        if severity == "error":
            self._errors.add(where.pointer)


def without_secrets(
    found: Iterable[Diagnostic], secrets: Iterable[str], file: str, text: str
) -> Iterable[Diagnostic]:
    """The diagnostics with secrets masked; a line of `text` (what `file` holds) with one is not quoted."""
    masks = [mask for secret in dict.fromkeys(secrets) if len(secret) > 2 for mask in _forms(secret)]
    masks.sort(key=len, reverse=True)  # the longest first: one may be a part of another
    if not masks:
        yield from found
        return
    lines = text.split("\n")
    for diagnostic in found:
        hint, number = diagnostic.hint, diagnostic.location.line
        source = lines[number - 1] if diagnostic.location.file == file and number <= len(lines) else ""
        yield replace(
            diagnostic,
            message=_masked(diagnostic.message, masks),
            hint=_masked(hint, masks) if hint else hint,
            is_quotable=diagnostic.is_quotable and not any(mask in source for mask in masks),
        )


def _forms(secret: str) -> set[str]:
    """How a secret may be written in a message, or in the file as the default of a parameter."""
    escaped = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
    return {secret, *escaped}


def _masked(text: str, masks: list[str]) -> str:
    for mask in masks:
        text = text.replace(mask, _MASK)
    # A message cuts long values off ("…"), so that only the start of a secret may be left of it.
    end = text.find("…")
    while end >= 0:
        cut = max((_overlap(text[:end], mask) for mask in masks), default=0)
        if cut >= _LEAST_START:
            text = text[: end - cut] + _MASK + text[end:]
            end = text.find("…", end - cut)
        end = text.find("…", end + 1)
    return text


def _overlap(text: str, secret: str) -> int:
    """How many characters of the start of `secret` stand at the end of `text`."""
    return next((n for n in range(min(len(text), len(secret)), 0, -1) if text.endswith(secret[:n])), 0)
