from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.api import Goldsmith
from builder.errors import ConflictError, NotFoundError, UsageError
from builder.registry import sqlite
from builder.registry.records import Delivery, ReplicaRecord
from builder.registry.rules import BadValueError
from builder.retention import Policy
from builder.settings import Home, Settings

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture
def goldsmith(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Goldsmith]:
    monkeypatch.setattr(sqlite, "SYNCHRONOUS", "OFF")
    with Goldsmith(tmp_path / "home", settings=Settings()) as opened:
        opened.galleries.create("team", location="West US")
        opened.definitions.create("team/web", publisher="me", offer="web", sku="1")
        yield opened


def publish(goldsmith: Goldsmith, name: str, *regions: str) -> None:
    definition = goldsmith.definitions.show("team/web")
    version = goldsmith.registry.reserve_version(definition.id, name)
    replicas = []
    for region in regions or ("West US",):
        path = goldsmith.home.regions / region.lower().replace(" ", "") / "team/web" / name / "os.vhd"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"disk")
        replicas.append(ReplicaRecord(region, 1, "Standard_LRS", path, 4096))
    goldsmith.registry.complete_version(version.id, Delivery(replicas, size=4))


def test_the_example_of_the_docs_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GOLDSMITH_HOME", str(tmp_path / "home"))
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "api.md").read_text(), flags=re.DOTALL)
    exec(compile(code, "api.md", "exec"), {"__name__": "__main__"})
    definition, none, deleted = capsys.readouterr().out.splitlines()
    assert definition == "team/web V2 2999-12-31"
    assert none.startswith("There is no latest image version exists for")
    assert deleted.split()[-1].endswith("/galleries/team")


def test_every_method_of_the_docs_is_there(goldsmith: Goldsmith) -> None:
    for part, methods in re.findall(r"^\| `\.(\w+)` \| (.*?) \|$", (DOCS / "api.md").read_text(), flags=re.M):
        for name in re.findall(r"`(\w+)", methods):
            assert callable(getattr(getattr(goldsmith, part), name)), f"{part}.{name}"


def test_galleries_and_definitions(goldsmith: Goldsmith) -> None:
    assert goldsmith.galleries.update("team", description="new").description == "new"
    assert [one.name for one in goldsmith.galleries.list()] == [goldsmith.galleries.show("TEAM").name]
    changed = goldsmith.definitions.update(
        "team/web", disallowed_disk_types=["Premium_LRS"], tags={"a": "b"}, recommended={"memory": {"min": 4}}
    )
    assert (changed.disallowed, changed.tags) == ({"diskTypes": ["Premium_LRS"]}, {"a": "b"})
    again = goldsmith.definitions.update("team/web", eula="kind")
    assert (again.recommended, again.tags, again.eula) == ({"memory": {"min": 4}}, {"a": "b"}, "kind")
    with pytest.raises(ConflictError, match=r"galleryImage\.properties\.features' is not allowed"):
        goldsmith.definitions.update("team/web", features={"IsHibernateSupported": "True"})
    allowed = goldsmith.definitions.update(
        "team/web", features={"IsHibernateSupported": "True"}, allow_update_image=True
    )
    assert allowed.features == ({"name": "IsHibernateSupported", "value": "True"},)
    with pytest.raises(BadValueError, match=r"properties\.disallowed\.diskTypes\.0"):
        goldsmith.definitions.update("team/web", disallowed_disk_types=["Floppy"])
    with pytest.raises(ConflictError, match="nested resources"):
        goldsmith.galleries.delete("team")
    (gone,) = goldsmith.definitions.delete("team/web")
    assert gone.endswith("/images/web")
    assert goldsmith.definitions.list("team") == []


def test_versions(goldsmith: Goldsmith) -> None:
    publish(goldsmith, "1.0.0", "West US", "East US")
    publish(goldsmith, "2.0.0")
    assert goldsmith.latest("team/web").version == "2.0.0"
    assert goldsmith.latest("team/web", "eastus").version == "1.0.0"
    assert [one.verdict for one in goldsmith.explain("team/web", "eastus").candidates] == [
        "notInRegion",
        "latest",
    ]
    first = goldsmith.versions.list("team/web", limit=1)
    assert [one.version for one in first] == ["2.0.0"]
    assert [one.version for one in goldsmith.versions.list("team/web", after=first[0].id)] == ["1.0.0"]
    goldsmith.versions.update("team/web/2.0.0", exclude_from_latest=True)
    assert goldsmith.versions.show("team/web/latest").version == "1.0.0"
    goldsmith.versions.revoke("team/web/1.0.0", "worm")
    with pytest.raises(NotFoundError, match="There is no latest"):
        goldsmith.latest("team/web")
    assert goldsmith.versions.delete("team/web/1.0.0").version == "1.0.0"
    gone = goldsmith.galleries.delete("team", force=True)
    assert [one.rsplit("/", 1)[1] for one in gone] == ["2.0.0", "web", "team"]
    assert not [file for file in goldsmith.home.regions.rglob("*") if file.is_file()]


