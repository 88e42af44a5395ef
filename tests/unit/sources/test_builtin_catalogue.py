"""The built-in catalogue as data: its form, its schema, and that every entry can be used as it says."""

import json
from importlib import resources

import pytest
from jsonschema import Draft202012Validator

from builder.settings import Home
from builder.sources.catalogue import load_catalogue
from builder.sources.catalogue.load import parse_catalogue, read_built_in
from builder.sources.catalogue.model import key_of
from builder.sources.catalogue.schema import catalogue_schema

TEXT = resources.files("builder.sources.catalogue").joinpath("builtin.json").read_text()
IMAGES = read_built_in()
RECIPES = [
    pytest.param(image, recipe, id=f"{image.urn}-{recipe.kind}")
    for image in IMAGES
    for recipes in image.versions.values()
    for recipe in recipes
]


def test_the_data_keeps_to_the_schema():
    schema = catalogue_schema()
    Draft202012Validator.check_schema(schema)
    assert [error.message for error in Draft202012Validator(schema).iter_errors(json.loads(TEXT))] == []


@pytest.mark.parametrize(
    "broken",
    [
        {"format": 2},
        {"format": 1, "images": [{"publisher": "a", "offer": "b", "sku": "c", "versions": {}}]},
        {"format": 1, "pictures": []},
        {"format": 1, "images": [{"publisher": "a", "offer": "b", "sku": "c", "versions": {
            "1": {"kind": "download", "url": "https://x.example/a", "format": "raw"}}}]},
        {"format": 1, "images": [{"publisher": "a", "offer": "b", "sku": "c", "versions": {
            "1": [{"kind": "file", "format": "raw"}]}}]},
    ],
)  # fmt: skip
def test_the_schema_refuses_what_the_reader_refuses(broken):
    assert list(Draft202012Validator(catalogue_schema()).iter_errors(broken))
    with pytest.raises(Exception, match="catalogue"):
        parse_catalogue(json.dumps(broken), "catalogue.json")


def test_the_schema_takes_one_recipe_and_a_list():
    file = {"kind": "file", "path": "a.raw", "format": "raw"}
    image = {"publisher": "a", "offer": "b", "sku": "c", "versions": {"1": file, "2": [file, file]}}
    good = {"$schema": "catalogue.schema.json", "format": 1, "images": [image]}
    assert list(Draft202012Validator(catalogue_schema()).iter_errors(good)) == []
    assert len(parse_catalogue(json.dumps(good), "c.json").images[0].versions["2"]) == 2


def test_every_field_of_the_schema_is_described():
    schema = catalogue_schema()
    missing = [
        f"{name}.{field}"
        for name, model in schema["$defs"].items()
        for field, said in model.get("properties", {}).items()
        if field != "kind" and "description" not in said
    ]
    assert missing == []


def test_no_name_is_taken_twice():
    names = [image.key for image in IMAGES]
    names += [key_of(*alias.split(":")) for image in IMAGES for alias in image.aliases]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.urn)
def test_an_entry_says_everything_about_itself(image):
    said = image.model_fields_set
    assert {"description", "generation", "architecture", "user_name"} <= said
    assert image.devices == ("compatible" if image.os_type == "Windows" else "virtio")
    assert ("UEFI" if image.generation == "V2" else "BIOS") in image.description


@pytest.mark.parametrize(("image", "recipe"), RECIPES)
def test_a_download_is_proved_by_its_publisher(image, recipe):
    if recipe.kind == "download":
        assert recipe.url.startswith("https://")
        sums = recipe.sums
        assert sums is not None
        assert sums.url.rpartition("/")[0] == recipe.url.rpartition("/")[0], "the sums lie beside the image"
        assert sums.style != "none" or image.publisher in ("Debian", "resf"), "those that sign nothing"
        assert "agent" in recipe.note
    elif recipe.kind == "provide":
        assert recipe.needs
        assert recipe.formats
        assert recipe.iso == (image.os_type == "Linux")
    else:
        assert recipe.kind == "bootstrap"


def test_what_the_issue_asks_for_is_there(tmp_path):
    catalogue = load_catalogue(Home(tmp_path))
    for urn, generation in {
        "Canonical:UbuntuServer:16.04-LTS": "V1",
        "Canonical:UbuntuServer:18.04-LTS": "V1",
        "Canonical:0001-com-ubuntu-server-focal:20_04-lts-gen2": "V2",
        "Canonical:0001-com-ubuntu-server-jammy:22_04-lts": "V1",
        "Canonical:0001-com-ubuntu-server-jammy:22_04-lts-gen2": "V2",
        "Canonical:ubuntu-24_04-lts:server": "V2",
        "Canonical:ubuntu-24_04-lts:server-gen1": "V1",
        "OpenLogic:CentOS:7_6": "V1",
        "RedHat:RHEL:7-RAW": "V1",
        "RedHat:RHEL:8-gen2": "V2",
        "RedHat:RHEL:9-lvm-gen2": "V2",
        "MicrosoftWindowsServer:WindowsServer:2016-Datacenter": "V1",
        "MicrosoftWindowsServer:WindowsServer:2019-datacenter-gensecond": "V2",
        "MicrosoftWindowsServer:WindowsServer:2022-datacenter-g2": "V2",
        "almalinux:almalinux-x86_64:8-gen2": "V2",
        "resf:rockylinux-x86_64:9-base": "V2",
        "Debian:debian-13:13-gen2": "V2",
    }.items():
        assert catalogue.lookup(*urn.split(":")).image.generation == generation, urn
