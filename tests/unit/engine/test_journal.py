from __future__ import annotations

import json
import os
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from builder.journal import Entry, Journal, inside, reap, replay
from builder.owner import Owner, command_line


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.jsonl")


def test_what_is_open_is_what_was_begun_and_is_not_gone(journal: Journal) -> None:
    journal.intent("file", "a", path="/x/a")
    journal.intent("directory", "b", path="/x/b")
    journal.created("b", size=3)
    journal.gone("a")
    (entry,) = journal.open_entries()
    assert (entry.kind, entry.token, dict(entry.facts)) == ("directory", "b", {"path": "/x/b", "size": 3})


def test_the_line_is_synced_before_intent_returns(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(bytes(Path(f"/proc/self/fd/{fd}").readlink())))
    journal.intent("port", "p", port=2222)
    assert str(journal.path).encode() in synced
    assert str(journal.path.parent).encode() in synced, "a new file needs its directory synced too"


def test_the_journal_is_private(journal: Journal) -> None:
    journal.intent("port", "p", port=1)
    assert journal.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("cut", range(1, 30))
def test_a_torn_last_line_costs_only_itself(journal: Journal, cut: int) -> None:
    journal.intent("file", "whole", path="/x/whole")
    journal.intent("file", "torn", path="/x/torn")
    raw = journal.path.read_bytes()
    journal.path.write_bytes(raw[:-cut])
    expected = ["whole", "torn"] if cut == 1 else ["whole"]  # only the newline was lost
    assert [entry.token for entry in replay(journal.path)] == expected
    journal.intent("file", "next", path="/x/next")
    assert [entry.token for entry in replay(journal.path)] == [*expected, "next"]


def test_garbage_and_foreign_lines_are_passed_over(journal: Journal) -> None:
    journal.path.write_bytes(b'\xff\xfe\n[]\n{}\nnull\n{"op":"intent","token":"x","kind":"moon"}\n')
    assert journal.open_entries() == []


def test_no_journal_is_an_empty_one(tmp_path: Path) -> None:
    assert replay(tmp_path / "none") == []


def test_a_process_needs_a_token_nothing_else_can_carry(journal: Journal) -> None:
    with pytest.raises(ValueError, match="16 characters"):
        journal.intent("process", "disk")
    assert not journal.path.exists()


def test_a_process_is_recorded_with_start_time_and_boot(journal: Journal) -> None:
    token = str(uuid.uuid4())
    journal.intent("process", token)
    journal.created(token, pid=os.getpid())
    (entry,) = journal.open_entries()
    assert entry.process == replace(Owner.current(), token="")
    assert "process" not in entry.facts


def test_a_live_process_without_the_token_is_not_killed(journal: Journal) -> None:
    token = str(uuid.uuid4())
    journal.intent("process", token)
    journal.created(token, pid=os.getpid())  # us: reaping would end the test run
    (done,) = reap(journal.open_entries(), roots=[])
    assert done.outcome == "gone"


def test_a_process_of_another_boot_is_gone() -> None:
    word = command_line(os.getpid())[0]
    entry = Entry("process", word, process=Owner.current(), boot_id="another boot")
    (done,) = reap([entry], roots=[])
    assert done.outcome == "gone"


def test_a_reused_pid_is_not_killed(journal: Journal) -> None:
    token = str(uuid.uuid4())
    journal.intent("process", token)
    (entry,) = journal.open_entries()
    stranger = replace(Owner.current(), start_ticks=1)
    (done,) = reap([replace(entry, process=stranger)], roots=[])
    assert done.outcome == "gone"


