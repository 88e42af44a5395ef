"""The validators of a command as JUnit's XML."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from builder.ui.tally import Row, Tally
from templates.render import printable

_STAGE = "Validate"


def validators_xml(tallies: Sequence[Tally]) -> str:
    """A suite for each build, a case for each validator that ran; of a build that failed before, none did,
    and that is a case of its own, so that no report is green by being empty.
    """
    root = ET.Element("testsuites", name="build run")
    for tally in tallies:
        started = tally.started
        name = printable(started.template) if started else "build"
        suite = ET.SubElement(root, "testsuite", name=name)
        rows = [row for row in tally.rows if row.stage == _STAGE and row.index]
        for row in rows:
            _case(suite, name, row, tally)
        failed = tally.finished is None or tally.finished.state != "Succeeded"
        if failed and not any(row.outcome in ("failed", "timedout") for row in rows):
            case = ET.SubElement(suite, "testcase", classname=name, name="build")
            error = (tally.failure() or {}).get("message", "The build did not end.")
            ET.SubElement(case, "error", message=printable(str(error)))
        _totals(suite)
    _totals(root)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ET.Element, name: str, row: Row, tally: Tally) -> None:
    case = ET.SubElement(suite, "testcase", classname=name, name=printable(row.name))
    case.set("time", f"{row.seconds or 0:.3f}")
    if row.outcome in ("failed", "timedout"):
        failure = tally.failure() or {}
        text = "\n".join(printable(str(line)) for line in failure.get("tail") or failure.get("details") or ())
        message = printable(str(failure.get("message") or row.detail or row.result))
        ET.SubElement(case, "failure", type=row.outcome, message=message).text = text
    elif row.outcome != "succeeded":
        ET.SubElement(case, "skipped", message=row.outcome or "did not run")


def _totals(element: ET.Element) -> None:
    for attribute, tag in (
        ("tests", "testcase"),
        ("failures", "failure"),
        ("errors", "error"),
        ("skipped", "skipped"),
    ):
        element.set(attribute, str(len(list(element.iter(tag)))))
