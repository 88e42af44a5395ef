"""What sources say of themselves for the lineage, a channel as a source, and a revoked version."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builder.errors import NotFoundError
from builder.events import EventBus
from builder.registry.caller import Caller, Principal
from builder.registry.records import ImageRecord
from builder.registry.store import Registry
from builder.services import Services
from builder.sources.gallery_version import GalleryVersionSource
from builder.sources.revoked import RevokedError, check_parent, check_revoked
from sources.test_registered import IMAGE, WEB, _gallery, _managed, _publish, image  # noqa: F401
from templates.model.source import SharedImageVersionSource


def version(services: Services, number: str, channel: str = "") -> GalleryVersionSource:
    data = {"type": "SharedImageVersion", "imageVersionId": f"{WEB}/versions/{number}"}
    if channel:
        data |= {"x-goldsmith": {"channel": channel}}  # type: ignore[dict-item]
    return GalleryVersionSource(SharedImageVersionSource.model_validate(data), services)


def test_what_registered_sources_say_of_themselves(services: Services, image: object) -> None:  # noqa: F811
    _gallery(services)
    _publish(services, "1.0.0")
    found = version(services, "latest").resolve()
    assert found.parent == f"{WEB}/versions/1.0.0"
    assert found.origin == {
        "type": "SharedImageVersion", "id": found.parent, "version": "1.0.0", "digest": found.identity,
    }  # fmt: skip
    managed = _managed(services).resolve()
    assert managed.parent == IMAGE
    assert (managed.origin["id"], managed.origin["digest"]) == (IMAGE, "d" * 64)


def test_a_channel_is_resolved_here_and_once(services: Services) -> None:
    _gallery(services)
    for number in ("1.0.0", "1.1.0", "1.2.0"):
        _publish(services, number)
    services.registry.set_channel(WEB, "prod", "1.0.0")
    source = version(services, "latest", "PROD")
    assert source.resolve().version_number == "1.0.0"
    services.registry.set_channel(WEB, "prod", "1.2.0")
    assert source.resolve().version_number == "1.0.0"
    found = version(services, "latest", "prod").resolve()
    assert (found.version_number, found.origin["channel"]) == ("1.2.0", "prod")


def test_a_channel_that_is_not_there_lists_those_that_are(services: Services) -> None:
    _gallery(services)
    _publish(services, "1.0.0")
    services.registry.set_channel(WEB, "dev", "1.0.0")
    with pytest.raises(NotFoundError, match="no channel 'prod'") as caught:
        version(services, "latest", "prod").resolve()
    assert "Channels there: dev" in caught.value.details


def test_a_revoked_version_is_no_source(services: Services) -> None:
    _gallery(services)
    for number in ("1.0.0", "1.1.0"):
        _publish(services, number)
    services.registry.revoke_version(f"{WEB}/versions/1.1.0", "CVE-1")
    found = version(services, "1.1.0").resolve()
    with pytest.raises(RevokedError, match="is revoked: CVE-1") as caught:
        check_revoked(found, services)
    assert caught.value.exit_code == 2
    assert caught.value.details[0].startswith("by ")
    assert caught.value.hint == f"The newest good version is 1.0.0: {WEB}/versions/1.0.0"
    check_revoked(version(services, "1.0.0").resolve(), services)
    services.registry.unrevoke_version(f"{WEB}/versions/1.1.0")
    check_revoked(found, services)


def test_what_was_made_from_a_revoked_version_may_be_used_with_a_warning(
    services: Services,
    image: object,  # noqa: F811
) -> None:
    _gallery(services)
    _publish(services, "1.0.0")
    record: ImageRecord = services.registry.find_image(IMAGE)
    services.registry.put_image(replace(record, parent=f"{WEB}/versions/1.0.0"))
    services.registry.revoke_version(f"{WEB}/versions/1.0.0", "CVE-1")
    said: list[str] = []
    bus = EventBus(services.redactor)
    bus.add_sink(lambda envelope: said.append(getattr(envelope.event, "code", "")))
    check_revoked(_managed(services).resolve(), replace(services, bus=bus))
    assert said == ["AncestorRevoked"]


def test_who_may_see_only_the_image_is_warned_as_well(services: Services, image: object) -> None:  # noqa: F811
    _gallery(services)
    for number in ("1.0.0", "1.1.0"):
        _publish(services, number)
    registry = services.registry
    registry.put_image(replace(registry.find_image(IMAGE), parent=f"{WEB}/versions/1.0.0"))
    for number in ("1.0.0", "1.1.0"):
        registry.revoke_version(f"{WEB}/versions/{number}", "CVE-1")
    bob = Principal("User", "bob")
    for scope in (IMAGE, f"{WEB}/versions/1.1.0"):
        registry.assign_role(scope, "Reader", bob)
    hers = Registry(services.home, caller=Caller("User", "bob"))
    said: list[str] = []
    bus = EventBus(services.redactor)
    bus.add_sink(lambda envelope: said.append(getattr(envelope.event, "code", "")))
    check_parent(IMAGE, hers, bus)
    assert said == ["AncestorRevoked"]
    with pytest.raises(RevokedError, match="is revoked: CVE-1") as caught:
        check_parent(f"{WEB}/versions/1.1.0", hers, bus)
    assert "no other good version" in str(caught.value.hint)
    hers.close()