def test_files_and_directories_go_only_inside_the_roots(tmp_path: Path) -> None:
    root, other = tmp_path / "root", tmp_path / "other"
    (root / "tree" / "deep").mkdir(parents=True)
    (root / "tree" / "deep" / "file").write_text("x")
    (root / "file").write_text("x")
    other.mkdir()
    (other / "precious").write_text("x")
    (root / "link").symlink_to(other)
    entries = [
        Entry("directory", "tree", {"path": str(root / "tree")}),
        Entry("file", "file", {"path": str(root / "file")}),
        Entry("file", "outside", {"path": str(other / "precious")}),
        Entry("file", "dots", {"path": str(root / ".." / "other" / "precious")}),
        Entry("file", "through", {"path": str(root / "link" / "precious")}),
        Entry("directory", "itself", {"path": str(root)}),
        Entry("directory", "link", {"path": str(root / "link")}),
        Entry("file", "missing", {"path": str(root / "nothing")}),
        Entry("file", "nowhere", {}),
    ]
    outcomes = {done.entry.token: done.outcome for done in reap(entries, roots=[root])}
    assert outcomes == {
        "tree": "deleted",
        "file": "deleted",
        "outside": "left",
        "dots": "left",
        "through": "left",
        "itself": "left",
        "link": "deleted",
        "missing": "gone",
        "nowhere": "left",
    }
    assert (other / "precious").exists()
    assert list(root.iterdir()) == []


def test_inside_refuses_the_root_and_dots(tmp_path: Path) -> None:
    assert inside(tmp_path / "a", [tmp_path])
    assert not inside(tmp_path, [tmp_path])
    assert not inside(tmp_path / "a" / "..", [tmp_path])


def test_blobs_need_someone_who_can_delete_them() -> None:
    entry = Entry("blob", "b", {"url": "https://example.invalid/vhds/x.vhd"})
    assert reap([entry], roots=[])[0].outcome == "left"
    deleted: list[Entry] = []
    assert reap([entry], roots=[], blobs=deleted.append)[0].outcome == "deleted"
    assert deleted == [entry]


def test_one_failure_does_not_stop_the_rest(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")

    def fail(_entry: Entry) -> None:
        raise RuntimeError("no network")

    done = reap(
        [Entry("blob", "b", {}), Entry("file", "f", {"path": str(tmp_path / "f")})],
        roots=[tmp_path],
        blobs=fail,
    )
    assert [(item.entry.token, item.outcome) for item in done] == [("f", "deleted"), ("b", "left")]
    assert "no network" in done[1].note


def test_no_time_left_leaves_the_rest(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    (done,) = reap([Entry("file", "f", {"path": str(tmp_path / "f")})], roots=[tmp_path], budget=-1)
    assert (done.outcome, done.note) == ("left", "no time was left")
    assert (tmp_path / "f").exists()


def test_read_only_directories_go_too(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "usr").mkdir(parents=True)
    (tree / "usr" / "file").write_text("x")
    (tree / "usr").chmod(0o500)
    (done,) = reap([Entry("directory", "t", {"path": str(tree)})], roots=[tmp_path])
    assert done.outcome == "deleted"
    assert not tree.exists()


def test_lines_are_json_without_surprises(journal: Journal) -> None:
    journal.intent("file", "a\nb", path="/x\n{}")
    (line,) = journal.path.read_text().splitlines()
    assert json.loads(line)["token"] == "a\nb"


def test_only_an_unfinished_copy_goes_from_a_place_of_the_users(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.mkdir()
    names = (".disk.vhd.0a1b2c3d.part", "disk.vhd", ".disk.vhd.part", "x.0a1b2c3d.part")
    for name in names:
        (other / name).write_text("x")
    link = other / ".link.0a1b2c3d.part"
    link.symlink_to(other / "disk.vhd")
    paths = [*(other / name for name in names), link]
    entries = [Entry("file", path.name, {"path": str(path), "part": True}) for path in paths]
    entries.append(Entry("directory", "folder", {"path": str(other), "part": True}))
    done = reap(entries, roots=[own])
    assert [item.entry.token for item in done if item.outcome != "left"] == [names[0]]
    assert sorted(path.name for path in other.iterdir()) == sorted([*names[1:], link.name])
