"""The cache on its way to another machine: everything arrives as it was, or nothing does."""

from __future__ import annotations

import hashlib
import shutil
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest
from disk.vhd_file import MIB

from builder.errors import ConflictError, EnvironmentProblem, NotFoundError, UsageError
from builder.layers import arrival, transfer
from builder.layers.archive import HEADER, MANIFEST
from builder.layers.arrival import Imported
from builder.layers.transfer import export, select, transfers
from builder.settings import Home
from builder.sources.bases import BaseCache
from builder.sources.entry import ENTRY, Entry
from builder.vm.access import BuildAccess
from layers.made import QCOW2, an_id, put, rewrite_meta
from layers.travelling import (
    BASE,
    DRAWN,
    KEY,
    ONE,
    OTHER,
    TWO,
    arrive,
    cache_of,
    contents,
    export_all,
    fill,
    put_base,
    put_vhd,
)

# ---- what goes along


@pytest.mark.parametrize("name", ["cache.tar", "cache.tar.gz", "cache.tgz", "cache"])
def test_everything_arrives_as_it_was(home: Home, other: Home, tmp_path: Path, name: str) -> None:
    fill(home)
    file = tmp_path / name
    exported = export_all(home, file)
    assert sorted(exported.layers) == sorted([BASE, ONE, TWO, OTHER])
    assert exported.size == file.stat().st_size
    assert (file.read_bytes()[:2] == b"\x1f\x8b") == name.endswith("gz")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    imported = arrive(other, file)
    assert sorted(imported.layers) == sorted(exported.layers)
    assert contents(other) == contents(home)
    chain = cache_of(other).layers.chain([BASE, ONE, TWO])
    assert [layer.restorable("key") for layer in chain] == [True] * 3
    for folder in (other.layers, other.layers / ONE):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(transfers(home).iterdir()) == list(transfers(other).iterdir()) == []


def test_a_layer_takes_along_what_it_lies_on(home: Home, other: Home, file: Path) -> None:
    fill(home)
    export_all(home, file, ONE[:8])
    arrive(other, file)
    assert {layer.meta.id for layer in cache_of(other).layers.all()} == {BASE, ONE}


def test_a_template_takes_along_what_another_made(home: Home, other: Home, file: Path) -> None:
    fill(home)
    export_all(home, file, template="db")
    arrive(other, file)
    assert {layer.meta.id for layer in cache_of(other).layers.all()} == {BASE, OTHER}


def test_memories_may_stay(home: Home, other: Home, file: Path) -> None:
    fill(home)
    export_all(home, file, memory=False)
    arrive(other, file)
    chain = cache_of(other).layers.chain([BASE, ONE, TWO])
    assert [layer.meta.memory for layer in chain] == [None] * 3
    assert [layer.why_not("key") for layer in chain] == [""] * 3


def test_orphans_stay(home: Home, file: Path) -> None:
    cache = fill(home)
    put(cache.layers, "orphan", "gone-1")
    assert an_id("orphan") not in export_all(home, file).layers


def test_finished_images_when_asked(home: Home, other: Home, file: Path, tmp_path: Path) -> None:
    cache = fill(home)
    image = put_vhd(cache, tmp_path / "work")
    assert export_all(home, file).images == ()
    assert export_all(home, file, images=True).images == (image,)
    assert arrive(other, file).images == [image]
    here, there = cache.finished.find(image), cache_of(other).finished.find(image)
    assert here is not None and there is not None
    assert there.meta == here.meta
    assert there.vhd.read_bytes() == here.vhd.read_bytes()
    assert not there.vhd.stat().st_mode & 0o222
    assert image in arrive(other, file).already_here


