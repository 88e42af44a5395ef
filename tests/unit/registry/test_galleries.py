from __future__ import annotations

from typing import Any

import pytest

from builder.errors import ConflictError, NotFoundError
from builder.registry.rules import BadNameError
from builder.registry.store import Registry
from registry.conftest import GALLERY, GROUP, WEB, Publish, definition, gallery
from templates.arm_id import ResourceIdError


def test_a_gallery_is_made_once_and_described_again(registry: Registry) -> None:
    first = registry.create_gallery(gallery(location="West US", tags={"a": "1"}))
    again = registry.create_gallery(
        gallery(GALLERY.upper(), tags={"b": "2"}, properties={"description": "new"})
    )
    assert (first.name, first.resource_group, first.location) == ("Team.gallery", "Images", "West US")
    assert (again.id, again.location, again.created_at) == (first.id, "West US", first.created_at)
    assert (again.description, again.tags) == ("new", {"b": "2"})
    assert registry.list_galleries() == [again]
    assert registry.find_gallery(GALLERY.lower()) == again
    assert registry.find_gallery_by_name("TEAM.GALLERY") == again


def test_a_gallery_does_not_move(registry: Registry) -> None:
    registry.create_gallery(gallery(location="West US"))
    registry.create_gallery(gallery(location="westus"))
    with pytest.raises(ConflictError, match="already exists in location 'West US'"):
        registry.create_gallery(gallery(location="East US"))


def test_gallery_names_are_unique(registry: Registry) -> None:
    registry.create_gallery(gallery())
    with pytest.raises(ConflictError, match="already exists in resource group 'Images'"):
        registry.create_gallery(gallery(GALLERY.replace("Images", "other")))


def test_a_bad_gallery_name_leaves_nothing(registry: Registry) -> None:
    with pytest.raises(BadNameError):
        registry.create_gallery(gallery(f"{GROUP}/galleries/with-dash"))
    assert registry.list_galleries() == []


def test_a_definition_needs_its_gallery(registry: Registry) -> None:
    with pytest.raises(NotFoundError, match=r"Parent resource 'Team\.gallery' not found") as caught:
        registry.create_definition(definition())
    assert "build gallery create" in (caught.value.hint or "")


def test_a_definition_is_made_once_and_described_again(web: Registry) -> None:
    before = web.find_definition(WEB)
    assert before.label == "Team.gallery/web"
    assert before.location == "West US"
    again = web.create_definition(definition(WEB.upper(), "ME:Web:1", description="new", tags={"x": "y"}))
    assert (again.description, again.tags, again.publisher) == ("new", {"x": "y"}, "me")
    assert again.created_at == before.created_at
    assert web.list_definitions(GALLERY) == [again]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"os_type": "Windows"}, "osType"),
        ({"os_state": "Specialized"}, "osState"),
        ({"hyper_v_generation": "V2"}, "hyperVGeneration"),
        ({"architecture": "Arm64"}, "architecture"),
        ({"triple": "you:web:1"}, "identifier.publisher"),
        ({"triple": "me:app:1"}, "identifier.offer"),
        ({"triple": "me:web:2"}, "identifier.sku"),
    ],
)
def test_what_may_not_change(web: Registry, changes: dict[str, Any], name: str) -> None:
    with pytest.raises(ConflictError) as caught:
        web.create_definition(definition(**changes))
    assert caught.value.message == f"Changing property 'galleryImage.properties.{name}' is not allowed"


def test_the_triple_is_unique_in_its_gallery(web: Registry) -> None:
    with pytest.raises(ConflictError) as caught:
        web.create_definition(definition(f"{GALLERY}/images/web2", "Me:WEB:1"))
    assert caught.value.message == (
        "Gallery image: web identified by (publisher:me, offer:web, sku:1) already exists. "
        "Choose a different publisher, offer, sku combination."
    )
    other = f"{GROUP}/galleries/other"
    web.create_gallery(gallery(other))
    assert web.create_definition(definition(f"{other}/images/web2", "Me:WEB:1")).name == "web2"


def test_nested_resources_go_first(web: Registry, publish: Publish) -> None:
    version = publish("1.0.0")
    nested = "Can not delete resource before nested resources are deleted"
    with pytest.raises(ConflictError, match=nested):
        web.delete_gallery(GALLERY)
    with pytest.raises(ConflictError, match=nested):
        web.delete_definition(WEB)
    web.delete_version(version.id)
    web.delete_definition(WEB)
    web.delete_gallery(GALLERY.upper())
    assert web.list_galleries() == []


@pytest.mark.parametrize("verb", ["find_definition", "delete_definition"])
def test_what_is_not_there_is_said_in_azures_words(web: Registry, verb: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        getattr(web, verb)(f"{GALLERY}/images/none")
    assert caught.value.message == (
        "The Resource 'Microsoft.Compute/galleries/images/Team.gallery/none' under resource group 'Images' "
        "was not found."
    )


def test_an_id_of_another_kind_is_refused(web: Registry) -> None:
    with pytest.raises(ResourceIdError, match=r"is the id of a Microsoft\.Compute/galleries/images"):
        web.find_gallery(WEB)
