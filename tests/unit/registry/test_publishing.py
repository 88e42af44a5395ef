from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from builder.errors import ConflictError, NotFoundError
from builder.registry.limits import Limits, QuotaError
from builder.registry.publishing import BlockedBeforeEndOfLifeError
from builder.registry.rules import BadValueError
from builder.registry.store import Registry
from builder.settings import Home
from registry.conftest import WEB, Publish, open_registry

LATEST = f"{WEB}/versions/latest"


def test_what_may_change(web: Registry, publish: Publish) -> None:
    first = publish("1.0.0", ["West US", "East US"])
    second = publish("2.0.0", ["West US", "East US"])
    web.update_version(second.id, exclude_in={"eastus": True})
    assert web.find_version(LATEST, "East US").version == "1.0.0"
    assert web.find_version(LATEST, "West US").version == "2.0.0"
    changed = web.update_version(
        second.id,
        exclude_from_latest=True,
        exclude_in={"East US": None},
        end_of_life="2999-01-01",
        tags={"a": "b"},
    )
    assert (changed.exclude_from_latest, changed.end_of_life, changed.tags) == (
        True,
        "2999-01-01",
        {"a": "b"},
    )
    assert [replica.exclude_from_latest for replica in changed.replicas] == [None, None]
    assert web.find_version(LATEST).id == first.id
    again = web.update_version(second.id, end_of_life="")
    assert (again.end_of_life, again.exclude_from_latest) == (None, True)
    assert web.find_version(second.id) == again


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"replication_mode": "Shallow"}, "replicationMode"),
        ({"size": 1}, "size"),
        ({"storage_account_type": "Premium_LRS"}, "storageAccountType"),
    ],
)
def test_what_may_not(web: Registry, publish: Publish, changes: dict[str, Any], name: str) -> None:
    with pytest.raises(ConflictError) as caught:
        web.update_version(publish("1.0.0").id, **changes)
    assert caught.value.message == f"Changing property 'galleryImageVersion.properties.{name}' is not allowed"


def test_what_cannot_be_changed_so(web: Registry, publish: Publish) -> None:
    version = publish("1.0.0")
    with pytest.raises(BadValueError, match="must be a future date"):
        web.update_version(version.id, end_of_life="2020-01-01")
    with pytest.raises(NotFoundError, match="is not in the region 'mars'") as caught:
        web.update_version(version.id, exclude_in={"mars": True})
    assert caught.value.details == ("Its regions: West US",)
    with pytest.raises(ConflictError, match="still being made"):
        web.update_version(web.reserve_version(WEB).id, tags={})
    with pytest.raises(NotFoundError):
        web.update_version(f"{WEB}/versions/9.9.9", tags={})
    assert web.find_version(version.id) == version


def test_what_is_kept_until_its_end_of_life_is_not_deleted(web: Registry, publish: Publish) -> None:
    version = publish("1.0.0")
    web.update_version(version.id, end_of_life="2999-01-01", block_deletion_before_end_of_life=True)
    with pytest.raises(BlockedBeforeEndOfLifeError, match="before its end of life, 2999-01-01") as caught:
        web.delete_version(version.id)
    assert caught.value.code == "DeleteGalleryImageVersionBlockedBeforeEndOfLife"
    with web._db.write() as session:
        session.execute(text("UPDATE versions SET end_of_life = '2020-01-01'"))
    web.delete_version(version.id)
    kept = publish("1.0.1")
    web.update_version(kept.id, block_deletion_before_end_of_life=True)
    web.delete_version(kept.id)  # it has no end of life


def test_versions_are_limited(home: Home, web: Registry) -> None:
    web.reserve_version(WEB)
    limited = open_registry(home, limits=Limits(versions=2))
    limited.reserve_version(WEB, "1.0.0")
    for name in (None, "2.0.0"):
        with pytest.raises(QuotaError, match=r"exceeding approved versions quota.*Location: West US"):
            limited.reserve_version(WEB, name)
    assert len(web.list_versions(WEB)) == 2
    limited.close()
