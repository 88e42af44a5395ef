"""JUnit's XML, which every CI shows: a suite per file, a case per check and per problem.

A check that found no error is a case that passed. JUnit knows no warnings; they are cases that passed
and say something.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from builder.checked import Check, CheckedFile, count
from templates.diagnostics import Diagnostic
from templates.render import format_diagnostic, printable


def render(files: Sequence[CheckedFile]) -> str:
    """The whole document."""
    root = ET.Element("testsuites", name="build validate")
    for file in files:
        suite = ET.SubElement(root, "testsuite", name=printable(file.file))
        for check in file.checks:
            _check(suite, file, check)
        _totals(suite, suite, [file])
    _totals(root, root, files)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _check(suite: ET.Element, file: CheckedFile, check: Check) -> None:
    if not any(problem.severity == "error" for problem in check.problems):
        case = _case(suite, file, check.name)
        if check.skipped:
            ET.SubElement(case, "skipped", message=printable(check.skipped))
    for problem in check.problems:
        where = problem.location
        place = f"{where.line}:{where.column}"
        if where.file != file.file:
            place = f"{where.file}:{place}"
        case = _case(suite, file, f"{check.name}: {problem.code} at {place}")
        _say(case, problem)


def _say(case: ET.Element, problem: Diagnostic) -> None:
    text = format_diagnostic(problem, None)
    if problem.severity == "error":
        failure = ET.SubElement(case, "failure", type=problem.code, message=printable(problem.message))
        failure.text = text
    else:
        ET.SubElement(case, "system-out").text = text


def _case(suite: ET.Element, file: CheckedFile, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=printable(file.file), name=printable(name))


def _totals(element: ET.Element, inside: ET.Element, files: Sequence[CheckedFile]) -> None:
    element.set("tests", str(len(list(inside.iter("testcase")))))
    element.set("failures", str(count(files)[0]))
    element.set("errors", "0")
    element.set("skipped", str(len(list(inside.iter("skipped")))))
