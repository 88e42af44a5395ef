"""Debian's own installer, a real one: the network installer, with our answers in its initrd.

The mirror must have all components of the installer, which many have not, and it takes long. So it is only
collected when asked for: `pytest tests/vm/test_debian_installer.py --debian-installer`.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from harness import Cli, assert_nothing_left
from media import Medium, debian_medium
from test_install import assert_only_the_base, build, from_iso, output

pytestmark = pytest.mark.timeout(7200)


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Medium:
    return debian_medium(tmp_path_factory.mktemp("debian"))


@pytest.mark.parametrize(("generation", "firmware"), [("V2", "uefi"), ("V1", "bios")])
def test_a_whole_build_from_debians_installer(
    debian: Medium, generation: str, firmware: str, cli: Cli, home: Path, tmp_path: Path
) -> None:
    value = from_iso(f"debian-{firmware}", debian, generation=generation, packages=["vim-tiny"])
    result, found, vhd = build(cli, tmp_path, value)
    assert result.code == 0, result.text
    said = output(found)
    assert "root:ext4" in said
    assert f"firmware:{firmware}" in said
    assert "swap:0" in said
    assert "user:packer sudo:root" in said
    assert "net.ifnames=0" in said
    subprocess.run(["sfdisk", "--verify", vhd], check=True, capture_output=True)
    assert_nothing_left(home)
    assert_only_the_base(home)
