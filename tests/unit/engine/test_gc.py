from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.errors import EnvironmentProblem
from builder.gc import STALE_SECONDS, collect
from builder.journal import Journal
from builder.lock import FileLock
from builder.owner import Owner
from builder.registry.records import Orphan, Reclaimed
from builder.runs import RunDirectory
from builder.services import Services
from builder.settings import Home
from builder.vm.kept import kept_lock
from builder.workspace import Places, Workspace
from templates.model import ImageTemplate

Make = Callable[..., ImageTemplate]


@pytest.fixture(autouse=True)
def own_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What other processes of this machine leave among the temporary files is none of these tests'."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))


def aged(path: Path, seconds: float) -> Path:
    then = time.time() - seconds
    for item in (*path.rglob("*"), path):
        os.utime(item, (then, then))
    return path


def files(home: Home) -> set[str]:
    return {str(path.relative_to(home.root)) for path in home.root.rglob("*") if path.is_file()}


def crashed(template: ImageTemplate, services: Services, run_id: str = "dead") -> Workspace:
    workspace = Workspace(template, services, run_id=run_id)
    workspace.__enter__()
    workspace.file("os.qcow2").write_bytes(b"x" * 8192)
    workspace._lock.release()  # as the kernel does when the process ends
    return workspace


def test_an_empty_home(home: Home) -> None:
    report = collect(home, None)
    assert (report.removed, report.left) == ([], [])


def test_a_dead_workspace_goes_without_a_trace(template: Make, services: Services) -> None:
    crashed(template(), services)
    report = collect(services.home, None)
    (item,) = report.removed
    assert (item.kind, item.name) == ("workspace", "IT_goldsmith_web")
    assert "dead" in item.reason
    assert report.freed >= 8192
    assert files(services.home) == set()


def test_a_live_one_is_not_touched(template: Make, services: Services) -> None:
    with Workspace(template(), services, run_id="alive") as workspace:
        workspace.file("f").write_text("x")
        before = files(services.home)
        assert collect(services.home, None).removed == []
        assert files(services.home) == before


def test_a_dry_run_only_looks(template: Make, services: Services) -> None:
    crashed(template(), services)
    run = RunDirectory.create(services.home)
    run.record.owner = {**Owner.current().to_json(), "startTicks": 1}
    run.save()
    before = files(services.home)
    report = collect(services.home, None, dry_run=True)
    assert {item.kind for item in report.removed} == {"workspace", "run"}
    assert files(services.home) == before
    assert RunDirectory(run.path).read().run_state == "Running"


def test_a_directory_that_is_not_ours_stays(home: Home) -> None:
    foreign = home.staging / "IT_somebody_else"
    foreign.mkdir(parents=True)
    (foreign / "precious").write_text("x")
    assert collect(home, None).removed == []
    assert (foreign / "precious").exists()


def test_a_journal_without_its_directory(home: Home) -> None:
    places = Places(home, "IT_g_Web")
    places.journal.parent.mkdir(parents=True)
    sock = home.staging / "sock"
    sock.write_text("x")
    Journal(places.journal).intent("directory", "workspace:IT_g_Web", path=str(places.directory))
    Journal(places.journal).intent("file", "sock", path=str(sock))
    collect(home, None)
    assert files(home) == set()


def test_what_cannot_go_is_said_and_stays_known(template: Make, services: Services, tmp_path: Path) -> None:
    dead = crashed(template(), services)
    outside = tmp_path / "outside"
    outside.write_text("x")
    dead.journal.intent("file", "out", path=str(outside))
    report = collect(services.home, None)
    assert [item.name for item in report.left] == ["IT_goldsmith_web: out"]
    assert outside.exists()
    assert not dead.path.exists()
    assert [entry.token for entry in dead.journal.open_entries()] == ["out"]
    assert [item.name for item in collect(services.home, None).left] == ["it_goldsmith_web: out"]


def test_interrupted_runs_are_marked_and_live_ones_not(home: Home) -> None:
    dead, alive, done = (RunDirectory.create(home, run_id=name) for name in ("dead", "alive", "done"))
    for run in (dead, done):
        run.record.owner = {**Owner.current().to_json(), "startTicks": 1}
    done.record.run_state = "Succeeded"
    for run in (dead, alive, done):
        run.save()
    report = collect(home, None)
    assert [(item.kind, item.name) for item in report.removed] == [("run", "dead")]
    states = {run.run_id: RunDirectory(run.path).read() for run in (dead, alive, done)}
    assert {name: record.run_state for name, record in states.items()} == {
        "dead": "Failed",
        "alive": "Running",
        "done": "Succeeded",
    }
    assert "interrupted" in states["dead"].message
    assert collect(home, None).removed == []