def test_a_trial_leaves_nothing(goldsmith: Goldsmith) -> None:
    with Goldsmith(goldsmith.home.root, settings=Settings(), trial=True) as trial:
        trial.galleries.create("other")
        assert len(trial.galleries.list()) == 2
    assert len(goldsmith.galleries.list()) == 1


def test_images(goldsmith: Goldsmith) -> None:
    assert goldsmith.images.list() == []
    for verb in (goldsmith.images.show, goldsmith.images.delete):
        with pytest.raises(NotFoundError):
            verb("none")
    with pytest.raises(UsageError):
        goldsmith.images.show("a/b/c")


def test_a_file_is_deployed(goldsmith: Goldsmith) -> None:
    file = Path(__file__).parents[3] / "examples" / "quickstart" / "template.json"
    made = goldsmith.deploy(file)
    assert {one.outcome for one in made} == {"created"}
    assert {one.outcome for one in goldsmith.deploy(file)} == {"unchanged"}
    assert isinstance(goldsmith.home, Home)


def test_channels_and_revocation(goldsmith: Goldsmith) -> None:
    for name in ("1.0.0", "1.1.0"):
        publish(goldsmith, name)
    assert goldsmith.channels.set("team/web", "prod", "1.0.0").version == "1.0.0"
    assert goldsmith.channels.set("team/web", "prod", "1.1.0").version == "1.1.0"
    with pytest.raises(ConflictError):
        goldsmith.channels.set("team/web", "prod", "1.0.0")
    assert goldsmith.channels.undo("team/web", "prod").version == "1.0.0"
    assert [one.name for one in goldsmith.channels.list("team/web")] == ["prod"]
    assert len(goldsmith.channels.history("team/web", "prod")) == 3
    goldsmith.versions.revoke("team/web/1.1.0", "CVE")
    assert goldsmith.latest("team/web").version == "1.0.0"
    assert goldsmith.versions.unrevoke("team/web/1.1.0").revoked_at is None
    assert goldsmith.channels.remove("team/web", "prod").version == "1.0.0"
    with pytest.raises(NotFoundError):
        goldsmith.channels.show("team/web", "prod")


def test_roles_and_the_audit(goldsmith: Goldsmith) -> None:
    scope = goldsmith.galleries.show("team").id
    given = goldsmith.access.grant("reader", "sp:ci", scope)
    assert (given.role, str(given.principal)) == ("Reader", "sp:ci")
    assert given in goldsmith.access.list(scope)
    read, write = (f"Microsoft.Compute/galleries/{verb}" for verb in ("read", "write"))
    assert goldsmith.access.check("sp:ci", read, scope).allowed
    assert not goldsmith.access.check("sp:ci", write, scope).allowed
    assert goldsmith.access.revoke(None, "sp:ci", scope) == (given,)
    assert "Reader" in goldsmith.access.audit(scope, limit=1)[0].details


def test_replicas_and_pruning(goldsmith: Goldsmith) -> None:
    for name in ("1.0.0", "1.1.0", "1.2.0"):
        publish(goldsmith, name)
    changed = goldsmith.versions.change_regions("team/web/1.2.0", add={"East US": 2})
    assert [(one.region, one.count) for one in changed.replicas] == [("West US", 1), ("East US", 2)]
    gone = goldsmith.versions.prune("team/web", Policy(keep_last=1), dry_run=True)
    assert [one.verdict.goes for one in gone] == [True, True, False]
    done = goldsmith.versions.prune("team/web", Policy(keep_last=1))
    assert not any(one.problem for one in done)
    assert [one.version for one in goldsmith.versions.list("team/web")] == ["1.2.0"]


def test_what_is_old_and_what_it_costs(goldsmith: Goldsmith) -> None:
    publish(goldsmith, "1.0.0")
    (one,) = goldsmith.stale()
    assert (one.label, one.state) == ("team/web/1.0.0", "unknown")
    usage = goldsmith.usage("team/web")
    assert [line.version for line in usage.lines] == ["team/web/1.0.0"]
    assert usage.money is None, "no prices are shipped"


def test_a_trial_moves_no_disks(tmp_path: Path) -> None:
    with (
        Goldsmith(tmp_path / "home", settings=Settings(), trial=True) as trial,
        pytest.raises(UsageError, match="moves no disks"),
    ):
        trial.images.add("web", tmp_path / "web.vhd")
