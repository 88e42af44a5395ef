from __future__ import annotations

import os
from pathlib import Path

from builder.on_disk import disk_usage


def test_disk_usage_counts_links_once_and_holes_not_at_all(tmp_path: Path) -> None:
    tree = tmp_path / "t"
    tree.mkdir()
    with (tree / "sparse").open("wb") as file:
        file.truncate(10**9)
    (tree / "data").write_bytes(b"x" * 100_000)
    once = disk_usage(tree)
    os.link(tree / "data", tree / "link")
    assert disk_usage(tree) == once
    assert 100_000 <= once < 10**7
    assert disk_usage(tmp_path / "none") == 0
