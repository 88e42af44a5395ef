"""Marketplace images: what resolves to what, without making any."""

import json

import pytest

from builder.errors import NotFoundError, PreflightError
from builder.sources.marketplace import MarketplaceSource
from templates.model.source import PlatformImageSource


def _source(services, sku="12", publisher="Debian", offer="debian-12"):
    model = PlatformImageSource(type="PlatformImage", publisher=publisher, offer=offer, sku=sku)
    return MarketplaceSource(model, services)


def _own(services, recipe, **changes):
    image = {"publisher": "Acme", "offer": "os", "sku": "1", "versions": {"1.0.0": recipe}, **changes}
    services.home.root.mkdir(parents=True, exist_ok=True)
    (services.home.root / "catalogue.json").write_text(json.dumps({"format": 1, "images": [image]}))
    return _source(services, "1", "acme", "OS")


def test_debian_resolves_before_it_is_made(services):
    found = _source(services).resolve()
    assert (found.exact_version, found.generation, found.cached) == ("12.0.0", "V1", False)
    assert found.size == 4096 * 1024**2
    assert found.description == "Debian:debian-12:12:12.0.0"


def test_both_generations_start_from_the_same_base(services):
    assert _source(services, "12").resolve().identity == _source(services, "12-gen2").resolve().identity


def test_a_raw_file_is_opened_where_it_is(services):
    disk = services.base_dir / "a.raw"
    disk.write_bytes(b"x" * 1024)
    source = _own(services, {"kind": "file", "path": str(disk), "format": "raw"})
    resolved = source.resolve()
    assert (resolved.size, resolved.cached) == (1024, True)
    assert source.prepare().graph.top.path == disk
    disk.write_bytes(b"y" * 1024)
    again = _own(services, {"kind": "file", "path": str(disk), "format": "raw"})
    assert again.resolve().identity != resolved.identity


@pytest.mark.parametrize(
    ("content", "written", "says"),
    [
        (b"x" * 100, "raw", "no whole number of sectors"),
        (b"x" * 1024, "qcow2", "not a qcow2 image"),
        (b"QFI\xfb\0\0\0\3" + b"\0\0\0\0\0\0\2\0" + b"\0" * 100, "qcow2", "is an overlay"),
    ],
)
def test_files_that_are_not_what_they_claim(services, content, written, says):
    disk = services.base_dir / "a.img"
    disk.write_bytes(content)
    with pytest.raises(PreflightError, match=says):
        _own(services, {"kind": "file", "path": str(disk), "format": written}).resolve()


def test_a_missing_file_and_a_wrong_digest(services):
    recipe = {"kind": "file", "path": "none.raw", "format": "raw"}
    with pytest.raises(NotFoundError, match=r"none\.raw"):
        _own(services, recipe).resolve()
    (services.home.root / "none.raw").write_bytes(b"x" * 512)
    with pytest.raises(PreflightError, match="promises"):
        _own(services, {**recipe, "sha256": "0" * 64}).resolve()


def test_arm64_is_refused(services):
    recipe = {"kind": "bootstrap", "suite": "bookworm"}
    with pytest.raises(PreflightError, match="Arm64"):
        _own(services, recipe, architecture="Arm64").resolve()
