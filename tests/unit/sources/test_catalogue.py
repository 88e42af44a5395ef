"""The catalogue: lookup, merging, what is said when something is missing or wrong."""

import json

import pytest

from builder.errors import NotFoundError, UsageError
from builder.settings import Home
from builder.sources.catalogue import DownloadRecipe, FileRecipe, ProvideRecipe, load_catalogue

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
    recipes = {catalogue.lookup("Debian", "debian-12", sku).recipes for sku in ("12", "12-gen2")}
    assert len(recipes) == 1


def test_unknown_image_says_what_is_close(home):
    with pytest.raises(NotFoundError) as caught:
        load_catalogue(home).lookup("Debian", "debian-12", "12-gen3")
    assert "Debian:debian-12:12-gen2" in caught.value.details[0]
    assert "build marketplace list" in (caught.value.hint or "")


def test_unknown_publisher_lists_what_there_is(home):
    with pytest.raises(NotFoundError) as caught:
        load_catalogue(home).lookup("Zzz", "q", "x")
    assert caught.value.details[0].startswith("Publishers here: almalinux, Canonical, Debian")


def test_unknown_offer_of_a_known_publisher_lists_what_it_has(home):
    with pytest.raises(NotFoundError) as caught:
        load_catalogue(home).lookup("OpenLogic", "qqqqqqqqqqqqqqqqqqq", "zzzzzzzzzz")
    assert caught.value.details[0].startswith("Of this publisher: OpenLogic:CentOS:7.6, ")


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


def test_digits_that_are_no_number_of_ours_break_nothing(home):
    recipe = {"kind": "file", "path": "/x.raw", "format": "raw"}
    huge = "9" * 5000
    _own(
        home, _image(versions={"1.²": recipe, "1.08": recipe, "1.7": recipe, "0" + huge: recipe, "٣": recipe})
    )
    catalogue = load_catalogue(home)
    (image,) = [one for one in catalogue.images if one.publisher == "Acme"]
    numbers = [entry.version for entry in catalogue.entries(image)]
    assert numbers == ["0" + huge, "1.08", "1.7", "1.²", "٣"]


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


def test_every_problem_is_told_with_its_line_and_column(home):
    home.root.mkdir(parents=True)
    file = home.root / "catalogue.json"
    file.write_text(
        """{
  "format": 1,
  "images": [
    { "publisher": "Acme", "offer": "os", "sku": "1", "osTyp": "Linux", "versions": {
        "1.0.0": { "kind": "download", "url": "ftp://x", "sha256": "1", "format": "raw" },
        "2.0.0": [{ "kind": "file", "format": "raw" }] } }
  ]
}
"""
    )
    with pytest.raises(UsageError) as caught:
        load_catalogue(home)
    assert caught.value.message == f"{file} is not a catalogue."
    details = "\n".join(caught.value.details)
    assert f"{file}:4:55: /images/0/osTyp: there is no field" in details
    assert f"{file}:5:47: /images/0/versions/1.0.0/url: " in details
    assert f"{file}:5:68: /images/0/versions/1.0.0/sha256: " in details
    assert f"{file}:6:19: /images/0/versions/2.0.0/0: 'path' is missing" in details


def test_broken_json_is_located(home):
    home.root.mkdir(parents=True)
    (home.root / "catalogue.json").write_text('{\n "format": 1,,\n}')
    with pytest.raises(UsageError, match=r"catalogue.json:2:14"):
        load_catalogue(home)


@pytest.mark.parametrize("text", ['{"format": 1} // mine', '{"format": 1,}'])
def test_what_only_looks_like_json_is_refused(home, text):
    """A later 'provide' writes the file anew, and would drop a comment."""
    home.root.mkdir(parents=True)
    (home.root / "catalogue.json").write_text(text)
    with pytest.raises(UsageError, match=r"catalogue.json:1:"):
        load_catalogue(home)


def test_a_newer_format_is_refused_and_not_misread(home):
    home.root.mkdir(parents=True)
    (home.root / "catalogue.json").write_text('{"format": 2, "pictures": []}')
    with pytest.raises(UsageError, match="format 2 of catalogues; this Goldsmith reads format 1"):
        load_catalogue(home)


SUMS = {"url": "https://x.example/SHA256SUMS", "style": "detached", "signatureUrl": "https://x.example/s.gpg"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "give either 'sha256' or 'sums'"),
        ({"sha256": SHA, "sums": {**SUMS, "keyring": "k.gpg"}}, "give either 'sha256' or 'sums'"),
        ({"sums": SUMS}, "a signature needs a 'keyring'"),
        ({"sums": {**SUMS, "style": "inline", "keyring": "k"}}, "'signatureUrl' belongs to the style"),
        ({"sums": {"url": "http://x.example/SUMS", "style": "none"}}, "need an https address"),
        (
            {"url": "https://x.example/latest/", "sums": {**SUMS, "keyring": "k"}},
            "the address ends without a file's name",
        ),
    ],
)
def test_a_download_has_one_proof_and_a_sound_one(home, changes, says):
    recipe = {"kind": "download", "url": "https://x.example/a.raw", "format": "raw", **changes}
    _own(home, _image(versions={"1.0.0": recipe}))
    with pytest.raises(UsageError) as caught:
        load_catalogue(home)
    assert says in caught.value.details[0]


def test_another_name_of_an_image_leads_to_it(home):
    catalogue = load_catalogue(home)
    found = catalogue.lookup("canonical", "0001-COM-ubuntu-server-bionic", "18_04-lts")
    assert found.urn == "Canonical:UbuntuServer:18.04-LTS:18.04.0"


def test_an_own_image_wins_over_another_ones_alias(home):
    _own(home, _image(publisher="RedHat", offer="RHEL", sku="7_6"))
    assert load_catalogue(home).lookup("RedHat", "RHEL", "7_6").origin == "yours"


def test_what_an_own_entry_does_not_say_stays_as_below(home):
    brought = {"8.0.0": {"kind": "file", "path": "/rhel.qcow2", "format": "qcow2"}}
    _own(home, {"publisher": "redhat", "offer": "rhel-byos", "sku": "rhel-lvm8-gen2", "versions": brought})
    found = load_catalogue(home).lookup("RedHat", "rhel-byos", "rhel-lvm8-gen2")
    assert (found.image.generation, found.image.user_name) == ("V2", "cloud-user")
    assert found.image.urn == "RedHat:rhel-byos:rhel-lvm8-gen2"
    assert found.image.plan is not None
    assert (found.recipe.kind, found.origin) == ("file", "yours")


def test_of_several_recipes_the_first_is_the_default_and_the_setting_chooses(home):
    catalogue = load_catalogue(home)
    name = ("Canonical", "ubuntu-24_04-lts", "server")
    assert catalogue.lookup(*name).recipe.kind == "download"
    assert catalogue.lookup(*name, prefer="bootstrap").recipe.kind == "bootstrap"
    assert isinstance(catalogue.lookup("RedHat", "RHEL", "8", prefer="bootstrap").recipe, ProvideRecipe)


def test_versions_come_latest_first_with_where_they_are_from(home):
    newer = {"12.10.0": {"kind": "file", "path": "/x.raw", "format": "raw"}}
    _own(home, _image(publisher="Debian", offer="debian-12", sku="12", versions=newer))
    catalogue = load_catalogue(home)
    image = catalogue.lookup("Debian", "debian-12", "12").image
    assert [(entry.version, entry.origin) for entry in catalogue.entries(image)] == [
        ("12.10.0", "yours"),
        ("12.0.0", "built-in"),
    ]
