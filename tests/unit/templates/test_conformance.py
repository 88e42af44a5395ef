"""Strict verdicts beside those of the published schemas and of conformance.csv, template by template.

docs/template-differences.md argues every difference; its tables and what is found here are the same.
"""

from __future__ import annotations

import csv
import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from filled import arguments_for, variables_for
from published import SHARED, merged, require_shared_data

from templates import DeploymentScope, reader
from templates.diagnostics import Diagnostic
from templates.edits import value_at
from templates.json_reader import parse_json
from templates.pointers import is_under, join
from templates.report import Report
from templates.versions import KNOWN, NEWEST

DATA = SHARED / "aib-templates"
PAGE = Path(__file__).parents[3] / "docs" / "template-differences.md"
SCOPE = DeploymentScope("SUB", "GRP", "westus")


@dataclass(frozen=True)
class Template:
    """One image template of the collection, with both verdicts. Pointers are those of the file."""

    file: str
    version: str
    pointer: str
    data: dict[str, Any]
    ours: tuple[Diagnostic, ...]
    theirs: tuple[tuple[str, str], ...]  # pointer below the template, what the schema says

    @property
    def name(self) -> str:
        return name_of(self.file, self.pointer)


def name_of(file: str, pointer: str) -> str:
    """A file, and the place in it where that is not the only one a template stands at."""
    return f"{file}#{pointer}" if "01-avd-framework" in file else file


@pytest.fixture(autouse=True, scope="module")
def _data() -> None:
    require_shared_data()


def templates_of(path: Path) -> Iterator[Template]:
    text = path.read_text("utf-8-sig")
    document = parse_json(text, path.name, strict=True)
    report = Report(document, strict=True)
    seen: list[tuple[str, dict[str, Any]]] = []
    original = reader.in_newest_form

    def noting(resource: Any, report: Report, scope: DeploymentScope) -> Any:
        seen.append((report.written_at(resource.pointer), _as_written(resource, document.value, report)))
        return original(resource, report, scope)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "in_newest_form", noting)
        given = {"variables": variables_for(text), "parameters": arguments_for(document.value)}
        reader.examine(report, **given, defaults=SCOPE)
    errors = [d for d in report.finish() if d.severity == "error"]
    for pointer, data in dict(seen).items():  # the turns of a copy loop are one template
        declared = data.get("apiVersion")
        version = declared if declared in KNOWN else NEWEST
        others = [other for other in dict(seen) if other != pointer]
        # What stands beside all templates (a parameter, a variable) is refused with each of them.
        mine = tuple(d for d in errors if not any(is_under(d.location.pointer, other) for other in others))
        file = str(path.relative_to(DATA))
        yield Template(file, version, pointer, data, mine, tuple(_published_verdict(data, version)))


def _as_written(resource: Any, document: Any, report: Report) -> dict[str, Any]:
    """The computed resource without what the finder filled in (type and name of a bare template)."""
    data = json.loads(json.dumps(resource.data))
    written = value_at(document, report.written_at(resource.pointer))
    if not str(written.get("type", "[")).startswith("["):
        data["type"] = written["type"]
    for name in ("type", "name"):
        if name not in written:
            data.pop(name, None)
    return data


def _published_verdict(data: dict[str, Any], version: str) -> Iterator[tuple[str, str]]:
    for error in jsonschema.Draft7Validator(merged(version)).iter_errors(data):
        for leaf in _leaves(error):
            at = join("", *leaf.absolute_path)
            if leaf.validator == "additionalProperties":
                for name in sorted(set(leaf.instance) - set(leaf.schema["properties"])):
                    yield join(at, name), "unknown"
            else:
                yield at, str(leaf.validator)


def _leaves(error: jsonschema.ValidationError) -> Iterator[jsonschema.ValidationError]:
    if not error.context:
        yield error
    for inner in error.context:
        yield from _leaves(inner)


@functools.cache
def collection() -> tuple[Template, ...]:
    files = [p for p in sorted(DATA.rglob("*.json")) if not p.name.startswith("INVALID__")]
    return tuple(template for path in files for template in templates_of(path))


def rows(heading: str) -> dict[str, list[str]]:
    """The table below a heading of the page: first column -> the others."""
    part = PAGE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    table = [line for line in part.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return {row[0].strip("`"): row[1:] for row in cells}


def test_all_templates_are_there():
    assert len(collection()) >= 48
    assert {t.version for t in collection()} >= {"2019-05-01-preview", "2020-02-14", "2024-02-01", NEWEST}


def test_verdicts_differ_from_the_schemas_only_as_argued():
    found = {}
    for template in collection():
        if bool(template.ours) != bool(template.theirs):
            verdict = "refused here" if template.ours else "refused there"
            codes = {d.code for d in template.ours} or {what for _, what in template.theirs}
            found[template.name] = [verdict, ", ".join(f"`{code}`" for code in sorted(codes))]
    assert found == {name: cells[:2] for name, cells in rows("Against the published schemas").items()}


def test_where_both_refuse_it_is_for_the_same_places():
    """Every place that the schema objects to has an error of ours, or lies in one that has."""
    for template in collection():
        ours = {d.location.pointer[len(template.pointer) :] for d in template.ours}
        if not ours:
            continue
        for pointer, what in template.theirs:
            assert any(is_under(pointer, place) for place in ours), (template.name, pointer, what, ours)


def survey() -> dict[str, list[tuple[str, str]]]:
    """conformance.csv: each template with what it was objected to, as (code, pointer), if anything."""
    with (DATA / "index.csv").open() as file:
        names = {
            (row["file"], row["index"]): name_of(row["file"], "/" + row["jsonpath"])
            for row in csv.DictReader(file)
            if row["kind"] != "invalid-json"
        }
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in names.values()}
    with (DATA / "conformance.csv").open() as file:
        for row in csv.DictReader(file):
            if row["mode"] == "declared":
                found[names[row["file"], row["index"]]].append((row["code"], row["path"]))
    return found


def test_verdicts_differ_from_the_survey_only_as_argued():
    """It judged the texts as they stand, placeholders and expressions included."""
    ours = {template.name: bool(template.ours) for template in collection()}
    verdicts = {(True, False): "refused here", (False, True): "refused there", (None, True): "not read here"}
    found = {
        name: [verdicts[ours.get(name), bool(objections)]]
        for name, objections in survey().items()
        if ours.get(name) != bool(objections)
    }
    assert found == {name: cells[:1] for name, cells in rows("Against conformance.csv").items()}
    assert set(ours) <= set(survey())


def test_what_the_survey_objects_to_is_refused_here_at_the_same_place():
    """Where a template names no version, the survey took 2020-02-14 for it; here it is the newest."""
    argued = rows("Against conformance.csv")
    compared = 0
    for template in collection():
        if template.name in argued or "apiVersion" not in template.data:
            continue
        ours = {d.location.pointer[len(template.pointer) :] for d in template.ours}
        for code, path in survey()[template.name]:
            assert (path.rpartition("/")[0] if code == "MISSING" else path) in ours, (
                template.name,
                code,
                path,
            )
            compared += 1
    assert compared >= 20
