"""The verbs `build images` and `build gallery`, through typer, on a registry of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from disk.vhd_file import MIB, write_vhd
from typer.testing import CliRunner

from builder.cli import gallery, images
from builder.disk.extents import content_digest
from builder.disk.vhd import VhdError
from builder.errors import ConflictError, NotFoundError, UsageError
from builder.registry.store import Registry
from builder.settings import Home
from registry.conftest import GALLERY, WEB, Publish, image_record


@pytest.fixture(autouse=True)
def at_home(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLDSMITH_HOME", str(home.root))


def call(app: typer.Typer, *words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def call_json(app: typer.Typer, *words: str) -> Any:
    return json.loads(call(app, *words, "--json"))


def test_a_gallery_from_the_command_line() -> None:
    made = call_json(gallery.app, "create", "team", "-g", "rg", "-l", "West US")
    assert made["id"].endswith("/resourceGroups/rg/providers/Microsoft.Compute/galleries/team")
    call(
        gallery.app,
        "definition",
        "create",
        "team/web",
        "-p",
        "me",
        "-f",
        "web",
        "-s",
        "1",
        "--os-type",
        "Linux",
    )
    shown = call_json(gallery.app, "show", "TEAM")
    assert [d["name"] for d in shown["definitions"]] == ["web"]
    assert (shown["definitions"][0]["generation"], shown["definitions"][0]["location"]) == ("V2", "West US")
    assert call_json(gallery.app, "definition", "show", "team/web")["versions"] == []
    assert "team/web" in call(gallery.app, "definition", "list", "team")
    with pytest.raises(ConflictError, match="nested resources"):
        call(gallery.app, "delete", "team", "--yes")
    call(gallery.app, "definition", "delete", "team/web", "--yes")
    call(gallery.app, "delete", "team", "--yes")
    assert call_json(gallery.app, "list") == []


def test_versions_from_the_command_line(publish: Publish, home: Home) -> None:
    publish("1.0.0", ["West US", "East US"])
    publish("1.1.0", ["West US"])
    assert [v["version"] for v in call_json(gallery.app, "version", "list", "Team.gallery/web")] == [
        "1.1.0",
        "1.0.0",
    ]
    assert "Team.gallery/web/1.1.0" in call(gallery.app, "version", "list")
    assert call_json(gallery.app, "latest", "team.gallery/web")["version"] == "1.1.0"
    assert call_json(gallery.app, "latest", WEB, "--region", "eastus")["version"] == "1.0.0"
    assert "eastus/team.gallery" in call(gallery.app, "version", "show", f"{WEB}/versions/1.0.0")
    call(gallery.app, "version", "delete", "Team.gallery/web/1.1.0", "--yes")
    assert call_json(gallery.app, "version", "show", "Team.gallery/web/latest")["version"] == "1.0.0"
    with pytest.raises(NotFoundError):
        call(gallery.app, "version", "show", "Team.gallery/web/1.1.0")


@pytest.mark.parametrize(
    "words", [["delete", "Team.gallery"], ["version", "delete", "Team.gallery/web/1.0.0"]]
)
def test_nothing_is_deleted_when_nobody_can_be_asked(publish: Publish, words: list[str]) -> None:
    publish("1.0.0")
    with pytest.raises(UsageError, match="nobody to ask"):
        call(gallery.app, *words)
    assert call_json(gallery.app, "latest", f"{GALLERY}/images/web")["version"] == "1.0.0"


def test_images_from_the_command_line(registry: Registry, home: Home) -> None:
    assert "no managed images yet" in call(images.app, "list")
    record = image_record(home)
    registry.put_image(record)
    assert [item["id"] for item in call_json(images.app, "list")] == [record.id]
    assert "Web" in call(images.app, "list")
    assert call_json(images.app, "show", "web")["path"] == str(record.path)
    assert record.id in call(images.app, "show", record.id)
    call(images.app, "delete", "web", "--yes")
    assert not record.path.exists()


def test_verify_finds_what_changed(registry: Registry, home: Home) -> None:
    record = image_record(home)
    write_vhd(record.path, 2 * MIB, b"data", MIB)
    registry.put_image(image_record(home, digest=content_digest(record.path, 2 * MIB), keep_file=True))
    assert "The image is sound." in call(images.app, "verify", "web", "--no-gate")
    with record.path.open("r+b") as file:
        file.seek(MIB)
        file.write(b"rot!")
    with pytest.raises(VhdError, match="has changed since it was built"):
        call(images.app, "verify", "web")
    assert call_json(images.app, "verify", str(record.path), "--no-gate")["virtualSize"] == 2 * MIB
    record.path.unlink()
    with pytest.raises(VhdError, match="is gone"):
        call(images.app, "verify", "web")


def refused(*words: str) -> str:
    result = CliRunner().invoke(images.app, ["verify", *words])
    assert result.exit_code == 1, result.output
    return result.output


def test_verify_takes_any_file_and_asks_the_gate(tmp_path: Path) -> None:
    file = str(write_vhd(tmp_path / "a.vhd", 3 * MIB + 512))
    said = refused(file)
    assert "has an unsupported virtual size of 3146240 bytes. The size must be a whole number" in said
    assert "create-upload-generic" in said
    assert "The image does not pass the gate: whole-mib, partition-table." in said
    found = json.loads(refused(file, "--json", "--waive", "whole-mib", "--generation", "V1"))
    outcomes = {one["rule"]: one["outcome"] for one in found["gate"]["results"]}
    assert (outcomes["whole-mib"], outcomes["partition-table"]) == ("waived", "failed")
    assert outcomes["hyperv-drivers"] == "unknown"
    assert found["gate"]["generation"] == "V1"
    assert found["gate"]["passed"] is False
    with pytest.raises(UsageError, match="no rule"):
        call(images.app, "verify", file, "--waive", "whole-mb")


def test_a_file_of_another_kind_is_told_how_it_becomes_a_vhd(tmp_path: Path) -> None:
    file = tmp_path / "disk.raw"
    file.write_bytes(bytes(510) + b"\x55\xaa" + bytes(512))
    said = refused(str(file))
    assert "truncate -s %1M disk.raw; qemu-img convert -f raw -O vpc" in said
    file.write_bytes(b"QFI\xfb garbage")
    assert "no VHD footer" in refused(str(file))
    with pytest.raises(NotFoundError):
        call(images.app, "verify", str(tmp_path / "none.vhd"))


def test_a_version_is_verified_with_its_copies(publish: Publish) -> None:
    version = publish("1.0.0", ("West US", "East US"))
    for replica in version.replicas:
        write_vhd(replica.path, 2 * MIB, b"data", MIB)
    said = call(images.app, "verify", "team.gallery/web/1.0.0", "--no-gate")
    assert f"Copy:       {version.replicas[1].path}, as recorded" in said
    call(images.app, "verify", version.id, "--no-gate")
    write_vhd(version.replicas[1].path, 3 * MIB + 1)
    with pytest.raises(VhdError, match="unsupported virtual size"):
        call(images.app, "verify", version.id, "--no-gate")


def test_the_rules_are_listed() -> None:
    listed = call(images.app, "verify", "--rules")
    assert "hyperv-drivers" in listed
    assert len(call_json(images.app, "verify", "--rules")) == 18
    with pytest.raises(UsageError, match="What is to be verified"):
        call(images.app, "verify")
