"""The cache of bases: made once, made again when damaged, never mixed up."""

import json
import shutil

import pytest

from builder.deadline import Deadline
from builder.errors import BuildError
from builder.events import EventBus
from builder.redact import Redactor
from builder.sources import scratch
from builder.sources.bases import BaseCache, MadeDisk


@pytest.fixture
def cache(tmp_path, monkeypatch):
    # The real one starts rm, which knows not to cross mounts; tests/unit starts nothing.
    monkeypatch.setattr(scratch, "remove_tree", lambda path: shutil.rmtree(path, ignore_errors=True))
    return BaseCache(tmp_path / "bases")


class Maker:
    def __init__(self, fail=False):
        self.calls, self.fail = 0, fail

    def __call__(self, folder):
        self.calls += 1
        (folder / "rest").write_text("x")
        if self.fail:
            raise BuildError("no mirror")
        disk = folder / "disk.raw"
        disk.write_bytes(b"d" * 1024)
        return MadeDisk(disk, "raw", 1024)


def _make(cache, identity, maker):
    bus = EventBus(Redactor())
    return cache.make("key", identity, "a base", maker, deadline=Deadline(5), bus=bus)


def test_a_base_is_made_once(cache):
    maker = Maker()
    identity = cache.next_identity("key")
    disk = _make(cache, identity, maker)
    assert _make(cache, identity, maker) == disk
    assert maker.calls == 1
    path = disk.graph.top.path
    assert path.read_bytes() == b"d" * 1024
    assert path.stat().st_mode & 0o777 == 0o444
    assert cache.find("key").identity == identity


def test_all_who_ask_before_it_is_made_agree(cache):
    assert cache.next_identity("key") == cache.next_identity("key")
    assert cache.next_identity("key") != cache.next_identity("other")


def test_made_again_it_is_another_base(cache):
    """Layers on the first disk must not be laid on the second, whose blocks lie elsewhere."""
    maker = Maker()
    first = cache.next_identity("key")
    disk = _make(cache, first, maker)
    disk.graph.top.path.unlink()
    assert cache.find("key") is None
    second = cache.next_identity("key")
    assert second != first
    _make(cache, second, maker)
    assert (maker.calls, cache.find("key").identity) == (2, second)


@pytest.mark.parametrize("damage", ["truncate", "garbage", "newer"])
def test_damage_is_a_miss(cache, tmp_path, damage):
    _make(cache, cache.next_identity("key"), Maker())
    meta = tmp_path / "bases/key/meta.json"
    if damage == "truncate":
        disk = tmp_path / "bases/key/disk.raw"
        disk.chmod(0o644)
        disk.write_bytes(b"d")
    elif damage == "garbage":
        meta.write_text("{")
    else:
        meta.write_text(json.dumps({**json.loads(meta.read_text()), "format": 99}))
    assert cache.find("key") is None


def test_a_failure_leaves_nothing_half_made(cache, tmp_path):
    with pytest.raises(BuildError, match="no mirror"):
        _make(cache, "id", Maker(fail=True))
    assert cache.find("key") is None
    assert not (tmp_path / "bases/.key.tmp").exists()


def test_a_base_made_meanwhile_under_another_identity_is_not_taken(cache):
    _make(cache, "one", Maker())
    with pytest.raises(BuildError, match="made anew"):
        _make(cache, "two", Maker())