def test_kept_disks_go_after_their_time(home: Home) -> None:
    old, young = (RunDirectory.create(home, run_id=name) for name in ("old", "young"))
    for run, days in ((old, 8), (young, 6)):
        run.record.run_state = "Failed"
        run.save()
        run.kept.mkdir()
        (run.kept / "kept.json").write_text("{}")
        aged(run.kept, days * 86400)
    report = collect(home, None, keep_days=7)
    assert [(item.kind, item.name) for item in report.removed] == [("kept", "old")]
    assert not old.kept.exists()
    assert young.kept.exists()
    assert old.record_file.exists(), "record and logs stay"


def test_stale_temporaries_go_fresh_ones_and_results_stay(home: Home) -> None:
    stale = [
        home.downloads / "a.img.part",
        home.bases / ".k1.tmp" / "deep" / "disk",
        home.images / "x" / ".disk.vhd.ab12.part",
        home.regions / "local" / ".tmp.x",
    ]
    fresh = [home.downloads / "b.img.part", home.bases / ".k2.tmp" / "disk"]
    results = [home.downloads / "c.img", home.bases / "debian" / "disk.qcow2", home.images / "x" / "disk.vhd"]
    for path in (*stale, *fresh, *results):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    for path in (*stale, *results):
        aged(path, STALE_SECONDS * 2)
    aged(home.bases / ".k1.tmp", STALE_SECONDS * 2)
    report = collect(home, None)
    assert {path.exists() for path in stale} == {False}
    assert {path.exists() for path in (*fresh, *results)} == {True}
    assert {item.kind for item in report.removed} == {"download", "temporary"}
    assert len(report.removed) == 4


def test_a_half_made_base_goes_at_once_unless_it_is_being_made(home: Home) -> None:
    home.bases.mkdir(parents=True)
    for key in ("dead", "alive"):
        (home.bases / f".{key}.tmp" / "tree").mkdir(parents=True)
        (home.bases / f".{key}.lock").touch()
    with (home.bases / ".alive.lock").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert [item.name for item in collect(home, None, dry_run=True).removed] == [".dead.tmp"]
        assert (home.bases / ".dead.tmp").exists()
        assert [item.name for item in collect(home, None).removed] == [".dead.tmp"]
    assert not (home.bases / ".dead.tmp").exists()
    assert (home.bases / ".alive.tmp" / "tree").exists()


