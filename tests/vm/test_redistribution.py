"""The quickstart once more: its finished image is there, and is only distributed.

In a file that comes after the tests of the first managed image, which this one replaces.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import EXAMPLES, Cli, Quickstart, assert_nothing_left
from test_patch import DEFINITION, version

pytestmark = pytest.mark.timeout(3000)


def test_only_distributed_again_it_has_the_same_lineage(
    quickstart: Quickstart, cli: Cli, home: Path, tmp_path: Path
) -> None:
    first = version(cli, "0.0.1")
    again = cli(EXAMPLES / "quickstart" / "template.json", "--output-dir", tmp_path)
    assert again.code == 0, again.text
    made = version(cli, "latest")
    try:
        assert made["version"] not in ("0.0.1", "0.0.2")
        assert made["lineage"] == first["lineage"]
        assert made["digest"] == first["digest"], "the finished image was taken from the cache"
    finally:
        cli("gallery", "version", "delete", f"{DEFINITION}/{made['version']}", "--yes")
    assert_nothing_left(home)
