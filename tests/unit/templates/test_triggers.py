"""AIB's triggers beside a template: nested in it, or under its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from deployed import TEMPLATE, Reader, deployment, template

GALLERY = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/galleries/team/images"
LATEST = {"type": "SharedImageVersion", "imageVersionId": f"{GALLERY}/base/versions/latest"}


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


def trigger(name: str = "golden/onSource", **fields: Any) -> dict[str, Any]:
    head = {"type": f"{TEMPLATE}/triggers", "apiVersion": "2024-02-01", "name": name}
    return {**head, "properties": {"kind": "SourceImage"}, **fields}


def golden(source: dict[str, Any] = LATEST, target: str = f"{GALLERY}/web", **fields: Any) -> dict[str, Any]:
    distribute = [{"type": "SharedImage", "runOutputName": "v", "galleryImageId": target}]
    return template(properties={"source": source, "customize": [], "distribute": distribute}, **fields)


def test_it_is_read_beside_and_within_its_template(read: Reader) -> None:
    child = {key: value for key, value in trigger("onSource").items() if key != "type"}
    for document in (
        read(deployment(golden(), trigger())),
        read(deployment(golden(resources=[{**child, "type": "triggers"}]))),
    ):
        (found,) = document.triggers
        assert (found.name, found.template, found.properties.kind) == ("onSource", "golden", "SourceImage")
        (noted,) = [one for one in document.diagnostics if one.code == "Noted"]
        assert noted.message == "the trigger 'onSource' builds nothing by itself here"
        assert noted.hint == "schedule it: build schedule add FILE"


@pytest.mark.parametrize(
    ("wrong", "where", "words"),
    [
        (trigger(properties={"kind": "Cron"}), "/resources/1/properties/kind", "SourceImage"),
        (trigger(properties={}), "/resources/1/properties", "kind"),
        (trigger("golden/a b"), "/resources/1/name", "cannot be the name of a trigger"),
    ],
)
def test_what_is_no_trigger(read: Reader, wrong: dict[str, Any], where: str, words: str) -> None:
    found = [one for one in read.problems(deployment(golden(), wrong)) if one.severity == "error"]
    assert [one.location.pointer for one in found] == [where]
    assert words in f"{found[0].message} {found[0].hint}"


PINNED = {**LATEST, "imageVersionId": f"{GALLERY}/base/versions/1.0.0"}


@pytest.mark.parametrize(
    ("resources", "code"),
    [
        ((golden(), trigger(), trigger("golden/second")), "TooManyTriggers"),
        ((golden(PINNED), trigger()), "TriggerSource"),
        (
            (
                golden({"type": "ManagedImage", "imageId": f"{GALLERY}/x".replace("galleries/team/", "")}),
                trigger(),
            ),
            "TriggerSource",
        ),
        ((golden(target=f"{GALLERY}/web/versions/1.0.0"), trigger()), "TriggerTarget"),
        ((golden(target=f"{GALLERY}/BASE"), trigger()), "TriggerTarget"),
        ((golden(), trigger(apiVersion="2022-02-14")), "WrongVersion"),
    ],
)
def test_aibs_rules_are_warnings_and_errors_when_strict(
    read: Reader, resources: tuple[Any, ...], code: str
) -> None:
    assert code in [found for found, _ in read.warnings(deployment(*resources))]
    strict = read.errors(deployment(*resources), strict=True)
    assert code in [found for found, _ in strict]


def test_a_trigger_of_a_template_elsewhere_is_read_alone(read: Reader) -> None:
    document = read(deployment(golden(), trigger("other/onSource")))
    assert document.triggers[0].template == "other"
