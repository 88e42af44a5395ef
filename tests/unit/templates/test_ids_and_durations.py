"""ARM ids and Go-style durations."""

from __future__ import annotations

import pytest

from templates.arm_id import (
    ResourceId,
    ResourceIdError,
    check_version,
    parse_gallery_image,
    parse_image_version,
    parse_managed_image,
)
from templates.durations import DurationError, parse_duration

COMPUTE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute"
DEFINITION = f"{COMPUTE}/galleries/gal/images/def"


def test_an_id_keeps_its_spelling_and_compares_without_case():
    found = ResourceId.parse(DEFINITION)
    assert str(found) == DEFINITION
    assert found == ResourceId.parse(DEFINITION.upper())
    assert len({found, ResourceId.parse(DEFINITION.lower())}) == 1
    assert (found.subscription, found.resource_group, found.names) == ("s", "g", ("gal", "def"))
    assert found.type == "Microsoft.Compute/galleries/images"
    assert str(found.parent) == f"{COMPUTE}/galleries/gal"
    assert found.parent.parent is None
    assert found.parent.child("images", "def") == found


def test_gallery_ids_with_and_without_version():
    assert parse_gallery_image(DEFINITION).version is None
    explicit = parse_gallery_image(f"{DEFINITION}/versions/1.2.3")
    assert (explicit.version, explicit.gallery_name, explicit.definition_name) == ("1.2.3", "gal", "def")
    assert str(explicit) == f"{DEFINITION}/versions/1.2.3"
    assert str(explicit.gallery) == f"{COMPUTE}/galleries/gal"
    assert parse_image_version(f"{DEFINITION}/versions/Latest").is_latest
    assert str(parse_managed_image(f"{COMPUTE}/images/i")) == f"{COMPUTE}/images/i"


@pytest.mark.parametrize(
    ("parser", "text", "part"),
    [
        (ResourceId.parse, "", "must start with /subscriptions/"),
        (ResourceId.parse, "img", "must start with /subscriptions/"),
        (ResourceId.parse, "/subscriptions/s/x/g", "expected 'resourceGroups', found 'x'"),
        (ResourceId.parse, "/subscriptions/s/resourceGroups/g", "expected 'providers', found 'nothing'"),
        (ResourceId.parse, f"{COMPUTE}/images", "a type has no name"),
        (ResourceId.parse, f"{COMPUTE}/images/", "ends with '/'"),
        (ResourceId.parse, f"{COMPUTE}//images/i", "an empty part"),
        (parse_managed_image, DEFINITION, "not of a managed image"),
        (parse_gallery_image, f"{COMPUTE}/images/i", "not of a gallery image"),
        (parse_gallery_image, f"{DEFINITION}/versions/latest", "can only be read"),
        (parse_gallery_image, f"{DEFINITION}/versions/1.0", "not an image version"),
        (parse_image_version, DEFINITION, "names no version"),
        (parse_image_version, "/SharedGalleries/a/images/b/versions/1.0.0", "somebody else's gallery"),
        (check_version, "1.2.99999999999", "not an image version"),
        (check_version, "1.2.2147483648", "not an image version"),
        (check_version, "\u0661.\u0662.\u0663", "not an image version"),
    ],
)
def test_bad_ids_say_what_is_wrong(parser, text, part):
    with pytest.raises(ResourceIdError) as caught:
        parser(text)
    assert part in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("5m", 300),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("250ms", 0.25),
        (".5s", 0.5),
        ("2h0m5s", 7205),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "m", "5 m", "5min", "-5m", "0s", "1d", "5m ", "\u0665m", "9" * 400 + "h"]
)
def test_what_is_no_duration(text):
    with pytest.raises(DurationError):
        parse_duration(text)
