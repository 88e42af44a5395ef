"""The cache on its way to another machine: everything arrives as it was, or nothing does."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import tarfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from disk.vhd_file import MIB, write_vhd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.errors import ConflictError, EnvironmentProblem, NotFoundError, UsageError
from builder.layers import arrival, transfer
from builder.layers.archive import HEADER, MANIFEST, BadCacheFile, Manifest, PackedFile
from builder.layers.arrival import Imported, import_file
from builder.layers.cache import Cache
from builder.layers.transfer import export, private_place, select, transfers
from builder.settings import Home, Settings
from builder.sources.bases import BaseCache, BaseMeta
from builder.sources.entry import ENTRY, Entry
from builder.vm.access import BuildAccess
from layers.made import FACTS, QCOW2, SOURCE, an_id, disk_of, draft, memory_of, put, rewrite_meta
from layers.test_layer_killing import Killed, Killer

KEY = "b" * 64
DRAWN = f"{KEY}-{'c' * 32}"
BASE, ONE, TWO, OTHER = (an_id(name) for name in ("base", "one", "two", "other"))


def cache_of(home: Home) -> Cache:
    return Cache.of(home, Settings())


def fill(home: Home, source: str = SOURCE) -> Cache:
    """base <- one <- two of the template web, base <- other of the template db."""
    cache = cache_of(home)
    put(cache.layers, "base", source=source)
    put(cache.layers, "one", "base-1", source=source)
    put(cache.layers, "two", "one-1", source=source)
    put(cache.layers, "other", "base-1", template="db", source=source)
    return cache


def put_base(home: Home, identity: str = DRAWN, content: bytes = b"base disk", **changes: Any) -> Path:
    folder = home.bases / KEY
    folder.mkdir(parents=True)
    (folder / "disk.raw").write_bytes(content)
    meta = BaseMeta(identity, "Debian:debian-12:12", "disk.raw", "raw", len(content), len(content), 5.0)
    (folder / "meta.json").write_text(json.dumps({**asdict(meta), **changes}))
    return folder


def put_vhd(cache: Cache, work: Path, source: str = SOURCE) -> str:
    work.mkdir()
    write_vhd(work / "os.vhd", 2 * MIB)
    facts = {**FACTS, "source": source, "validated": ("checks",)}
    assert cache.finished.add(work / "os.vhd", facts, an_id("image"), work / "draft") is not None
    return an_id("image")


def export_all(
    home: Home, file: Path, *wanted: str, memory: bool = True, **options: Any
) -> transfer.Exported:
    selection = select(cache_of(home), BaseCache(home.bases), wanted, **options)
    return export(home, selection, file, memory=memory)


@pytest.fixture
def other(tmp_path: Path) -> Home:
    """The other machine."""
    return Home(tmp_path / "other")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache.tar"


def arrive(home: Home, file: Path) -> Imported:
    return import_file(home, cache_of(home), file)


def contents(home: Home) -> dict[str, bytes]:
    """All files of a home but locks."""
    return {
        str(path.relative_to(home.root)): path.read_bytes()
        for path in home.root.rglob("*")
        if path.is_file() and not path.name.endswith(".lock")
    }


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


# ---- damaged and foreign files


@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
def test_a_changed_or_cut_file_is_not_imported(home: Home, tmp_path: Path, suffix: str) -> None:
    """Wherever: either one clear error and nothing is there, or it was no part of the content."""
    fill(home)
    file = tmp_path / f"cache.{suffix}"
    export_all(home, file)
    whole = file.read_bytes()
    expected = contents(home)
    bad, refused = tmp_path / "bad", []

    def attempt(data: bytes) -> None:
        bad.write_bytes(data)
        target = Home(tmp_path / "target")
        shutil.rmtree(target.root, ignore_errors=True)
        try:
            arrive(target, bad)
        except BadCacheFile as error:
            assert "cannot be imported" in error.message
            assert error.exit_code == 2
            assert contents(target) == {}
            refused.append(error.message)
        else:
            assert contents(target) == expected

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, len(whole) - 1), st.integers(1, 255))
    def changed(place: int, by: int) -> None:
        attempt(whole[:place] + bytes([whole[place] ^ by]) + whole[place + 1 :])

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, len(whole) - 1))
    def cut(length: int) -> None:
        attempt(whole[:length])

    changed()
    cut()
    assert len(refused) > 30


Change = Callable[[dict[str, bytes], list[PackedFile]], None]


def rebuilt(
    layers: dict[str, bytes],
    file: Path,
    *,
    manifest: Callable[[list[PackedFile]], object] | None = None,
    members: Callable[[list[tuple[tarfile.TarInfo, bytes]]], object] | None = None,
    header: dict[str, object] | None = None,
) -> None:
    """An archive made by hand of `layers` (names and contents), with right sums, changed by the caller."""
    listed = [
        PackedFile(name, len(data), ((0, len(data)),) if data else (), hashlib.sha256(data).hexdigest())
        for name, data in layers.items()
    ]
    if manifest:
        manifest(listed)
    text = json.dumps(asdict(Manifest(tuple(listed)))).encode()
    head = {"format": 1, "manifest": hashlib.sha256(text).hexdigest(), **(header or {})}
    parts = [(HEADER, json.dumps(head).encode()), (MANIFEST, text), *layers.items()]
    tar_members = []
    for name, data in parts:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar_members.append((info, data))
    if members:
        members(tar_members)
    with tarfile.open(file, "w", format=tarfile.GNU_FORMAT) as tar:
        for info, data in tar_members:
            tar.addfile(info, io.BytesIO(data) if info.isreg() else None)


def parts_of(tmp_path: Path, name: str = "base", parent: str = "", **facts: Any) -> dict[str, bytes]:
    """The files of a layer, by their names in an archive."""
    made = draft(tmp_path / f"parts-{name}", name, parent, **facts)
    return {f"layers/{made.meta.id}/{path.name}": path.read_bytes() for path in sorted(made.folder.iterdir())}


def as_link(kind: bytes) -> Callable[[list[tuple[tarfile.TarInfo, bytes]]], object]:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        info = members[-1][0]
        info.type, info.size, info.linkname = kind, 0, "/etc/passwd"

    return change


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE],
)
def test_only_plain_files(other: Home, file: Path, tmp_path: Path, kind: bytes) -> None:
    rebuilt(parts_of(tmp_path), file, members=as_link(kind))
    with pytest.raises(BadCacheFile, match="where layers/"):
        arrive(other, file)
    assert contents(other) == {}


@pytest.mark.parametrize(
    "name",
    [
        "../../evil", "/etc/evil", "layers/../evil", f"layers/{BASE}/../../evil", f"layers/{BASE}/.hidden",
        f"layers/{BASE}/a/b", f"layers/{BASE[:-1]}/disk.qcow2", f"images/{BASE}/disk.qcow2",
        f"layers/{BASE}/", f"layers/{BASE}/x\n", "layers/" + BASE.upper() + "/disk.qcow2", "",
    ],
)  # fmt: skip
def test_names_stay_inside(other: Home, file: Path, tmp_path: Path, name: str) -> None:
    rebuilt({**parts_of(tmp_path), name: b"evil"}, file)
    with pytest.raises(BadCacheFile, match="cannot be in a cache"):
        arrive(other, file)
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize(
    "extents", [((0, 10**6),), ((-1, 2),), ((4, 2), (0, 2)), ((0, 4), (2, 4)), ((0, 0),)]
)
def test_extents_stay_inside(
    other: Home, file: Path, tmp_path: Path, extents: tuple[tuple[int, int], ...]
) -> None:
    def change(files: list[PackedFile]) -> None:
        last = files[-1]
        files[-1] = PackedFile(last.name, last.size, extents, last.sha256)

    rebuilt(parts_of(tmp_path), file, manifest=change)
    with pytest.raises(BadCacheFile, match="cannot be in a cache"):
        arrive(other, file)


def test_the_same_twice(other: Home, file: Path, tmp_path: Path) -> None:
    rebuilt(parts_of(tmp_path), file, manifest=lambda files: files.append(files[0]))
    with pytest.raises(BadCacheFile, match="cannot be in a cache"):
        arrive(other, file)


def test_more_than_it_says(other: Home, file: Path, tmp_path: Path) -> None:
    rebuilt(parts_of(tmp_path), file, manifest=lambda files: files.pop())
    with pytest.raises(BadCacheFile, match=r"more than its manifest says|other files"):
        arrive(other, file)
    assert contents(other) == {}


def test_trailing_data(home: Home, other: Home, tmp_path: Path) -> None:
    fill(home)
    file = tmp_path / "cache.tar.gz"
    export_all(home, file)
    with file.open("ab") as stream:
        stream.write(gzip.compress(b"more"))
    with pytest.raises(BadCacheFile, match="more than its manifest says"):
        arrive(other, file)
    assert contents(other) == {}


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"format": 2}, "its format is 2, this version reads 1"),
        ({"manifest": "0" * 64}, "manifest is damaged"),
        ({"format": "x"}, "no file of 'build cache export'"),
    ],
)
def test_the_header(other: Home, file: Path, tmp_path: Path, header: dict[str, object], said: str) -> None:
    rebuilt(parts_of(tmp_path), file, header=header)
    with pytest.raises(BadCacheFile, match=said):
        arrive(other, file)


def test_files_of_others(other: Home, file: Path) -> None:
    for data in (b"", b"hello", os.urandom(5000), bytes(20000), gzip.compress(b"hello")):
        file.write_bytes(data)
        with pytest.raises(BadCacheFile):
            arrive(other, file)
    with tarfile.open(file, "w") as tar:
        tar.addfile(tarfile.TarInfo("README"))
    with pytest.raises(BadCacheFile, match="README"):
        arrive(other, file)
    assert contents(other) == {}


def dropping(name: str) -> Callable[[dict[str, bytes]], None]:
    def change(parts: dict[str, bytes]) -> None:
        del parts[f"layers/{BASE}/{name}"]

    return change


def replacing(name: str, data: bytes) -> Callable[[dict[str, bytes]], None]:
    def change(parts: dict[str, bytes]) -> None:
        parts[f"layers/{BASE}/{name}"] = data

    return change


with_data_file = QCOW2[:72] + (1 << 2).to_bytes(8, "big") + disk_of("base-1")[80:]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (dropping("disk.qcow2"), "other files than it should"),
        (dropping("meta.json"), "other files than it should"),
        (dropping("seed.iso"), "is not as described"),
        (replacing("evil.so", b"x"), "other files than it should"),
        (replacing("meta.json", b"{}"), "is not as described"),
        (replacing("disk.qcow2", disk_of("base-1")[:-1]), "is not as described"),
        (replacing("disk.qcow2", bytes(len(disk_of("base-1")))), "is not one of ours"),
        (replacing("disk.qcow2", with_data_file), "is not one of ours"),
    ],
)
def test_layers_that_are_none(
    other: Home, file: Path, tmp_path: Path, change: Callable[[dict[str, bytes]], None], said: str
) -> None:
    parts = parts_of(tmp_path)
    change(parts)
    rebuilt(parts, file)
    with pytest.raises(BadCacheFile, match=said):
        arrive(other, file)
    assert contents(other) == {}


def test_a_layer_without_what_it_lies_on(other: Home, file: Path, tmp_path: Path) -> None:
    rebuilt(parts_of(tmp_path, "one", "base-1"), file)
    with pytest.raises(BadCacheFile, match="neither in it nor here"):
        arrive(other, file)
    put(cache_of(other).layers, "base")
    assert arrive(other, file).layers == [ONE]


def test_layers_in_a_circle(other: Home, file: Path, tmp_path: Path) -> None:
    rebuilt({**parts_of(tmp_path, "one", "two-1"), **parts_of(tmp_path, "two", "one-1")}, file)
    assert arrive(other, file).layers == []
    assert cache_of(other).layers.all() == []


@pytest.mark.parametrize(
    "changes",
    [{"file": "../../../secret"}, {"file": "meta.json"}, {"identity": "x"}, {"file_size": 1}, {"format": 2}],
)
def test_bases_that_are_none(
    home: Home, other: Home, file: Path, changes: dict[str, Any], tmp_path: Path
) -> None:
    folder = put_base(home, **changes)
    rebuilt({f"bases/{KEY}/{path.name}": path.read_bytes() for path in folder.iterdir()}, file)
    with pytest.raises(BadCacheFile, match="a base in it"):
        arrive(other, file)
    assert contents(other) == {}


def test_images_that_are_none(home: Home, other: Home, file: Path, tmp_path: Path) -> None:
    cache = cache_of(home)
    image = put_vhd(cache, tmp_path / "work")
    folder = home.finished / image
    parts = {f"finished/{image}/{path.name}": path.read_bytes() for path in folder.iterdir()}
    vhd = f"finished/{image}/os.vhd"
    for content in (parts[vhd][:-1], bytes(len(parts[vhd]))):
        rebuilt({**parts, vhd: content}, file)
        with pytest.raises(BadCacheFile, match="finished image in it"):
            arrive(other, file)
    rebuilt({**parts, f"finished/{image}/meta.json": b"{}"}, file)
    with pytest.raises(BadCacheFile, match="not as described"):
        arrive(other, file)
    assert contents(other) == {}


# ---- killed


def test_killed_while_importing(home: Home, file: Path, tmp_path: Path) -> None:
    fill(home, DRAWN)
    put_base(home)
    put_vhd(cache_of(home), tmp_path / "work")
    export_all(home, file, images=True, with_base=True)
    with pytest.MonkeyPatch.context() as patch:
        calls = Killer(patch)
        arrive(Home(tmp_path / "whole"), file)
    assert calls.calls > 40
    for lives in range(0, calls.calls, 2):
        target = Home(tmp_path / f"target-{lives}")
        with pytest.MonkeyPatch.context() as patch:
            Killer(patch, lives)
            with pytest.raises(Killed):
                arrive(target, file)
        cache = cache_of(target)
        for layer in cache.layers.chain([BASE, ONE, TWO]):
            assert layer.disk.path.read_bytes() == disk_of(layer.meta.instance)
            assert layer.memory.read_bytes() == memory_of(layer.meta.instance)
        assert cache.layers.sweep() == []
        base = BaseCache(target.bases).find(KEY)
        assert base is None or base.identity == DRAWN
        if cache.layers.all():
            assert base is not None  # what layers lie on comes first
    again = arrive(target, file)
    assert len(cache_of(target).layers.chain([BASE, ONE, TWO])) == 3
    assert again.other_making == []


def test_a_private_place_is_gone_afterwards(home: Home) -> None:
    with private_place(home) as place:
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        (place / "x").write_text("x")
    assert list(transfers(home).iterdir()) == []
