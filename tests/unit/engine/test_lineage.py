"""The lineage of a build: whole, the same however the file is spelled, and without secrets or users."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import templates
from builder.layers.route import Link, Route
from builder.lineage import lineage_of, without_user
from builder.redact import Redactor
from builder.resolve import frozen_content
from builder.sources.base import ResolvedSource
from builder.stages.generalize import finished

SCOPE = templates.DeploymentScope("0", "goldsmith", "local")
SOURCE = ResolvedSource(
    "id", "Debian", "Linux", "V2", "1", origin={"type": "PlatformImage", "urn": "a:b:c:1"}
)
ROUTE = Route((Link("l1", "boot", "first boot", 0), Link("l2", "Shell", "x", 1)))


def read(folder: Path, **changes: Any) -> templates.Document:
    properties = {
        "source": {"type": "PlatformImage", "publisher": "Debian", "offer": "debian-12", "sku": "12"},
        "customize": [
            {"type": "Shell", "inline": ["echo hush-hush"]},
            {"type": "x-LinuxRestart"},
            {"type": "File", "sourceUri": "app.conf", "destination": "/etc/app.conf"},
        ],
        "distribute": [{"type": "VHD", "runOutputName": "out"}],
        **changes,
    }
    kind = "Microsoft.VirtualMachineImages/imageTemplates"
    data = {"type": kind, "apiVersion": "2024-02-01", "name": "web", "location": "local"}
    file = folder / "t.json"
    file.write_text(json.dumps({**data, "properties": properties}, indent=len(changes) or None))
    return templates.read(file, defaults=SCOPE)


def lineage(document: templates.Document, redactor: Redactor | None = None) -> dict[str, Any]:
    frozen = {
        "/properties/customize/0": frozen_content("inline", b"echo hush-hush"),
        "/properties/customize/2": frozen_content("app.conf", b"x=1"),
    }
    return lineage_of(document, document.templates[0], SOURCE, ROUTE, frozen, redactor or Redactor())


def test_all_that_an_image_was_made_of(tmp_path: Path) -> None:
    found = lineage(read(tmp_path))
    assert found["source"] == {"type": "PlatformImage", "urn": "a:b:c:1"}
    assert found["template"] == "web"
    assert len(found["templateDigest"]) == 64
    assert found["layers"] == ["l1", "l2"]
    assert found["inputs"] == [
        {"step": 1, "name": "inline", "digest": hashlib.sha256(b"echo hush-hush").hexdigest()},
        {"step": 3, "name": "app.conf", "digest": hashlib.sha256(b"x=1").hexdigest()},
    ]
    assert found["goldsmith"]


def test_the_digest_is_of_the_template_not_of_the_file(tmp_path: Path) -> None:
    first = read(tmp_path)
    data = json.loads((tmp_path / "t.json").read_text())
    (tmp_path / "t.json").write_text(json.dumps(dict(reversed(data.items())), indent=8))
    second = templates.read(tmp_path / "t.json", defaults=SCOPE)
    assert lineage(first) == lineage(second)
    third = read(tmp_path, distribute=[{"type": "VHD", "runOutputName": "other"}])
    assert lineage(third)["templateDigest"] != lineage(first)["templateDigest"]


def test_a_secret_is_nowhere_not_even_as_a_digest(tmp_path: Path) -> None:
    document, redactor = read(tmp_path), Redactor()
    redactor.add("hush-hush")
    hidden, open_ = lineage(document, redactor), lineage(document)
    assert hidden["inputs"][0]["digest"] == hashlib.sha256(b"echo ****").hexdigest()
    assert hidden["templateDigest"] != open_["templateDigest"]
    assert hidden["inputs"][1] == open_["inputs"][1]


def test_no_user_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    assert without_user("/home/alice/a.sh") == "~/a.sh"
    assert without_user("file:///home/alice/a.sh") == "file://~/a.sh"
    assert without_user("/home/alicea/a.sh") == "/home/alicea/a.sh"
    monkeypatch.setenv("HOME", "/")
    assert without_user("/srv/a.sh") == "/srv/a.sh"


def test_the_finished_image_carries_it_to_the_targets(tmp_path: Path) -> None:
    parent = "/subscriptions/0/resourceGroups/g/providers/Microsoft.Compute/images/x"
    context: Any = SimpleNamespace(
        source=replace(SOURCE, parent=parent),
        template=read(tmp_path).templates[0],
        run=SimpleNamespace(run_id="r"),
        lineage={"layers": ["l1"]},
    )
    for reused in (False, True):
        image = finished(context, tmp_path / "os.vhd", 1, lambda: "d", reused=reused)
        assert (image.parent, image.lineage) == (parent, {"layers": ["l1"]})
