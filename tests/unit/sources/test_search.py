"""Finding images: filters hold, words rank."""

import pytest

from builder.settings import Home
from builder.sources.catalogue import load_catalogue
from builder.sources.catalogue.search import Filters, find


@pytest.fixture
def catalogue(tmp_path):
    return load_catalogue(Home(tmp_path))


def _urns(catalogue, *words, **filters):
    return [image.urn for image in find(catalogue, Filters(**filters), words)]


def test_no_words_and_no_filters_find_everything_by_name(catalogue):
    assert _urns(catalogue) == [image.urn for image in catalogue.images]


def test_filters(catalogue):
    found = find(catalogue, Filters(publisher="CANONICAL", generation="V2"))
    assert {(image.publisher, image.generation) for image in found} == {("Canonical", "V2")}
    assert len(_urns(catalogue, os_type="windows")) == 6
    assert _urns(catalogue, architecture="Arm64") == []
    assert _urns(catalogue, offer="debian-13") == ["Debian:debian-13:13", "Debian:debian-13:13-gen2"]


def test_every_word_has_to_fit(catalogue):
    assert _urns(catalogue, "ubuntu", "22.04", "uefi") == [
        "Canonical:0001-com-ubuntu-server-jammy:22_04-lts-gen2"
    ]
    assert _urns(catalogue, "ubuntu", "windows") == []


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (("debian", "13"), "Debian:debian-13:13"),
        (("server",), "Canonical:ubuntu-24_04-lts:server"),
        (("centos", "7.6"), "OpenLogic:CentOS:7.6"),
        (("2022-datacenter",), "MicrosoftWindowsServer:WindowsServer:2022-datacenter"),
        (("8-raw-gen2",), "RedHat:RHEL:8-gen2"),
    ],
)
def test_the_best_match_comes_first(catalogue, words, first):
    assert _urns(catalogue, *words)[0] == first
