from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from builder.errors import NotFoundError
from builder.registry.store import Registry
from registry.conftest import GALLERY, WEB, Publish

LATEST = f"{WEB}/versions/latest"


def told(web: Registry, region: str | None = None) -> dict[str, tuple[str, str]]:
    found = web.explain_latest(WEB, region)
    return {one.version: (one.verdict, one.reason) for one in found.candidates}


def change(web: Registry, what: str, table: str = "versions", where: str = "") -> None:
    with web._db.write() as session:
        session.execute(text(f"UPDATE {table} SET {what} WHERE {where or '1 = 1'}"))


def test_every_version_has_its_reason(web: Registry, publish: Publish) -> None:
    publish("1.0.0", ["West US", "East US"])
    publish("1.1.0")
    publish("1.2.0", exclude=True)
    publish("1.3.0")
    publish("1.4.0")
    web.reserve_version(WEB, "2.0.0")
    change(
        web, "usable = false, state = 'Failed'", "replicas", f"version_key = '{WEB.lower()}/versions/1.4.0'"
    )
    change(web, "revoked_at = '2026-01-02T00:00:00+00:00', revoked_reason = 'worm'", where="minor = 3")
    assert told(web) == {
        "2.0.0": ("creating", "still being made (state Creating)"),
        "1.4.0": ("notReplicated", "no copy of it is complete"),
        "1.3.0": ("revoked", "revoked 2026-01-02: worm"),
        "1.2.0": ("excluded", "excluded from latest"),
        "1.1.0": ("latest", "the highest version that nothing speaks against"),
        "1.0.0": ("older", "older than 1.1.0"),
    }
    assert told(web, "eastus")["1.1.0"] == ("notInRegion", "no copy in eastus")
    assert told(web, "westus")["1.4.0"] == ("notReplicated", "its copy in West US is not complete (Failed)")
    assert web.explain_latest(WEB).latest == web.find_version(LATEST).version == "1.1.0"
    assert web.explain_latest(WEB, "East US").latest == web.find_version(LATEST, "East US").version == "1.0.0"


def test_flags_of_a_region_are_told(web: Registry, publish: Publish) -> None:
    publish("1.0.0", [("West US", None), ("East US", None)])
    publish("2.0.0", [("West US", True), ("East US", None)])
    publish("3.0.0", [("West US", None), ("East US", False)], exclude=True)
    assert told(web, "West US") == {
        "3.0.0": ("excluded", "excluded from latest"),
        "2.0.0": ("excludedInRegion", "excluded from latest in West US"),
        "1.0.0": ("latest", "the highest version that nothing speaks against"),
    }
    assert told(web, "East US")["3.0.0"] == (
        "latest",
        "the highest version that nothing speaks against: it is excluded from latest, but not in East US",
    )


def test_an_end_of_life_is_only_told(web: Registry, publish: Publish) -> None:
    publish("1.0.0")
    change(web, "end_of_life = '2020-01-01'")
    verdict, reason = told(web)["1.0.0"]
    assert (verdict, reason.partition("; ")[2]) == ("latest", "its end of life, 2020-01-01, has passed")
    assert web.find_version(LATEST).version == "1.0.0"


@pytest.mark.parametrize(
    "what",
    ["revoked_at = '2026-01-02T00:00:00+00:00'", "exclude_from_latest = true", "state = 'Deleting'"],
)
def test_there_may_be_none(web: Registry, publish: Publish, what: str) -> None:
    publish("1.0.0")
    change(web, what)
    assert web.explain_latest(WEB).latest is None
    for region in (None, "West US"):
        with pytest.raises(NotFoundError) as caught:
            web.find_version(LATEST, region)
        assert caught.value.message == f'There is no latest image version exists for "{WEB}"'
        assert "build gallery latest Team.gallery/web --explain" in (caught.value.hint or "")


def test_a_copy_that_is_not_complete_is_not_there(web: Registry, publish: Publish) -> None:
    publish("1.0.0")
    change(web, "usable = false", "replicas")
    with pytest.raises(NotFoundError, match="is not available in West US region"):
        web.find_version(LATEST, "West US")
    with pytest.raises(NotFoundError, match="There is no latest"):
        web.find_version(LATEST)


def test_of_nothing_nothing_is_explained(web: Registry) -> None:
    assert web.explain_latest(WEB).candidates == ()
    with pytest.raises(NotFoundError):
        web.explain_latest(f"{GALLERY}/images/none")


def test_pages_follow_each_other(web: Registry, publish: Publish) -> None:
    names = ["1.10.0", "1.9.9", "1.2.30", "0.99.99", "0.0.1"]
    for name in names:
        publish(name)
    seen: list[str] = []
    page: Any = web.list_versions(WEB, limit=2)
    while page:
        seen += [version.version for version in page]
        page = web.list_versions(WEB, limit=2, after=page[-1].id)
    assert seen == names
    everything = [version.version for version in web.list_versions(limit=3, after=f"{WEB}/versions/1.9.9")]
    assert everything == names[2:]
