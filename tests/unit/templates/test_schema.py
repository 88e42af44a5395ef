"""The schema for editors accepts what reads and refuses what does not; generated files are up to date."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

import templates
from templates.reference import COMMAND, generated
from templates.schema import template_schema

ROOT = Path(__file__).parents[3]
SCOPE = templates.DeploymentScope("00000000-0000-0000-0000-000000000000", "goldsmith", "local")
SCHEMA = template_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
DEPLOYMENT = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"


def bare(**properties: Any) -> dict[str, Any]:
    return {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": "2024-02-01",
        "name": "web",
        "location": "local",
        "identity": {"type": "None"},
        "properties": {
            "source": {
                "type": "PlatformImage",
                "publisher": "a",
                "offer": "b",
                "sku": "c",
                "version": "latest",
            },
            "customize": [{"type": "Shell", "inline": ["true"], "x-goldsmith": {"timeout": "5m"}}],
            "distribute": [{"type": "VHD", "runOutputName": "out"}],
            **properties,
        },
    }


def deployment(*resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"$schema": DEPLOYMENT, "contentVersion": "1.0.0.0", "resources": list(resources), **more}


def problem(data: Any) -> str:
    """What the schema has against `data`; empty when it accepts it."""
    found = best_match(VALIDATOR.iter_errors(data))
    return "" if found is None else f"{found.json_path}: {found.message}"


def at(data: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of `data` with another value at a path such as properties/customize/0/name."""
    result = copy.deepcopy(data)
    *parents, last = path.split("/")
    place: Any = result
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place[part]
    place[int(last) if isinstance(place, list) else last] = value
    return result


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"].endswith("/2020-12/schema")
    wanted = set(re.findall(r'"#/\$defs/([^"]+)"', json.dumps(SCHEMA)))
    assert wanted <= set(SCHEMA["$defs"])


@pytest.mark.parametrize(
    "file", sorted((ROOT / "examples").glob("*/template.json")), ids=lambda f: f.parent.name
)
def test_the_examples(file: Path) -> None:
    assert problem(json.loads(file.read_text())) == ""


def test_the_example_of_the_readme() -> None:
    (text,) = re.findall(r"```json\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert problem(json.loads(text)) == ""


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$schema", "template.schema.json"),
        ("comments", "for people"),
        ("name", "{{ name }}"),
        ("properties/distribute/0/runOutputName", "<runOutput>"),
        ("properties/buildTimeoutInMinutes", 60),
        ("properties/buildTimeoutInMinutes", "{{ minutes }}"),
        (
            "properties/validate",
            {"inVMValidations": [{"type": "PowerShell", "inline": ["x"], "validExitCodes": [0]}]},
        ),
        ("properties/customize/0", {"type": "x-Ansible", "playbook": "site.yml"}),
        ("properties/customize/0", {"type": "x-LinuxRestart", "restartTimeout": "5m"}),
        ("properties/x-goldsmith", {"network": False}),
    ],
)
def test_what_a_template_may_say(path: str, value: Any) -> None:
    assert problem(at(bare(), path, value)) == ""


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("propertys", {}),
        ("type", "Microsoft.VirtualMachineImages/imageTemplate"),
        ("apiVersion", "2024-02-02"),
        ("name", "no blanks"),
        ("properties/customise", []),
        ("properties/customize/0/inlin", []),
        ("properties/customize/0/type", "Sell"),
        ("properties/customize/0", {"type": "x-LinuxRestart", "restartTimout": "5m"}),
        ("properties/customize/0/x-goldsmith/timeot", "5m"),
        ("properties/source/sku", 12),
        ("properties/source/tpye", "x"),
        ("properties/distribute/0/runOutputName", "no blanks"),
        ("properties/buildTimeoutInMinutes", "60"),
        ("properties/buildTimeoutInMinutes", 961),
        ("properties/buildTimeoutInMinutes", "[parameters('minutes')]"),
        ("properties/vmProfile", {"osDiskSizeGb": 30}),
    ],
)
def test_a_mistake(path: str, value: Any) -> None:
    assert problem(at(bare(), path, value))
    if value != "[parameters('minutes')]":
        assert problem(deployment(at(bare(), path, value)))


def test_what_is_missing() -> None:
    for field in ("type", "name", "properties"):
        assert problem({key: value for key, value in bare().items() if key != field})
    lost = bare()
    del lost["properties"]["distribute"]
    assert problem(lost)
    assert problem(deployment(lost))
    assert problem({}) and problem([]) and problem(deployment())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "[concat('a', 'b')]"),
        ("tags", "[parameters('tags')]"),
        ("apiVersion", "[variables('version')]"),
        ("properties", "[variables('all')]"),
        ("properties/source", "[parameters('source')]"),
        ("properties/buildTimeoutInMinutes", "[parameters('minutes')]"),
        ("properties/customize", "[variables('steps')]"),
        ("properties/customize/0", "[variables('step')]"),
        ("properties/customize/0/inline", "[variables('lines')]"),
        ("properties/copy", [{"name": "customize", "count": 2, "input": {}}]),
        ("condition", "[equals(1, 1)]"),
        ("dependsOn", ["[resourceId('a/b', 'c')]"]),
    ],
)
def test_expressions_stand_for_anything_in_a_deployment(path: str, value: Any) -> None:
    resource = at(bare(), path, value)
    assert problem(deployment(resource)) == ""
    assert problem(deployment(languageVersion="2.0", resources={"image": resource})) == ""
    if path not in ("name", "properties/customize/0/inline", "dependsOn"):
        assert problem(resource)


def test_a_loop_may_make_the_targets() -> None:
    resource = bare(copy=[{"name": "distribute", "count": 2, "input": {}}])
    del resource["properties"]["distribute"]
    assert problem(deployment(resource)) == ""


def test_other_resources_are_left_alone() -> None:
    other = {"type": "Microsoft.Storage/storageAccounts", "apiVersion": "2022-09-01", "name": "x", "sku": {}}
    existing = {"type": "Microsoft.Compute/galleries/images", "name": "a/b", "existing": True}
    assert problem(deployment(other, existing, bare())) == ""
    assert problem(deployment(other)), "no image template in it: most likely a misspelt type"


def test_nested_deployments_are_looked_into() -> None:
    def nested(resource: dict[str, Any]) -> dict[str, Any]:
        inner = deployment(resource)
        properties = {"mode": "Incremental", "template": inner}
        return {"type": "Microsoft.Resources/deployments", "name": "n", "properties": properties}

    assert problem(deployment(nested(bare()))) == ""
    assert problem(deployment(nested(bare(customise=[]))))


def test_the_reader_takes_the_schema_line(tmp_path: Path) -> None:
    file = tmp_path / "web.json"
    file.write_text(json.dumps({"$schema": "../docs/template.schema.json", **bare()}))
    document = templates.read(file, defaults=SCOPE)
    assert [template.name for template in document.templates] == ["web"]
    assert not document.diagnostics


def test_every_field_says_what_it_means() -> None:
    silent = [
        f"{name}.{field}"
        for name, schema in SCHEMA["$defs"].items()
        for field, about in schema.get("properties", {}).items()
        if not about.get("description")
    ]
    assert not silent


@pytest.mark.parametrize("name", sorted(generated()))
def test_the_generated_files_are_up_to_date(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == generated()[name], f"out of date; run: {COMMAND}"
