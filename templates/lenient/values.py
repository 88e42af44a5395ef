"""Values that are right but for their JSON type: `"true"` for true, `5` for "5", one item for an array."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from templates.model.walk import members, models_of

_INTEGER = re.compile(r"\s*([+-]?)0*([0-9]{1,18})\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Slip:
    """A value that was meant otherwise than it was written: `value` is what it means."""

    code: str
    message: str
    hint: str
    value: Any  # any JSON value


def coerce(annotation: Any, data: object) -> Slip | None:  # noqa: ANN401 - typing objects
    """What `data` means as `annotation`, where that is another value and nobody could doubt it."""
    kinds = list(members(annotation))
    if isinstance(data, str):
        return _from_text(kinds, data)
    # A number such as 18.10 has lost its 0 already: only its writer knows what was meant.
    if str in kinds and isinstance(data, int):
        text = json.dumps(data)
        what = "true or false" if isinstance(data, bool) else "a number"
        return Slip("NotAString", f"expected a string, found {what}", f'write "{text}"', text)
    return None


def _from_text(kinds: list[Any], data: str) -> Slip | None:
    if bool in kinds and data.strip().casefold() in ("true", "false"):
        word = data.strip().casefold()
        message = f"the field is true or false, not the text '{data}'"
        return Slip("QuotedValue", message, f"write {word} without quotes", word == "true")
    if int in kinds and (match := _INTEGER.fullmatch(data)):
        number = int(match[1] + match[2])
        message = f"the field is a number, not the text '{data}'"
        return Slip("QuotedValue", message, f"write {number} without quotes", number)
    words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
    right = next((word for word in words if word.casefold() == data.casefold()), data)
    if right != data:
        return Slip("WrongCase", f"the value is written '{right}', not '{data}'", f"write '{right}'", right)
    return None


def as_list(item: Any, data: Any) -> list[Any] | None:  # noqa: ANN401 - any JSON value
    """`data` as an array of one, where it could be an item of that array; else None."""
    kinds = list(members(item))
    if isinstance(data, dict):
        return [data] if models_of(item) else None
    if isinstance(data, str):
        return [data] if str in kinds or (int in kinds and coerce(item, data) is not None) else None
    fits = int in kinds and isinstance(data, int) and not isinstance(data, bool)
    return [data] if fits else None