def test_our_scratch_directories_go_others_stay(home: Home, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    for name in ("goldsmith-ext4-abc", "goldsmith-shell-abc", "other"):
        (scratch / name).mkdir()
        aged(scratch / name, STALE_SECONDS * 2)
    (scratch / "goldsmith-probe-new").mkdir()
    (scratch / "goldsmith-ext4-link").symlink_to(scratch / "other")
    assert [item.name for item in collect(home, None).removed] == ["goldsmith-ext4-abc"]
    left = {path.name for path in scratch.iterdir()}
    assert left == {"goldsmith-shell-abc", "other", "goldsmith-probe-new", "goldsmith-ext4-link"}


def test_a_directory_somebody_still_writes_in_is_not_stale(home: Home) -> None:
    tree = home.bases / ".k1.tmp"
    (tree / "deep").mkdir(parents=True)
    aged(tree, STALE_SECONDS * 2)
    (tree / "deep" / "disk").write_text("just now")
    assert collect(home, None).removed == []


class FakeRegistry:
    def __init__(self, home: Home) -> None:
        self.lost = home.images / "g" / "web" / "dead.vhd"
        self.dry_runs: list[bool] = []
        self.lives: dict[str, bool] = {}

    def reclaim(self, *, dry_run: bool = False) -> Reclaimed:
        self.dry_runs.append(dry_run)
        return Reclaimed(("/v/1.0.0",))

    def remove_orphans(self, is_live_run: Callable[[str], bool], *, dry_run: bool = False) -> list[Orphan]:
        self.lives = {name: is_live_run(name) for name in ("alive", "dead", "unknown")}
        return [Orphan(self.lost, 7)]

    def prune_audit(self, days: float, *, dry_run: bool = False) -> int:
        return int(days)


def test_what_only_the_registry_knows_is_taken_back_or_listed(home: Home) -> None:
    RunDirectory.create(home, run_id="alive")
    dead = RunDirectory.create(home, run_id="dead")
    dead.record.owner = {**Owner.current().to_json(), "startTicks": 1}
    dead.save()
    registry = FakeRegistry(home)
    for dry_run in (True, False):
        report = collect(home, registry, dry_run=dry_run, audit_days=12)
        items = [(item.kind, item.name) for item in report.removed if item.kind != "run"]
        assert items == [
            ("reservation", "/v/1.0.0"),
            ("orphan", "images/g/web/dead.vhd"),
            ("audit", "12 lines"),
        ]
        assert report.freed == 7
    assert registry.dry_runs == [True, False]
    assert registry.lives == {"alive": True, "dead": False, "unknown": False}


def test_a_registry_out_of_reach_stops_nothing_else(home: Home) -> None:
    class Broken(FakeRegistry):
        def reclaim(self, *, dry_run: bool = False) -> Reclaimed:
            raise EnvironmentProblem("locked")

    stale = home.downloads / "a.img.part"
    stale.parent.mkdir(parents=True)
    stale.touch()
    aged(stale, STALE_SECONDS * 2)
    report = collect(home, Broken(home))
    assert [item.kind for item in report.removed] == ["download"]
    assert [(item.kind, item.reason) for item in report.left] == [("orphan", "locked")]


class TestBaseLinks:
    """A registered image that was a source keeps a name in the cache."""

    def _base(self, home: Home, image: Path | None = None) -> Path:
        folder = home.bases / ("ab" * 32)
        folder.mkdir(parents=True)
        (folder / "disk.vhd").write_bytes(b"x" * 10000)
        if image is not None:
            image.parent.mkdir(parents=True)
            image.hardlink_to(folder / "disk.vhd")
        return folder

    def test_the_last_name_goes(self, home: Home) -> None:
        folder = self._base(home)
        assert [item.kind for item in collect(home, None, dry_run=True).removed] == ["base"]
        assert folder.exists()
        report = collect(home, None)
        assert [(item.kind, item.name) for item in report.removed] == [("base", folder.name)]
        assert report.freed >= 10000
        assert not folder.exists()

    def test_it_stays_with_its_image(self, home: Home) -> None:
        self._base(home, home.images / "g" / "web" / "r.vhd")
        assert collect(home, None).removed == []

    def test_it_stays_while_anybody_builds(self, template: Make, services: Services) -> None:
        self._base(services.home)
        with Workspace(template(), services, run_id="alive"):
            assert collect(services.home, None).removed == []
        assert [item.kind for item in collect(services.home, None).removed] == ["base"]

    @pytest.mark.parametrize("readable", [True, False])
    def test_it_stays_under_a_kept_machine(self, home: Home, readable: bool) -> None:
        folder = self._base(home)
        run = RunDirectory.create(home)
        run.kept.mkdir()
        layers = {"disk": [{"path": str(folder / "disk.vhd")}, {"path": str(run.kept / "os.qcow2")}]}
        (run.kept / "machine.json").write_text(json.dumps(layers) if readable else "{")
        assert collect(home, None).removed == []

    def test_a_base_that_was_made_is_another_thing(self, home: Home) -> None:
        folder = self._base(home)
        (folder / "meta.json").write_text("{}")
        assert collect(home, None).removed == []


def test_a_kept_machine_with_a_shell_in_it_stays(home: Home) -> None:
    run = RunDirectory.create(home, run_id="old")
    run.record.run_state = "Failed"
    run.save()
    run.kept.mkdir()
    aged(run.kept, 8 * 86400)
    shell = kept_lock(run.kept)
    assert shell.try_acquire()
    assert collect(home, None).removed == []
    shell.release()
    assert [item.kind for item in collect(home, None).removed] == ["kept"]
    assert not list(run.path.glob("*.lock"))


class TestLock:
    def test_one_holder_and_no_file_afterwards(self, tmp_path: Path) -> None:
        first, second = FileLock(tmp_path / "l" / "x.lock"), FileLock(tmp_path / "l" / "x.lock")
        assert first.try_acquire(runId="r1")
        assert not second.try_acquire(runId="r2")
        assert second.holder()["runId"] == "r1"
        assert Owner.from_json(second.holder()["owner"]) == Owner.current()
        second.release()  # not the holder: changes nothing
        assert not second.try_acquire()
        first.release()
        assert not first.path.exists()
        assert second.try_acquire()
        second.release()

    def test_a_lock_on_a_removed_file_counts_for_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "x.lock"
        lost = FileLock(path)
        assert lost.try_acquire()
        path.unlink()  # what a release does between another's open and lock
        late = FileLock(path)
        assert late.try_acquire()
        assert path.exists()
        late.release()
        lost.release()


def test_what_lay_in_a_region_outside_the_home_is_named_whole(home: Home, tmp_path: Path) -> None:
    registry = FakeRegistry(home)
    registry.lost = tmp_path / "west/team/web/1.0.0/os.vhd"
    report = collect(home, registry)
    assert [item.name for item in report.removed if item.kind == "orphan"] == [str(registry.lost)]
