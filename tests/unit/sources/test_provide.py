"""Images that people bring: noted with their digest in the user's own catalogue."""

import hashlib
import json
import os

import pytest
from disk.vhd_file import MIB, write_vhd

from builder.disk.formats import DiskFormatError
from builder.errors import InUseError, NotFoundError, UsageError
from builder.lock import FileLock
from builder.settings import Home
from builder.sources.catalogue import load_catalogue
from builder.sources.catalogue.provide import provide

RHEL = "RedHat:RHEL:8-gen2"


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.ensure()
    return home


@pytest.fixture
def disk(tmp_path):
    return write_vhd(tmp_path / "rhel.img", 2 * MIB)


def test_the_file_is_noted_under_the_version_to_be_brought(home, disk):
    done = provide(home, "redhat:rhel:8-LVM-gen2", disk, None)
    digest = hashlib.sha256(disk.read_bytes()).hexdigest()
    assert (done.urn, done.path, done.format, done.sha256) == (f"{RHEL}:8.0.0", disk, "vhd", digest)
    found = load_catalogue(home).lookup("RedHat", "RHEL", "8-gen2")
    assert (found.recipe.kind, found.recipe.path, found.recipe.sha256) == ("file", disk, digest)
    assert (found.image.generation, found.image.user_name) == ("V2", "cloud-user")


def test_brought_again_it_replaces_and_another_version_stands_beside(home, disk, tmp_path):
    provide(home, RHEL, disk, None)
    other = tmp_path / "other.img"
    other.write_bytes(b"y" * 512)
    provide(home, RHEL, other, "raw")
    provide(home, f"{RHEL}:8.10.0", disk, None)
    data = json.loads((home.root / "catalogue.json").read_text())
    (image,) = data["images"]
    assert image["versions"]["8.0.0"]["path"] == str(other)
    assert list(image["versions"]) == ["8.0.0", "8.10.0"]
    assert load_catalogue(home).lookup("RedHat", "RHEL", "8-gen2").version == "8.10.0"


def test_the_first_build_does_not_read_it_again(home, disk, services, monkeypatch):
    from dataclasses import replace

    from builder.sources.marketplace import MarketplaceSource
    from templates.model.source import PlatformImageSource

    os.utime(disk, (1, 1))
    provide(home, RHEL, disk, None)
    monkeypatch.setattr(hashlib, "file_digest", None)
    model = PlatformImageSource(type="PlatformImage", publisher="RedHat", offer="RHEL", sku="8-gen2")
    assert MarketplaceSource(model, replace(services, home=home)).resolve().size == 2 * MIB


def test_what_else_stands_in_the_file_stays(home, disk):
    own = home.root / "catalogue.json"
    mine = {"publisher": "Acme", "offer": "os", "sku": "1", "description": "ä",
            "versions": {"1.0": {"kind": "file", "path": "a.raw", "format": "raw"}}}  # fmt: skip
    own.write_text(json.dumps({"$schema": "s.json", "format": 1, "images": [mine]}))
    provide(home, RHEL, disk, None)
    data = json.loads(own.read_text())
    assert data["$schema"] == "s.json"
    assert data["images"][0] == mine
    assert "ä" in own.read_text()


def test_a_broken_file_is_told_and_left_alone(home, disk):
    own = home.root / "catalogue.json"
    own.write_text("{")
    with pytest.raises(UsageError, match=r"catalogue\.json:1"):
        provide(home, RHEL, disk, None)
    assert own.read_text() == "{"


@pytest.mark.parametrize(
    ("urn", "name", "written", "error", "says"),
    [
        ("RedHat:RHEL", "rhel.img", None, UsageError, "not the name of a marketplace image"),
        ("RedHat:RHEL:99", "rhel.img", None, NotFoundError, "no marketplace image"),
        (RHEL, "none.qcow2", None, NotFoundError, "There is no file"),
        (RHEL, "noise.img", None, DiskFormatError, "Nobody can say which format"),
        (RHEL, "rhel.img", "qcow2", DiskFormatError, "is not a qcow2 disk, as declared: it looks like vhd"),
        (RHEL, "rhel.img", "iso", UsageError, "--format iso"),
    ],
)
def test_what_cannot_be_noted(home, disk, tmp_path, urn, name, written, error, says):
    (tmp_path / "noise.img").write_bytes(b"x" * 512)
    with pytest.raises(error, match=says):
        provide(home, urn, tmp_path / name, written)
    assert not (home.root / "catalogue.json").exists()


def test_an_entry_says_which_formats_it_takes(home, disk):
    recipe = {"kind": "provide", "supply": "our disk", "formats": ["qcow2"]}
    image = {"publisher": "Acme", "offer": "os", "sku": "1", "versions": {"1.0": recipe}}
    (home.root / "catalogue.json").write_text(json.dumps({"format": 1, "images": [image]}))
    with pytest.raises(UsageError, match="is to be brought as qcow2, not as vhd") as caught:
        provide(home, "Acme:os:1", disk, None)
    assert caught.value.hint == "Bring our disk."


def test_two_at_once_do_not_lose_what_the_other_notes(home, disk):
    lock = FileLock(home.root / ".catalogue.json.lock")
    assert lock.try_acquire(by="another")
    with pytest.raises(InUseError):
        provide(home, RHEL, disk, None)
    assert not (home.root / "catalogue.json").exists()
    lock.release()
    provide(home, RHEL, disk, None)
    assert sorted(path.name for path in home.root.glob("*catalogue*")) == ["catalogue.json"]


def test_a_disk_in_several_files_is_proved_by_no_single_checksum(home, tmp_path, services):
    from builder.sources.marketplace import MarketplaceSource
    from templates.model.source import PlatformImageSource

    text = b'# Disk DescriptorFile\ncreateType="monolithicFlat"\nRW 8 FLAT "d-flat.vmdk" 0\n'
    (tmp_path / "d.vmdk").write_bytes(text)
    (tmp_path / "d-flat.vmdk").write_bytes(bytes(4096))
    with pytest.raises(DiskFormatError, match=r"data in other files \(d-flat\.vmdk\)") as caught:
        provide(home, RHEL, tmp_path / "d.vmdk", None)
    assert "streamOptimized" in (caught.value.hint or "")
    recipe = {"kind": "file", "path": str(tmp_path / "d.vmdk")}
    model = PlatformImageSource(type="PlatformImage", publisher="Acme", offer="os", sku="1")
    for promised, fits in (({}, True), ({"sha256": hashlib.sha256(text).hexdigest()}, False)):
        image = {
            "publisher": "Acme",
            "offer": "os",
            "sku": "1",
            "versions": {"1.0.0": {**recipe, **promised}},
        }
        services.home.root.mkdir(parents=True, exist_ok=True)
        (services.home.root / "catalogue.json").write_text(json.dumps({"format": 1, "images": [image]}))
        if fits:
            assert MarketplaceSource(model, services).resolve().exact_version == "1.0.0"
        else:
            with pytest.raises(DiskFormatError, match="data in other files"):
                MarketplaceSource(model, services).resolve()
