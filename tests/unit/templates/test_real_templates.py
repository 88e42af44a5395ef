"""Templates that people really wrote (shared/data): read without ever losing the thread."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from published import require_shared_data
from real import DATA, FILES, READABLE, SCOPE, examined

import templates
from templates.diagnostics import TemplateError
from templates.json_reader import parse_json

# Not JSON, though their names do not say so: a trailing comma, which the reader takes.
TRAILING_COMMA = "Linux_Shared_Image_Gallery_Image_with_build_VM_MSI"

# A change of these counts is a change of what people are told: look at it before it is written here.
FILLED = {
    "files": 48,
    "read": 48,
    "templates": 49,
    "image definitions": 3,
    "errors": {},
    "warnings": {
        "ApiVersion": 3,
        "BareFilter": 1,
        "MadeUp": 1,
        "MissingIdentity": 3,
        "MissingName": 26,
        "MissingType": 3,
        "Misspelt": 1,
        "NewerThanApiVersion": 4,
        "NoEffect": 51,
        "Noted": 9,
        "OtherResource": 13,
        "ReadOnlyField": 6,
        "ShortType": 10,
        "TrailingComma": 1,
    },
}
STRICT = {
    "files": 48,
    "read": 18,
    "templates": 19,
    "image definitions": 3,
    "errors": {
        "ApiVersion": 3,
        "MissingIdentity": 3,
        "MissingName": 26,
        "MissingType": 3,
        "Misspelt": 1,
        "NewerThanApiVersion": 4,
        "ReadOnlyField": 6,
        "ShortType": 10,
        "TrailingComma": 1,
    },
    "warnings": {"BareFilter": 1, "MadeUp": 1, "NoEffect": 51, "Noted": 9, "OtherResource": 13},
}
AS_THEY_STAND = {
    "files": 48,
    "read": 3,
    "templates": 3,
    "image definitions": 0,
    "errors": {"MissingParameter": 68, "Placeholder": 300},
    "warnings": {
        "ApiVersion": 3,
        "BareFilter": 1,
        "MissingIdentity": 3,
        "MissingName": 26,
        "MissingType": 3,
        "Misspelt": 1,
        "NewerThanApiVersion": 4,
        "NoEffect": 48,
        "Noted": 5,
        "OtherResource": 8,
        "ReadOnlyField": 3,
        "ShortType": 10,
        "TrailingComma": 1,
    },
}


@pytest.fixture(autouse=True, scope="module")
def _data() -> None:
    require_shared_data()


def test_the_data_is_there():
    assert (len(READABLE), len(FILES) - len(READABLE)) == (48, 2)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name[-60:])
def test_same_value_as_the_standard_library(path):
    text = path.read_text("utf-8-sig")
    if path.name.startswith("INVALID__"):
        with pytest.raises(TemplateError) as caught:
            parse_json(text, path.name)
        (found,) = caught.value.diagnostics
        with pytest.raises(json.JSONDecodeError) as reference:
            json.loads(text)
        assert (found.location.line, found.location.column) == (reference.value.lineno, reference.value.colno)
        return
    document = parse_json(text, path.name)
    if TRAILING_COMMA in path.name:
        assert [d.code for d in document.diagnostics] == ["TrailingComma"]
    else:
        assert document.value == json.loads(text)


@pytest.mark.parametrize("path", [p for p in FILES if p not in READABLE], ids=lambda path: path.name[-60:])
@pytest.mark.parametrize("strict", [False, True])
def test_what_is_no_json_has_one_error_with_its_place(path, strict):
    with pytest.raises(TemplateError) as caught:
        templates.read(path, defaults=SCOPE, strict=strict)
    (found,) = caught.value.diagnostics
    line = path.read_text("utf-8-sig").splitlines()[found.location.line - 1]
    assert (found.severity, found.location.file) == ("error", str(path))
    assert 1 <= found.location.column <= len(line) + 1
    assert found.hint


def counts(found: dict[Path, templates.Document | TemplateError]) -> dict[str, object]:
    """What a collection amounts to; a problem counts as often as it is told."""
    documents = [document for document in found.values() if isinstance(document, templates.Document)]
    told = [d for outcome in found.values() for d in outcome.diagnostics]
    return {
        "files": len(found),
        "read": len(documents),
        "templates": sum(len(document.templates) for document in documents),
        "image definitions": sum(len(document.definitions) for document in documents),
        "errors": dict(sorted(Counter(d.code for d in told if d.severity == "error").items())),
        "warnings": dict(sorted(Counter(d.code for d in told if d.severity != "error").items())),
    }


@pytest.fixture
def shown(capsys):
    """Prints the counts for the reader of the log, and gives them back."""

    def show(title, outcome):
        with capsys.disabled():
            print(f"\n{title}:")  # noqa: T201
            for name, count in outcome.items():
                print(f"  {name}: {count}")  # noqa: T201
        return outcome

    return show


def test_every_real_template_reads_once_its_open_values_are_given(shown):
    assert (
        shown("real templates, lenient, values filled in", counts(examined(filled=True, strict=False)))
        == FILLED
    )


def test_what_strict_reading_says_of_them(shown):
    assert (
        shown("real templates, strict, values filled in", counts(examined(filled=True, strict=True)))
        == STRICT
    )


def test_as_they_stand_only_open_values_keep_them_from_being_read(shown):
    assert (
        shown("real templates, lenient, as they stand", counts(examined(filled=False, strict=False)))
        == AS_THEY_STAND
    )


@pytest.mark.parametrize("filled", [False, True])
@pytest.mark.parametrize("strict", [False, True])
def test_every_problem_is_told_at_its_place(filled, strict):
    for path, outcome in examined(filled=filled, strict=strict).items():
        text = path.read_text("utf-8-sig")
        for problem in outcome.diagnostics:
            shown = templates.format_diagnostic(problem, text)
            assert f":{problem.location.line}:{problem.location.column}" in shown
            assert problem.message in shown
            assert 1 <= problem.location.line <= len(text.splitlines()), shown


def test_a_quickstart_reads_once_its_placeholders_are_given():
    (path,) = DATA.rglob(
        "quickquickstarts_0_Creating_a_Custom_Linux_Managed_Image_helloImageTemplateLinux.json"
    )
    names = ("region", "rgName", "imageName", "runOutputName", "imgBuilderId", "subscriptionID")
    variables = {name: f"my{name}" for name in names}
    variables["imgBuilderId"] = (
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/me"
    )
    document = templates.read(path, defaults=SCOPE, variables=variables)
    (template,) = document.templates
    assert template.location == "myregion"
    assert [step.type for step in template.properties.customize] == [
        "Shell",
        "Shell",
        "File",
        "Shell",
        "Shell",
    ]
    assert {d.code for d in document.diagnostics} == {"MissingName", "NoEffect"}