def test_a_base_that_cannot_be_made_again(home: Home, other: Home, file: Path) -> None:
    fill(home, DRAWN)
    put_base(home)
    assert export_all(home, file).without_base == (DRAWN,)
    assert arrive(other, file).without_base == [DRAWN]
    shutil.rmtree(other.root)
    exported = export_all(home, file, with_base=True)
    assert (exported.bases, exported.without_base) == ((KEY,), ())
    drawn_before = BaseCache(other.bases).next_identity(KEY)
    assert drawn_before != DRAWN
    imported = arrive(other, file)
    assert (imported.bases, imported.without_base) == ([KEY], [])
    meta = BaseCache(other.bases).find(KEY)
    assert meta is not None and meta.identity == DRAWN
    assert BaseCache(other.bases).known_identity(KEY) == ""  # the one drawn before means nothing now
    disk = BaseCache(other.bases).open(KEY, meta).graph.top.path
    assert disk.read_bytes() == b"base disk"
    assert not disk.stat().st_mode & 0o222
    again = arrive(other, file)
    assert again.bases == again.layers == []
    assert KEY in again.already_here


def test_a_base_takes_along_how_it_is_entered(home: Home, other: Home, file: Path) -> None:
    fill(home, DRAWN)
    entry = Entry(BuildAccess.generate(), False, "8.4", ("no cloud-init",))
    entry.save(put_base(home))
    export_all(home, file, with_base=True)
    assert arrive(other, file).bases == [KEY]
    assert Entry.load(other.bases / KEY) == entry
    assert stat.S_IMODE((other.bases / KEY / ENTRY).stat().st_mode) == 0o600


def test_an_image_needs_the_identity_of_its_source(
    home: Home, other: Home, file: Path, tmp_path: Path
) -> None:
    put_base(home)
    image = put_vhd(cache_of(home), tmp_path / "work", source=DRAWN)
    assert export_all(home, file, images=True).without_base == (DRAWN,)
    assert arrive(other, file).without_base == [DRAWN]
    assert export_all(home, file, images=True, with_base=True).bases == (KEY,)
    imported = arrive(other, file)
    assert (imported.bases, imported.without_base, imported.already_here) == ([KEY], [], [image])


def test_a_base_of_this_machines_own_making_is_kept(home: Home, other: Home, file: Path) -> None:
    fill(home, DRAWN)
    put_base(home)
    export_all(home, file, with_base=True)
    put_base(other, f"{KEY}-{'d' * 32}")
    before = contents(other)
    with pytest.raises(ConflictError, match="of its own making"):
        arrive(other, file)
    assert contents(other) == before


def test_holes_and_zeros_cost_nothing(home: Home, other: Home, file: Path) -> None:
    cache = cache_of(home)
    made = put(cache.layers, "base")
    disk = made.folder / "disk.qcow2"
    size = 1024**3
    with disk.open("r+b") as stream:
        stream.seek(100_000_001)
        stream.write(b"in the middle")
        stream.seek(300 * MIB)
        stream.write(bytes(3 * MIB))  # written, and still nothing
        stream.truncate(size)
    rewrite_meta(made.folder, disk_size=size)
    assert export_all(home, file).size < MIB
    arrive(other, file)
    arrived = other.layers / BASE / "disk.qcow2"
    assert arrived.stat().st_size == size
    assert arrived.stat().st_blocks * 512 < MIB
    with arrived.open("rb") as stream:
        assert stream.read(8) == QCOW2[:8]
        stream.seek(100_000_000)
        assert stream.read(15) == b"\0in the middle\0"


def test_large_files_compressed_in_pieces(home: Home, other: Home, tmp_path: Path) -> None:
    cache = cache_of(home)
    made = put(cache.layers, "base")
    content = b"".join(hashlib.sha256(b"%d" % n).digest() * 8 for n in range(50_000))
    (made.folder / "memory").write_bytes(content)
    rewrite_meta(made.folder, memory={"key": "key", "size": len(content)})
    file = tmp_path / "cache.tar.gz"
    assert export_all(home, file).size < len(content) / 4
    arrive(other, file)
    assert (other.layers / BASE / "memory").read_bytes() == content
    with tarfile.open(file) as tar:
        assert tar.getnames()[:2] == [HEADER, MANIFEST]


def test_an_empty_cache(home: Home, other: Home, file: Path) -> None:
    assert export_all(home, file).layers == ()
    assert arrive(other, file) == Imported()


