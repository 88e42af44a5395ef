"""`format()`: composite formatting as .NET's String.Format, and its number formats."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Context, Decimal
from math import isfinite

from templates.arm.budget import refuse_above
from templates.arm.functions.registry import function
from templates.arm.functions.values import bad, display, is_int, quoted, text
from templates.arm.syntax import Json, kind_of

_WIDE = Context(prec=500)  # the largest float has 309 digits before the point
_PLACE = re.compile(
    r"\{\{|\}\}|\{\s*(\d+)\s*(?:,\s*(-?\d{1,4})\s*)?(?::((?:[^{}]|\{\{|\}\})*))?\}|[{}]", re.ASCII
)
_STANDARD = re.compile(r"([DFGNPX])(\d{0,2})", re.IGNORECASE | re.ASCII)
_CUSTOM = re.compile(r"([#0]*(?:,[#0]+)*)(?:\.([#0]*))?(%?)", re.ASCII)


@function("format", 1, None)
def _format(form: Json, *values: Json) -> Json:
    whole = text(form, "the format string")
    parts: list[str] = []
    start = size = 0
    for match in _PLACE.finditer(whole):
        parts += (whole[start : match.start()], _place(match, values))
        refuse_above(size := size + len(parts[-1]))
        start = match.end()
    return "".join(parts) + whole[start:]


def _place(match: re.Match[str], values: tuple[Json, ...]) -> str:
    if match.group() in ("{{", "}}"):
        return match.group()[0]
    if match[1] is None:
        message = f"format(): a lonely '{match.group()}'"
        raise bad(message, hint="write {{ and }} for braces themselves")
    index = int(match[1]) if len(match[1]) < 6 else len(values)
    if index >= len(values):
        raise bad(f"format(): {quoted(match.group())} has no argument; there are {len(values)}")
    shown = _formatted(values[index], match[3] or "")
    width = int(match[2] or 0)
    return shown.rjust(width) if width >= 0 else shown.ljust(-width)


def _formatted(value: Json, form: str) -> str:
    # Strings, bools and null have no formats: .NET does not look at one given to them.
    if not form or isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return display(value)
    match = _STANDARD.fullmatch(form)
    if match is not None:
        return _standard(value, match[1], match[2])
    custom = _CUSTOM.fullmatch(form)
    if custom is None:
        raise _unknown(value, form)
    return _custom(Decimal(str(value)), custom[1], custom[2] or "", custom[3])


def _standard(value: float, letter: str, digits: str) -> str:
    match letter.upper():
        case "D" if is_int(value):
            return ("-" if value < 0 else "") + str(abs(value)).zfill(int(digits or 0))
        case "X" if is_int(value):
            return f"{value & (2**64 - 1):{letter}}".zfill(int(digits or 0))
        case "F":
            return f"{_rounded(Decimal(str(value)), int(digits or 2)):f}"
        case "N":
            return f"{_rounded(Decimal(str(value)), int(digits or 2)):,f}"
        case "P":
            return f"{_rounded(Decimal(str(value)) * 100, int(digits or 2)):,f} %"
        case "G" if not digits:
            return display(value)
    raise _unknown(value, letter + digits)


def _custom(value: Decimal, whole: str, fraction: str, percent: str) -> str:
    """`0` stands for a digit that is always shown, `#` for one only when needed, `,` for groups."""
    number = _rounded(value * 100 if percent else value, len(fraction))
    digits, _, rest = f"{abs(number):f}".partition(".")
    digits = digits.lstrip("0").zfill(len(re.sub(r"^#*", "", whole.replace(",", ""))))
    if "," in whole:
        first = len(digits) % 3
        groups = [digits[:first], *(digits[at : at + 3] for at in range(first, len(digits), 3))]
        digits = ",".join(group for group in groups if group)
    needed = len(fraction.rstrip("#"))
    rest = rest[:needed] + rest[needed:].rstrip("0")
    sign = "-" if number < 0 else ""
    return f"{sign}{digits}{'.' if rest else ''}{rest}{percent}"


def _rounded(value: Decimal, digits: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP, _WIDE)


def _unknown(value: Json, form: str) -> Exception:
    message = f"format(): the format {quoted(form)} of {kind_of(value)} is not supported"
    hint = "supported are D, F, G, N, P, X with a number of digits, and patterns such as 000 or #,##0.00"
    return bad(message, hint=hint)
