"""Templates that people really wrote (shared/data): read without ever losing the thread."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

import templates
from templates.diagnostics import TemplateError
from templates.json_reader import parse_json

DATA = Path(__file__).parents[3] / ".." / "shared" / "data" / "aib-templates"
FILES = sorted(DATA.rglob("*.json"))
SCOPE = templates.DeploymentScope("sub", "group", "westus")
# Not JSON, though their names do not say so: a trailing comma, which the reader takes.
TRAILING_COMMA = "Linux_Shared_Image_Gallery_Image_with_build_VM_MSI"


def test_the_data_is_there():
    """They lie beside the checkout, not in it; a user's machine has none, CI must."""
    if not DATA.exists() and not os.environ.get("CI"):
        pytest.skip("no shared/data beside this checkout")
    assert len(FILES) >= 40


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


@pytest.mark.parametrize("strict", [False, True])
def test_read_says_what_it_thinks_and_never_fails_otherwise(strict, capsys):
    outcome: Counter[str] = Counter()
    for path in FILES:
        try:
            document = templates.read(path, defaults=SCOPE, strict=strict)
        except TemplateError as error:
            outcome["refused"] += 1
            errors = [d for d in error.diagnostics if d.severity == "error"]
            assert errors
            text = path.read_text("utf-8-sig")
            assert all(templates.format_diagnostic(d, text) for d in error.diagnostics)
        else:
            outcome["read"] += 1
            assert document.templates
    with capsys.disabled():
        print(f"\nreal templates, strict={strict}: {dict(outcome)}")  # noqa: T201 - the counts are for the reader of the log
    assert outcome["refused"] + outcome["read"] == len(FILES)


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
