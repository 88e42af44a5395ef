"""Images that people bring: noted with their digest in the user's own catalogue."""

import hashlib
import json

import pytest

from builder.errors import NotFoundError, UsageError
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
    file = tmp_path / "rhel.qcow2"
    file.write_bytes(b"QFI\xfb" + b"x" * 60)
    return file


def test_the_file_is_noted_under_the_version_to_be_brought(home, disk):
    done = provide(home, "redhat:rhel:8-LVM-gen2", disk, None)
    digest = hashlib.sha256(disk.read_bytes()).hexdigest()
    assert (done.urn, done.path, done.format, done.sha256) == (f"{RHEL}:8.0.0", disk, "qcow2", digest)
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
        ("RedHat:RHEL", "rhel.qcow2", None, UsageError, "not the name of a marketplace image"),
        ("RedHat:RHEL:99", "rhel.qcow2", None, NotFoundError, "no marketplace image"),
        (RHEL, "none.qcow2", None, NotFoundError, "There is no file"),
        (RHEL, "disk.img", None, UsageError, "does not say what it is"),
        (RHEL, "rhel.qcow2", "iso", UsageError, "--format iso"),
        ("OpenLogic:CentOS:7_6-gen2", "rhel.qcow2", "vmdk", UsageError, "to be brought as qcow2, raw"),
    ],
)
def test_what_cannot_be_noted(home, disk, tmp_path, urn, name, written, error, says):
    (tmp_path / "disk.img").write_bytes(b"x" * 512)
    with pytest.raises(error, match=says):
        provide(home, urn, tmp_path / name, written)
    assert not (home.root / "catalogue.json").exists()
