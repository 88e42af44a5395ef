"""The template of a bench: as it is, and with its last step edited a little each time."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from builder.errors import UsageError
from builder.plan import step_name

if TYPE_CHECKING:
    from templates import Document
    from templates.model import ImageTemplate


class BenchTemplate:
    """Made from the file's own JSON, so that parameters and expressions stay what they are.

    `note` says what an edit touches when that is not the last customizer; `why_not` why nothing can be
    edited. Targets with a place of their own (`uri`) go to the output folder instead. Raises UsageError
    when that cannot be arranged.
    """

    def __init__(self, document: Document, template: ImageTemplate) -> None:
        from templates.json_reader import parse_json

        self.name = template.name
        self.file = document.file
        self.note = ""
        self.why_not = ""
        self._data = copy.deepcopy(parse_json(document.text, document.file).value)
        properties = _get(_at(self._data, document.pointer_of(template)), "properties")
        _drop_places(template, _get(properties, "distribute"))
        self._lines = self._editable(template, _get(properties, "customize"))

    def text(self, edit: int = 0) -> bytes:
        """The template's file; with `edit` a comment of that number at the end of the edited step."""
        if not edit or self._lines is None:
            return json.dumps(self._data).encode()
        self._lines.append(f"# build bench: edit {edit}")
        try:
            return json.dumps(self._data).encode()
        finally:
            self._lines.pop()

    def _editable(self, template: ImageTemplate, written: object) -> list[Any] | None:
        steps = template.properties.customize
        if not steps:
            self.why_not = "it has no customizers"
            return None
        # A copy loop or an expression has no line of its own for each step.
        if not isinstance(written, list) or len(written) != len(steps):
            self.why_not = "its customizers are computed"
            return None
        for place in reversed(range(len(steps))):
            lines = _get(written[place], "inline")
            is_shell = str(getattr(steps[place], "type", "")) == "Shell"
            if is_shell and isinstance(lines, list) and all(isinstance(line, str) for line in lines):
                if place + 1 < len(steps):
                    name = step_name(steps[place], place + 1)
                    self.note = f"step {place + 1} of {len(steps)} ({name}), the last inline Shell step"
                return lines
        self.why_not = "none of its customizers is an inline Shell step"
        return None


def _drop_places(template: ImageTemplate, written: object) -> None:
    models = template.properties.distribute
    if not any(getattr(model, "uri", None) for model in models):
        return
    if not isinstance(written, list) or len(written) != len(models):
        raise UsageError(
            f"A bench of '{template.name}' would write to the 'uri' of its targets.",
            hint="Write distribute[] out, or leave 'uri' away: a bench puts VHDs where it removes them.",
        )
    for target in written:
        for key in [key for key in target if key.casefold() == "uri"] if isinstance(target, dict) else ():
            del target[key]


def _at(value: Any, pointer: str) -> object:  # noqa: ANN401 - any JSON value
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        value = value[int(name)] if isinstance(value, list) and name.isdigit() else _get(value, name)
    return value


def _get(value: object, name: str) -> Any:  # noqa: ANN401 - any JSON value
    """The field of that name in any case, as ARM reads them; None when there is none."""
    if not isinstance(value, Mapping):
        return None
    return next((item for key, item in value.items() if str(key).casefold() == name.casefold()), None)
