"""Rules of what only Windows has: filters of updates, the account of an image, its devices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import templates
from templates import DeploymentScope
from templates.diagnostics import TemplateError

SCOPE = DeploymentScope("00000000-0000-0000-0000-000000000000", "goldsmith", "local")
EXTENSIONS = "/properties/x-goldsmith"


def said(tmp_path: Path, **properties: Any) -> list[tuple[str, str]]:
    """(code, pointer) of the errors in a template with these properties."""
    source = {
        "type": "PlatformImage",
        "publisher": "Acme",
        "offer": "windows",
        "sku": "1",
        "version": "latest",
    }
    body = {"source": source, "distribute": [{"type": "VHD", "runOutputName": "out"}], **properties}
    template = {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": "2025-10-01",
        "name": "golden",
        "location": "westus",
        "identity": {"type": "None"},
        "properties": body,
    }
    path = tmp_path / "golden.json"
    path.write_text(json.dumps(template))
    try:
        templates.read(path, defaults=SCOPE)
    except TemplateError as error:
        return [(d.code, d.location.pointer) for d in error.diagnostics if d.severity == "error"]
    return []


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("include:$true", True),
        ("exclude:$_.Title -like '*:*'", True),
        ("include:", False),
        ("$true", True),
        (" ", False),
        ("Include:$true", True),
        ("$env:A -eq 1", True),
    ],
)
def test_filters(text: str, good: bool, tmp_path: Path) -> None:
    found = said(tmp_path, customize=[{"type": "WindowsUpdate", "filters": ["include:$true", text]}])
    assert found == ([] if good else [("BadFilter", "/properties/customize/0/filters/1")])


@pytest.mark.parametrize(
    ("access", "expected"),
    [
        ({"user": "admin", "privateKey": {"file": "key"}}, []),
        ({"user": "admin", "password": {"env": "P"}}, []),
        ({"user": "admin"}, [("BadAccess", "/access")]),
        (
            {"user": "admin", "password": {"env": "P"}, "privateKey": {"file": "k"}},
            [("BadAccess", "/access")],
        ),
        ({"user": "admin", "password": {"env": "P", "file": "f"}}, [("BadSecret", "/access/password")]),
        ({"user": "admin", "password": {"env": ""}}, [("BadSecret", "/access/password")]),
        ({"user": "a b", "password": {"env": "P"}}, [("BadValue", "/access/user")]),
        ({"password": {"env": "P"}}, [("MissingField", "/access")]),
    ],
)
def test_access(access: dict[str, Any], expected: list[tuple[str, str]], tmp_path: Path) -> None:
    found = said(tmp_path, **{"x-goldsmith": {"access": access}})
    assert found == [(code, f"{EXTENSIONS}{pointer}") for code, pointer in expected]


def test_devices(tmp_path: Path) -> None:
    assert said(tmp_path, **{"x-goldsmith": {"devices": "compatible"}}) == []
    assert [pointer for _, pointer in said(tmp_path, **{"x-goldsmith": {"devices": "ide"}})] == [
        f"{EXTENSIONS}/devices"
    ]
