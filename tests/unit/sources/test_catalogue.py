"""The catalogue: lookup, merging, what is said when something is missing or wrong."""

import json

import pytest

from builder.errors import NotFoundError, UsageError
from builder.settings import Home
from builder.sources.catalogue import DownloadRecipe, FileRecipe, load_catalogue

SHA = "ab" * 32


def _own(home: Home, *images: dict) -> None:
    home.root.mkdir(parents=True, exist_ok=True)
    (home.root / "catalogue.json").write_text(json.dumps({"format": 1, "images": list(images)}))


def _image(**changes: object) -> dict:
    return {
        "publisher": "Acme",
        "offer": "os",
        "sku": "1",
        "versions": {"1.0.0": {"kind": "file", "path": "os.qcow2", "format": "qcow2"}},
        **changes,
    }


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


def test_built_in_debian_has_both_generations(home):
    catalogue = load_catalogue(home)
    assert catalogue.lookup("Debian", "debian-12", "12").image.generation == "V1"
    gen2 = catalogue.lookup("debian", "DEBIAN-12", "12-GEN2", "Latest")
    assert (gen2.image.generation, gen2.version) == ("V2", "12.0.0")
    assert gen2.urn == "Debian:debian-12:12-gen2:12.0.0"


def test_both_generations_share_one_recipe_so_one_base_serves_both(home):
    catalogue = load_catalogue(home)
    recipes = {catalogue.lookup("Debian", "debian-12", sku).recipe for sku in ("12", "12-gen2")}
    assert len(recipes) == 1


def test_unknown_image_says_what_is_close(home):
    with pytest.raises(NotFoundError) as caught:
        load_catalogue(home).lookup("Debian", "debian-12", "12-gen3")
    assert "Debian:debian-12:12-gen2" in caught.value.details[0]
    assert "build marketplace list" in (caught.value.hint or "")


def test_unknown_publisher_lists_what_there_is(home):
    with pytest.raises(NotFoundError) as caught:
        load_catalogue(home).lookup("Zzz", "q", "x")
    assert "Images here: Debian:debian-12:12" in caught.value.details[0]


def test_unknown_version_lists_the_versions(home):
    with pytest.raises(NotFoundError) as caught:
        load_catalogue(home).lookup("Debian", "debian-12", "12", "0.0.1")
    assert caught.value.details == ("Versions here: 12.0.0",)


def test_own_catalogue_adds_images_and_anchors_its_paths(home):
    download = {"kind": "download", "url": "https://example.com/a.vhd", "sha256": SHA, "format": "vhd"}
    _own(home, _image(), _image(sku="2", versions={"1.0.0": download}))
    catalogue = load_catalogue(home)
    found = catalogue.lookup("acme", "os", "1").recipe
    assert isinstance(found, FileRecipe)
    assert found.path == home.root / "os.qcow2"
    assert isinstance(catalogue.lookup("acme", "os", "2").recipe, DownloadRecipe)


def test_own_catalogue_adds_a_version_to_a_built_in_image(home):
    newer = {"12.10.0": {"kind": "file", "path": "/x.raw", "format": "raw"}}
    _own(home, _image(publisher="Debian", offer="debian-12", sku="12", versions=newer))
    catalogue = load_catalogue(home)
    assert catalogue.lookup("Debian", "debian-12", "12").version == "12.10.0"
    assert catalogue.lookup("Debian", "debian-12", "12", "12.0.0").recipe.kind == "bootstrap"


def test_latest_orders_numbers_by_value(home):
    recipe = {"kind": "file", "path": "/x.raw", "format": "raw"}
    _own(home, _image(versions={"1.9.0": recipe, "1.10.0": recipe, "beta": recipe}))
    assert load_catalogue(home).lookup("Acme", "os", "1").version == "1.10.0"


@pytest.mark.parametrize(
    ("changes", "devices"),
    [
        ({}, "virtio"),
        ({"osType": "Windows"}, "compatible"),
        ({"osType": "Windows", "devices": "virtio"}, "virtio"),
    ],
)
def test_windows_gets_devices_it_knows_without_drivers(home, changes, devices):
    _own(home, _image(**changes))
    assert load_catalogue(home).lookup("Acme", "os", "1").image.devices == devices


def test_a_wrong_entry_is_named_by_its_pointer(home):
    _own(
        home,
        _image(versions={"1.0.0": {"kind": "download", "url": "ftp://x", "sha256": "1", "format": "raw"}}),
    )
    with pytest.raises(UsageError) as caught:
        load_catalogue(home)
    assert any(line.startswith("/images/0/versions/1.0.0/download/url") for line in caught.value.details)
    assert any("sha256" in line for line in caught.value.details)


def test_broken_json_is_located(home):
    home.root.mkdir(parents=True)
    (home.root / "catalogue.json").write_text('{\n "format": 1,,\n}')
    with pytest.raises(UsageError, match=r"catalogue.json:2:14"):
        load_catalogue(home)
