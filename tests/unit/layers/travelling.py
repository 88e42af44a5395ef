"""A cache that travels: what lies in one home, on its way to another."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from disk.vhd_file import MIB, write_vhd

from builder.layers import transfer
from builder.layers.arrival import Imported, import_file
from builder.layers.cache import Cache
from builder.layers.transfer import export, select
from builder.settings import Home, Settings
from builder.sources.bases import BaseCache, BaseMeta
from layers.made import FACTS, SOURCE, an_id, put

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


def arrive(home: Home, file: Path) -> Imported:
    return import_file(home, cache_of(home), file)


def contents(home: Home) -> dict[str, bytes]:
    """All files of a home but locks."""
    return {
        str(path.relative_to(home.root)): path.read_bytes()
        for path in home.root.rglob("*")
        if path.is_file() and not path.name.endswith(".lock")
    }
