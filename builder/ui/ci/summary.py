"""The summary of a command in Markdown, for a pipeline's page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from builder.cli.output import human_seconds
from builder.ui.failure import error_lines
from builder.ui.tally import Tally, sizes
from builder.ui.text import clean

_MARKS = {"Succeeded": "✅", "PartiallySucceeded": "⚠️", "Failed": "❌", "Canceled": "⏹️"}
# Characters of a line of an error: GitHub drops a summary of more than 1 MiB.
_LONGEST = 1000
_SPECIAL = str.maketrans({"|": "\\|", "<": "&lt;", ">": "&gt;", "&": "&amp;", "\n": " "})


def markdown(tallies: Sequence[Tally]) -> str:
    """A section for each build: how it ended, its steps, what it made, what went wrong."""
    return "\n".join("\n".join(_build(tally)) for tally in tallies) + "\n"


def _build(tally: Tally) -> Iterator[str]:
    started, finished = tally.started, tally.finished
    name = started.template if started else "build"
    state = finished.state if finished else "Failed"
    took = f" in {human_seconds(finished.seconds)}" if finished else ""
    yield f"## {_MARKS.get(state, '')} {_text(name)}: {state}{took}".replace("  ", " ")
    yield ""
    if tally.artifacts:
        yield from ("| Run output | Type | Version | Size | Where |", "|---|---|---|---|---|")
        for item in tally.artifacts:
            where = item.id or item.uri or item.path
            cells = (item.run_output, item.type, item.version, sizes(item), where)
            yield f"| {' | '.join(_text(cell) for cell in cells)} |"
        yield ""
    failure = tally.failure()
    if failure:
        yield from _failure(failure)
    yield from ("<details><summary>Steps</summary>", "", "| Step | Time | Result |", "|---|--:|---|")
    for row in tally.rows:
        label = f"&nbsp;&nbsp;{_text(row.label)}" if row.index else f"**{_text(row.label)}**"
        detail = tally.detail_of(row)
        yield f"| {label} | {row.time} | {_text(f'{row.result} {detail}'.strip())} |"
    yield from ("", "</details>", "")
    for warning in tally.warnings:
        yield f"- ⚠️ {_text(warning)}"
    if tally.warnings:
        yield ""
    if started:
        yield f"Run `{started.run_id}`; more: `build runs report {started.run_id}`"
        yield ""


def _failure(failure: dict[str, object]) -> Iterator[str]:
    lines = error_lines(failure)
    fence = "```"
    while any(fence in text for _, text in lines):
        fence += "`"
    yield fence
    for kind, text in lines:
        cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
        yield {"error": "error: ", "hint": "hint: ", "output": "    "}.get(kind, "  ") + cut
    yield from (fence, "")


def _text(text: str) -> str:
    return clean(text).translate(_SPECIAL)
