from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from builder.blob.leftovers import clear_away
from builder.blob.note import Begun, Note, notes
from builder.blob.plan import PageRange
from builder.settings import Home, Settings

URI = "https://acct.blob.core.windows.net/vhds/web.vhd"
BEGUN = Begun(URI, "d" * 64, 1024**2 + 512)
FIRST, SECOND = PageRange(0, 4096), PageRange(8192, 12288)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    note = Note.of(Home(tmp_path), URI)
    assert note.read() == (None, {})
    note.begin(BEGUN)
    note.sent(FIRST, "a")
    note.sent(SECOND, "b")
    assert note.read() == (BEGUN, {FIRST: "a", SECOND: "b"})
    kept = replace(BEGUN, kept=True, snapshot="2026")
    note.change(kept)
    assert Note.of(Home(tmp_path), URI).read() == (kept, {FIRST: "a", SECOND: "b"})
    note.begin(BEGUN)
    assert note.read() == (BEGUN, {})
    assert [one.path for one in notes(Home(tmp_path))] == [note.path]
    note.delete()
    assert note.read() == (None, {})


def test_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    note = Note.of(Home(tmp_path), URI)
    note.begin(BEGUN)
    note.sent(FIRST, "a")
    whole = note.path.read_bytes()
    for cut in range(len(whole)):
        note.path.write_bytes(whole[:cut])
        begun, sent = note.read()
        assert begun in (None, BEGUN)
        assert sent in ({}, {FIRST: "a"})
    note.path.write_bytes(whole + b'{"start": 1}\n[]\n\xff\n{"uploadId": 3}\n')
    assert note.read() == (BEGUN, {FIRST: "a"})


def test_one_of_a_later_version_is_none_of_ours(tmp_path: Path) -> None:
    note = Note.of(Home(tmp_path), URI)
    note.begin(BEGUN)
    note.path.write_bytes(note.path.read_bytes().replace(b'"formatVersion":1', b'"formatVersion":2'))
    assert note.read() == (None, {})


def test_offline_nothing_is_taken_away_but_told(tmp_path: Path) -> None:
    home = Home(tmp_path)
    note = Note.of(home, URI)
    begun = Begun(URI, "d" * 64, 1024**2 + 512)  # now: the constant may be an hour old in a long run
    note.begin(begun)
    (left,) = clear_away(home, Settings(offline=True), 3600)
    assert not left.gone and "offline nothing is deleted elsewhere" in left.reason
    (would,) = clear_away(home, Settings(offline=True), 3600, dry_run=True)
    assert would.gone and note.path.exists()
    note.change(replace(begun, kept=True))
    assert list(clear_away(home, Settings(offline=True), 3600)) == []
    note.change(replace(begun, kept=True, started="2026-01-01T00:00:00+00:00"))
    (old,) = clear_away(home, Settings(offline=True), 3600)
    assert old.gone and "az storage blob delete" in old.reason
    assert not note.path.exists()
