"""Cache files that are damaged, cut or made to do harm: one clear error, and nothing arrives."""

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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.layers.archive import HEADER, MANIFEST, BadCacheFile, Manifest, PackedFile
from builder.layers.transfer import private_place, transfers
from builder.settings import Home
from builder.sources.bases import BaseCache
from layers.made import QCOW2, disk_of, draft, memory_of, put
from layers.test_layer_killing import Killed, Killer
from layers.travelling import (
    BASE,
    DRAWN,
    KEY,
    ONE,
    TWO,
    arrive,
    cache_of,
    contents,
    export_all,
    fill,
    put_base,
    put_vhd,
)

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
