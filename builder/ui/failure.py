"""An error as data (run.json, events, `--json`) and as the lines a person reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from builder.ui.text import clean
from templates.errors import GoldsmithError


def error_to_dict(error: GoldsmithError) -> dict[str, Any]:
    """The JSON form of an error: code, message, details, hint, exitCode and, where the error has
    them, diagnostics (of a template) and exitCodeOfStep and tail (of a step).
    """
    data: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "details": list(error.details),
        "hint": error.hint,
        "exitCode": int(error.exit_code),
    }
    diagnostics = getattr(error, "diagnostics", None)
    if diagnostics:
        data["diagnostics"] = [
            {
                "severity": item.severity,
                "code": item.code,
                "message": item.message,
                "file": item.location.file,
                "line": item.location.line,
                "column": item.location.column,
                "pointer": item.location.pointer,
                "hint": item.hint,
            }
            for item in diagnostics
        ]
    if getattr(error, "exit_code_of_step", None) is not None:
        data["exitCodeOfStep"] = error.exit_code_of_step  # type: ignore[attr-defined]
    if getattr(error, "tail", ()):
        data["tail"] = list(error.tail)  # type: ignore[attr-defined]
    return data


def one_line(data: Mapping[str, Any]) -> str:
    """What went wrong in one line; of a template with one mistake the mistake, not that there is one."""
    said = str(data.get("message", ""))
    diagnostics: Sequence[Mapping[str, Any]] = data.get("diagnostics") or ()
    if len(diagnostics) != 1:
        return said
    first = str(diagnostics[0].get("message", "")).split("\n", 1)[0]
    return f"{said}: {first}" if first else said


def pick(data: Mapping[str, Any], *names: str) -> Any:  # noqa: ANN401 - JSON values
    """The first of `names` that `data` has with a value worth showing; None when none is."""
    for name in names:
        value = data.get(name)
        if value not in (None, "", [], (), {}):
            return value
    return None


def error_lines(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """An error as (kind, text) lines; kind is "error", "detail", "output", "path" or "hint".

    `data` is what `error_to_dict` makes, with what the engine adds: stage, step (index), name,
    bundle (path of the failure bundle). Snake and camel case are both read.
    """
    lines = [("error", clean(str(data.get("message", "The build failed."))))]
    where = _where(data)
    name = pick(data, "name", "stepName", "step_name")
    if where and not (name and clean(str(name)) in lines[0][1]):
        lines.append(("detail", where))
    tail = [clean(str(line)) for line in pick(data, "tail", "lastLines", "last_lines") or ()]
    details = [clean(line) for detail in data.get("details") or () for line in str(detail).splitlines()]
    lines += [("detail", line) for line in details]
    if tail and details[-len(tail) :] != tail:
        lines.append(("detail", "Its last lines:"))
        lines += [("output", line) for line in tail]
    for item in data.get("diagnostics") or ():
        lines += _diagnostic_lines(item)
    bundle = pick(data, "bundle", "failureBundle", "failure_bundle", "bundlePath", "bundle_path")
    if bundle:
        lines.append(("path", f"All about this failure: {clean(str(bundle))}"))
    if data.get("hint"):
        lines.append(("hint", clean(str(data["hint"]))))
    return lines


def _diagnostic_lines(item: Mapping[str, Any]) -> list[tuple[str, str]]:
    place = f"{item.get('file')}:{item.get('line')}:{item.get('column')}"
    first, *rest = clean(str(item.get("message", ""))).splitlines() or [""]
    lines = [("detail", f"{clean(place)}: {item.get('severity')} {item.get('code')}: {first}")]
    lines += [("detail", line) for line in rest]
    if item.get("hint"):
        lines.append(("detail", f"  hint: {clean(str(item['hint']))}"))
    return lines


def _where(data: Mapping[str, Any]) -> str:
    step = pick(data, "step", "index", "stepIndex", "step_index")
    name = pick(data, "name", "stepName", "step_name")
    code = pick(data, "exitCodeOfStep", "exit_code_of_step")
    if step is None and name is None and code is None:
        return ""
    stage = data.get("stage")
    words = [f"{stage} step" if stage else "Step"]
    if step is not None:
        words.append(str(step))
    if name is not None:
        words.append(f'"{clean(str(name))}"')
    if code is not None:
        words.append(f"ended with exit code {code}")
    return " ".join(words)
