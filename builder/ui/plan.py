"""A survey for people: aligned text, coloured where colours may be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from builder.cli.output import human_seconds, human_size
from builder.ui.text import clean
from builder.usage.report import money_text

if TYPE_CHECKING:
    from builder.changes import Change
    from builder.plan import PlannedStep
    from builder.survey import Remark, Survey
    from builder.usage.estimate import Estimate

_OFF = "\x1b[0m"
_BOLD, _DIM = "\x1b[1m", "\x1b[2m"
_GREEN, _YELLOW, _RED, _CYAN = "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[36m"
_ACTIONS = {"RUN": _GREEN, "CACHED": _CYAN, "RESTORE": _CYAN, "SKIP": _DIM}
_DEEDS = {"create": ("+", _GREEN), "update": ("~", _YELLOW), "replace": ("~", _YELLOW), "delete": ("-", _RED)}
_KINDS = {
    "base": "base disk",
    "gallery": "gallery",
    "imageDefinition": "image definition",
    "imageVersion": "gallery version",
    "managedImage": "managed image",
    "vhd": "VHD",
    "file": "file",
}
_WORDS = {"RUN": "to run", "CACHED": "cached", "RESTORE": "to restore", "SKIP": "skipped"}


def survey_lines(survey: Survey, *, colour: bool = False) -> Iterator[str]:
    """The survey, line by line. Text of the template cannot move the cursor."""
    paint = _Paint(on=colour)
    yield paint(f"Plan of {clean(survey.template)}", _BOLD) + f"  ({clean(survey.file)})"
    yield ""
    yield from _facts(survey, paint)
    yield ""
    yield from _steps(survey.steps, paint)
    if survey.changes:
        yield ""
        yield from _changes(survey.changes, paint)
    if survey.estimates:
        yield ""
        yield from _estimates(survey.estimates, paint)
    if survey.remarks:
        yield ""
        for remark in survey.remarks:
            yield from _remark(remark, paint)
    yield ""
    counts = {action: sum(step.action == action for step in survey.steps) for action in _WORDS}
    said = ", ".join(f"{count} {_WORDS[action]}" for action, count in counts.items() if count)
    yield f"{len(survey.steps)} steps: {said}. Nothing was changed."


class _Paint:
    """Wraps text in a colour, or leaves it alone."""

    def __init__(self, *, on: bool) -> None:
        self._on = on

    def __call__(self, text: str, code: str) -> str:
        return f"{code}{text}{_OFF}" if self._on and text else text


def _facts(survey: Survey, paint: _Paint) -> Iterator[str]:
    source, vm = survey.source, survey.vm
    resolved = " (what 'latest' is now)" if source.asked_for == "latest" else ""
    name = f"{vm.size}: " if vm.size else ""
    disk = human_size(vm.disk_size) if vm.disk_size else "as large as the source's"
    times = survey.timeouts
    rows = (
        ("Workspace", survey.workspace),
        ("Source", f"{source.description}{resolved}"),
        ("Version", "" if source.exact_version in source.description else source.exact_version),
        ("Guest", f"{source.os_type}, generation {source.generation}"),
        ("VM", f"{name}{vm.cpus} vCPUs, {vm.memory_mib} MiB of memory, disk {disk}"),
        ("Data disks", ", ".join(f"lun {one.lun}: {human_size(one.size)}" for one in vm.data_disks)),
        ("Timeouts", f"build {human_seconds(times.build)}, each boot {human_seconds(times.boot)}"),
    )
    for label, value in rows:
        if value:
            yield f"  {paint(f'{label:<10}', _DIM)} {clean(value)}"


def _steps(steps: Sequence[PlannedStep], paint: _Paint) -> Iterator[str]:
    rows = [
        (step.action, step.stage, f"{step.index}. {clean(step.name)}", clean(step.type)) for step in steps
    ]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for step, row in zip(steps, rows, strict=True):
        action, *cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        limit = f", at most {human_seconds(step.timeout)}" if step.timeout else ""
        line = "  ".join([paint(action, _ACTIONS[step.action]), *cells, clean(step.reason) + limit])
        yield f"  {line}".rstrip()


def _changes(changes: Sequence[Change], paint: _Paint) -> Iterator[str]:
    deed, kind = (max(len(text) for text in column) for column in zip(*map(_words, changes), strict=True))
    for change in changes:
        mark, code = _DEEDS[change.action]
        action, what = _words(change)
        detail = f"  ({clean(change.detail)})" if change.detail else ""
        yield f"  {paint(f'{mark} {action:<{deed}}', code)}  {what:<{kind}}  {clean(change.name)}{detail}"


def _words(change: Change) -> tuple[str, str]:
    return f"{change.action}s", _KINDS[change.kind]


def _estimates(estimates: Sequence[Estimate], paint: _Paint) -> Iterator[str]:
    """What Azure would bill: sizes, and money where there are prices."""
    for one in estimates:
        used, sums = human_size(one.used), one.total
        text = f"{sums.snapshots} snapshots, {human_size(sums.billed)} in all ({used} in each replica"
        text += f", as in {clean(one.used_by)})"
        if sums.egress:
            text += f"; {human_size(sums.egress)} to other regions"
        yield f"  {paint('Billed', _DIM)}     {clean(one.run_output)}: {text}"
        if one.money is not None:
            yield f"             {clean(money_text(one.money))}"


def _remark(remark: Remark, paint: _Paint) -> Iterator[str]:
    first, *more = remark.message.splitlines() or [""]
    yield f"{paint('note:', _YELLOW)} {clean(first)}"
    yield from (f"      {clean(line)}" for line in more)
    if remark.hint:
        yield f"  {paint('hint:', _CYAN)} {clean(remark.hint)}"
