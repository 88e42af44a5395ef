"""Downloads of whole processes: killed, out of room, two at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from web import Page, Web, web_server

from builder.gc import collect
from builder.lock import FileLock
from builder.settings import Home

MIB = 1024**2
DATA = random.Random(7).randbytes(8 * MIB)
CHILD = Path(__file__).with_name("download_child.py")


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as server:
        yield server


def start(web: Web, dest: Path, limit: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, CHILD, f"{web.url}/a", dest, str(limit)], stdout=subprocess.PIPE, text=True
    )


def ended(child: subprocess.Popen[str]) -> tuple[int, str]:
    out, _ = child.communicate(timeout=60)
    return child.returncode, out


def test_what_is_killed_goes_on_in_every_part_without_a_digest(web: Web, tmp_path: Path) -> None:
    dest = tmp_path / "disk"
    web.pages["/a"] = Page(DATA, rate=MIB)
    for _ in range(2):
        child = start(web, dest)
        before = len(web.log)
        while len(web.log) < before + 4:
            time.sleep(0.05)
        time.sleep(0.7)
        child.send_signal(signal.SIGKILL)
        child.communicate(timeout=60)
        assert not dest.exists()
    web.log.clear()
    web.pages["/a"].rate = 0
    assert ended(start(web, dest)) == (0, "")
    assert dest.read_bytes() == DATA
    asked = [wanted[6:].split("-") for wanted, status in web.requests("/a") if status == 206]
    assert len(asked) == 4
    assert sum(int(last) + 1 - int(first) for first, last in asked) < len(DATA) - 2 * MIB
    assert [path.name for path in tmp_path.iterdir()] == ["disk"]


def test_a_full_disk_is_said_and_what_came_is_kept(web: Web, tmp_path: Path) -> None:
    """The kernel refuses the bytes beyond a limit, as it does without room."""
    dest = tmp_path / "disk"
    web.pages["/a"] = Page(DATA, etag='"1"', ranges=True, rate=0)
    code, said = ended(start(web, dest, limit=3 * MIB))
    assert code == 3
    assert f"The disk of {tmp_path} is full." in said and "start again, or remove that file" in said
    assert not dest.exists()
    assert (tmp_path / "disk.part").exists()
    web.log.clear()
    assert ended(start(web, dest))[0] == 0
    assert dest.read_bytes() == DATA
    assert ("", 200) not in web.requests("/a")


def test_two_processes_make_one_download(web: Web, tmp_path: Path) -> None:
    dest = tmp_path / "disk"
    web.pages["/a"] = Page(DATA, rate=4 * MIB)
    first = start(web, dest)
    while not web.log:
        time.sleep(0.02)
    begun = len(web.requests("/a"))
    second = start(web, dest)
    assert ended(first) == (0, "")
    assert begun <= 4
    assert ended(second) == (0, "")
    assert dest.read_bytes() == DATA


def test_gc_takes_what_nobody_goes_on_with(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.downloads.mkdir(parents=True)
    old = time.time() - 17 * 3600
    for name in ("a.part", "a.spans.part", "b.part"):
        (home.downloads / name).write_bytes(b"x")
        os.utime(home.downloads / name, (old, old) if name[0] == "a" else None)
    (home.downloads / "a.lock").write_text("{}")
    held = FileLock(home.downloads / "b.lock")
    assert held.try_acquire()
    collect(home, None)
    assert sorted(path.name for path in home.downloads.iterdir()) == ["b.lock", "b.part"]
    held.release()
