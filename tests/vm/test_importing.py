"""Catalogue entries without a format, of files and downloads of every kind: what a machine would get."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from web import Page, Web, web_server

from builder.deadline import Deadline
from builder.disk.formats import DiskFormatError
from builder.events import EventBus
from builder.process import run
from builder.redact import Redactor
from builder.services import Services
from builder.settings import Home, Settings
from builder.sources.base import SourceDisk
from builder.sources.marketplace import MarketplaceSource
from templates.model.source import PlatformImageSource

MIB = 1024**2
SIZE = 20 * MIB


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.truncate(SIZE)
        file.seek(510)
        file.write(b"\x55\xaa")
        file.seek(5 * MIB)
        file.write(random.Random(4).randbytes(MIB))
    return path


@pytest.fixture
def services(tmp_path: Path) -> Services:
    redactor = Redactor()
    home = Home(tmp_path / "home")
    home.ensure()
    return Services(home, Settings(), EventBus(redactor), redactor, Deadline(120), tmp_path, tmp_path)


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as server:
        yield server


def prepare(services: Services, recipe: dict[str, Any]) -> SourceDisk:
    image = {"publisher": "Acme", "offer": "os", "sku": "1", "versions": {"1.0.0": recipe}}
    (services.home.root / "catalogue.json").write_text(json.dumps({"format": 1, "images": [image]}))
    model = PlatformImageSource(type="PlatformImage", publisher="Acme", offer="os", sku="1")
    return MarketplaceSource(model, services).prepare()


def content(source: SourceDisk, folder: Path) -> bytes:
    flat = folder / "flat"
    run(["qemu-img", "convert", "-O", "raw", source.graph.json_name(), flat], timeout=60)
    return flat.read_bytes()


def convert(disk: Path, kind: str, options: str, name: str) -> Path:
    path = disk.with_name(name)
    run(["qemu-img", "convert", "-f", "raw", "-O", kind, "-o", options, disk, path], timeout=60)
    return path


@pytest.mark.parametrize(
    ("kind", "options", "in_place"),
    [
        ("qcow2", "compat=1.1", True),
        ("vpc", "subformat=fixed,force_size=on", True),
        ("vpc", "subformat=dynamic,force_size=on", False),
        ("vhdx", "subformat=dynamic", False),
        ("vmdk", "subformat=streamOptimized", False),
        ("vmdk", "subformat=monolithicFlat", False),
    ],
)
def test_a_file_of_any_format(
    tmp_path: Path, disk: Path, services: Services, kind: str, options: str, in_place: bool
) -> None:
    path = convert(disk, kind, options, "image")
    source = prepare(services, {"kind": "file", "path": str(path)})
    assert source.size == SIZE
    assert (source.graph.top.path == path) == in_place
    assert content(source, tmp_path) == disk.read_bytes()


def test_a_part_of_a_disk_in_several_files_that_changed_is_another_disk(
    tmp_path: Path, disk: Path, services: Services
) -> None:
    path = convert(disk, "vmdk", "subformat=monolithicFlat", "image.vmdk")
    first = prepare(services, {"kind": "file", "path": str(path)})
    with (tmp_path / "image-flat.vmdk").open("r+b") as file:
        file.seek(7 * MIB)
        file.write(b"changed")
    second = prepare(services, {"kind": "file", "path": str(path)})
    assert first.graph.top.path != second.graph.top.path
    assert content(second, tmp_path)[7 * MIB : 7 * MIB + 7] == b"changed"


@pytest.mark.parametrize("ending", ["", ".xz", ".gz", ".zst", ".bz2"])
@pytest.mark.parametrize(
    ("kind", "options"), [("raw", ""), ("vpc", "subformat=fixed,force_size=on"), ("vhdx", "")]
)
def test_a_download_of_any_format_and_compression(
    tmp_path: Path, disk: Path, services: Services, web: Web, kind: str, options: str, ending: str
) -> None:
    path = disk if kind == "raw" else convert(disk, kind, options or "subformat=dynamic", f"image.{kind}")
    program = {".xz": "xz", ".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2"}.get(ending)
    if program:
        run([program, "-q", "-k", path], timeout=60)
        path = path.with_name(path.name + ending)
    data = path.read_bytes()
    web.pages[f"/{path.name}"] = Page(data)
    recipe = {
        "kind": "download", "url": f"{web.url}/{path.name}", "sha256": hashlib.sha256(data).hexdigest()
    }  # fmt: skip
    source = prepare(services, recipe)
    assert source.size == SIZE
    assert content(source, tmp_path) == disk.read_bytes()
    assert list(services.home.downloads.iterdir()) == []
    (base,) = (folder for folder in services.home.bases.iterdir() if folder.is_dir())
    assert len(list(base.iterdir())) == 2
    offline = replace(services, settings=Settings(offline=True))
    assert prepare(offline, recipe).graph == source.graph


def test_what_cannot_be_converted_is_said(disk: Path, services: Services) -> None:
    path = convert(disk, "vmdk", "subformat=streamOptimized", "image.vmdk")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DiskFormatError, match=r"vmdk disk image\.vmdk cannot be converted"):
        prepare(services, {"kind": "file", "path": str(path)})