@pytest.mark.parametrize(
    ("wanted", "options", "error", "said"),
    [
        (("ffff",), {}, NotFoundError, "no layer 'ffff'"),
        (("ff",), {}, UsageError, "too short"),
        (("",), {}, UsageError, "too short"),
        ((), {"template": "mail"}, NotFoundError, "no layers of a template 'mail'"),
    ],
)
def test_what_is_not_there(
    home: Home, file: Path, wanted: tuple[str, ...], options: dict[str, Any], error: type, said: str
) -> None:
    fill(home)
    with pytest.raises(error, match=said):
        export_all(home, file, *wanted, **options)
    assert not file.exists()


def test_an_ambiguous_beginning(home: Home, file: Path) -> None:
    cache = cache_of(home)
    for number in range(2):
        made = put(cache.layers, f"layer {number}")
        made.folder.rename(home.layers / f"abcd{number}{'0' * 59}")
        rewrite_meta(home.layers / f"abcd{number}{'0' * 59}", id=f"abcd{number}{'0' * 59}")
    with pytest.raises(UsageError, match="beginning of 2 layers"):
        export_all(home, file, "abcd")
    assert export_all(home, file, "ABCD1").layers == (f"abcd1{'0' * 59}",)


def test_what_is_exported_may_go_meanwhile(home: Home, file: Path) -> None:
    cache = fill(home)
    selection = select(cache, BaseCache(home.bases))
    cache.trim(0)
    with pytest.raises(NotFoundError, match="went from the cache"):
        export(home, selection, file)
    assert not file.exists()
    assert list(transfers(home).iterdir()) == []


def test_an_older_file_is_replaced_only_by_a_whole_one(
    home: Home, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(home)
    file.write_text("old")
    monkeypatch.setattr(transfer, "pack", lambda *_args, **_more: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        export_all(home, file)
    assert file.read_text() == "old"
    assert [path.name for path in file.parent.iterdir() if path.is_file()] == [file.name]
    with pytest.raises(UsageError, match="no file that could be written"):
        export_all(home, file.parent)


# ---- what is here already


def test_what_is_here_stays(home: Home, other: Home, file: Path) -> None:
    fill(home)
    export_all(home, file)
    arrive(other, file)
    before = contents(other)
    again = arrive(other, file)
    assert again.layers == []
    assert sorted(again.already_here) == sorted([BASE, ONE, TWO, OTHER])
    assert contents(other) == before


def test_a_part_that_is_missing_comes(home: Home, other: Home, file: Path) -> None:
    fill(home)
    export_all(home, file)
    arrive(other, file)
    cache = cache_of(other)
    one = cache.layers.find(ONE)
    assert one is not None
    cache.layers.drop(one)
    again = arrive(other, file)
    assert sorted(again.layers) == sorted([ONE, TWO])
    assert len(cache.layers.chain([BASE, ONE, TWO])) == 3


def test_on_another_making_nothing_is_laid(home: Home, other: Home, file: Path) -> None:
    fill(home)
    export_all(home, file)
    put(cache_of(other).layers, "base")
    put(cache_of(other).layers, "one", "base-1", "one-of-this-machine")
    imported = arrive(other, file)
    assert imported.layers == [OTHER]
    assert imported.already_here == [BASE]
    assert sorted(imported.other_making) == sorted([ONE, TWO])
    one = cache_of(other).layers.find(ONE)
    assert one is not None and one.meta.instance == "one-of-this-machine"
    assert cache_of(other).layers.find(TWO) is None


def test_no_room(home: Home, other: Home, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(home)
    export_all(home, file)
    usage = type("Usage", (), {"free": arrival.KEEP_FREE + 100})
    monkeypatch.setattr(arrival.shutil, "disk_usage", lambda _path: usage)
    with pytest.raises(EnvironmentProblem, match="no room to import"):
        arrive(other, file)
    assert contents(other) == {}


def test_a_place_that_cannot_be_written(home: Home, other: Home, file: Path) -> None:
    fill(home)
    export_all(home, file)
    other.ensure()
    other.staging.write_text("a file in its place")
    with pytest.raises(EnvironmentProblem, match="was not imported"):
        arrive(other, file)


def test_no_file(other: Home, tmp_path: Path) -> None:
    for file in (tmp_path / "none.tar", tmp_path):
        with pytest.raises(UsageError, match="is no file"):
            arrive(other, file)
