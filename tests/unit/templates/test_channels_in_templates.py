"""Channels in a template: where they may stand, and what is said of those that may not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import templates
from templates.diagnostics import TemplateError

SCOPE = templates.DeploymentScope("0", "goldsmith", "local")
DEFINITION = "/subscriptions/0/resourceGroups/g/providers/Microsoft.Compute/galleries/q/images/d"


def read(
    folder: Path, source: Any = None, target: Any = None, version: str = "latest", *, strict: bool = False
) -> templates.Document:
    own: dict[str, Any] = {"type": "SharedImageVersion", "imageVersionId": f"{DEFINITION}/versions/{version}"}
    goes: dict[str, Any] = {"type": "SharedImage", "runOutputName": "o", "galleryImageId": DEFINITION}
    if source is not None:
        own["x-goldsmith"] = source
    if target is not None:
        goes["x-goldsmith"] = target
    data = {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": "2024-02-01",
        "name": "t",
        "location": "westus",
        "identity": {"type": "None"},
        "properties": {"source": own, "customize": [], "distribute": [goes]},
    }
    file = folder / "t.json"
    file.write_text(json.dumps(data))
    return templates.read(file, defaults=SCOPE, strict=strict)


def problems(*args: Any, **more: Any) -> dict[str, str]:
    with pytest.raises(TemplateError) as caught:
        read(*args, **more)
    return {d.code: d.location.pointer for d in caught.value.diagnostics if d.severity == "error"}


def test_both_are_read(tmp_path: Path) -> None:
    properties = (
        read(tmp_path, {"channel": "prod"}, {"channels": ["dev", "canary.eu"]}).templates[0].properties
    )
    assert properties.source.extensions.channel == "prod"  # type: ignore[union-attr]
    assert properties.distribute[0].extensions.channels == ["dev", "canary.eu"]  # type: ignore[union-attr]


def test_the_command_lines_way_is_explained(tmp_path: Path) -> None:
    with pytest.raises(TemplateError) as caught:
        read(tmp_path, version="@prod")
    (found,) = [d for d in caught.value.diagnostics if d.severity == "error"]
    assert (found.code, found.location.pointer) == ("ChannelInId", "/properties/source/imageVersionId")
    assert '"channel": "prod"' in str(found.hint)


def test_a_version_and_a_channel_exclude_each_other(tmp_path: Path) -> None:
    found = problems(tmp_path, {"channel": "prod"}, version="1.0.0")
    assert found == {"ExclusiveFields": "/properties/source/x-goldsmith/channel"}


def test_names_are_checked_at_their_place(tmp_path: Path) -> None:
    assert problems(tmp_path, {"channel": "latest"}) == {"BadValue": "/properties/source/x-goldsmith/channel"}
    at = "/properties/distribute/0/x-goldsmith/channels"
    assert problems(tmp_path, None, {"channels": ["dev", "1.0.0"]}) == {"BadValue": f"{at}/1"}
    assert problems(tmp_path, None, {"channels": ["dev", "DEV"]}) == {"DuplicateChannel": f"{at}/1"}


def test_azure_knows_neither(tmp_path: Path) -> None:
    assert problems(tmp_path, {"channel": "prod"}, strict=True) == {
        "Extension": "/properties/source/x-goldsmith"
    }
    assert problems(tmp_path, None, {"channels": ["dev"]}, strict=True) == {
        "Extension": "/properties/distribute/0/x-goldsmith"
    }
