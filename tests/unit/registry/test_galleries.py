from __future__ import annotations

import pytest

from builder.errors import ConflictError, NotFoundError
from builder.registry.limits import Limits, QuotaError
from builder.registry.rules import BadNameError
from builder.registry.store import Registry
from builder.settings import Home
from registry.conftest import GALLERY, GROUP, WEB, Publish, definition, gallery, open_registry
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


def test_what_of_a_gallery_may_change(registry: Registry) -> None:
    registry.create_gallery(gallery(location="West US", tags={"a": "1"}))
    assert registry.update_gallery(GALLERY, description="new").tags == {"a": "1"}
    changed = registry.update_gallery(GALLERY.upper(), tags={})
    assert (changed.description, changed.tags) == ("new", {})
    assert registry.find_gallery(GALLERY) == changed
    with pytest.raises(NotFoundError):
        registry.update_gallery(f"{GROUP}/galleries/none", description="x")


def test_limits_count_in_a_subscription_and_region(home: Home) -> None:
    registry = open_registry(home, limits=Limits(galleries=2, definitions=1))
    registry.create_gallery(gallery(location="West US"))
    registry.create_gallery(gallery(f"{GROUP}/galleries/two", location="westus"))
    registry.create_gallery(gallery(f"{GROUP}/galleries/two", location="westus"))
    with pytest.raises(QuotaError, match="exceeding approved galleries quota") as caught:
        registry.create_gallery(gallery(f"{GROUP}/galleries/three", location="WEST US"))
    assert caught.value.hint is not None
    assert "limit_galleries" in caught.value.hint
    registry.create_gallery(gallery(f"{GROUP}/galleries/three", location="East US"))
    elsewhere = GROUP.replace("0000", "1111")
    registry.create_gallery(gallery(f"{elsewhere}/galleries/four", location="West US"))
    registry.create_definition(definition())
    with pytest.raises(QuotaError, match="exceeding approved definitions quota"):
        registry.create_definition(definition(f"{GROUP}/galleries/two/images/web", "me:web:2"))
    registry.create_definition(definition(f"{GROUP}/galleries/three/images/web"))
    registry.close()


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
