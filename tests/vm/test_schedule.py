"""`schedule run --once` with real builds: the patch example is rebuilt when its source got a new version,
and only then, three times over.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from harness import EXAMPLES, Cli, Quickstart, assert_nothing_left, qemu_processes
from test_failing_build import template

pytestmark = pytest.mark.timeout(3000)
MIB = 1024**2
WEB = "scheduled/debian-12"


def versions(cli: Cli) -> dict[str, dict[str, Any]]:
    listed = cli("gallery", "version", "list", WEB, "--json")
    assert listed.code == 0, listed.text
    return {one["version"]: one for one in json.loads(listed.out)}


def once(cli: Cli) -> dict[str, Any]:
    """One look at the schedule `patch`; the only one in this home."""
    done = cli("schedule", "run", "--once", "--json")
    assert done.code in (0, 1), done.text
    (look,) = json.loads(done.out)
    return look


def status(cli: Cli, name: str, *words: str) -> dict[str, Any]:
    """What `build status` says of one template."""
    done = cli("status", "--json", *words)
    assert done.code == 0, done.text
    return next(one for one in json.loads(done.out)["templates"] if one["name"] == name)


def publish(cli: Cli, source: str) -> str:
    """Somebody publishes a new version: what the schedule waits for."""
    made = cli("gallery", "version", "create", WEB, "--from", source, "--json")
    assert made.code == 0, made.text
    return next(iter(versions(cli)))


def test_patched_when_the_source_is_new_three_times_over(
    quickstart: Quickstart, cli: Cli, home: Path
) -> None:
    identifier = ("--publisher", "Tests", "--offer", "patch", "--sku", "1", "--generation", "V1")
    for words in (("gallery", "create", "scheduled"), ("gallery", "definition", "create", WEB, *identifier)):
        made = cli(*words)
        assert made.code == 0, made.text
    parameters = cli.cwd / "scheduled.parameters.json"
    parameters.write_text(json.dumps({"parameters": {"galleryName": {"value": "scheduled"}}}))
    patch = EXAMPLES / "patch" / "template.json"
    more = ["--on-source-change", "--keep-last", "3", "--parameters", str(parameters)]
    added = cli("schedule", "add", patch, *more)
    assert added.code == 0, added.text
    source = publish(cli, "quickstart/debian-12/0.0.1")
    pinned = source
    kept = cli("gallery", "channel", "set", WEB, "prod", pinned)
    assert kept.code == 0, kept.text
    sizes = []
    for round_ in range(3):
        look = once(cli)
        assert look["ended"]["outcome"] == "Succeeded", look
        found = versions(cli)
        patched = next(iter(found.values()))
        assert patched["parent"].endswith(f"/versions/{source}"), "it knows what it was made from"
        assert patched["lineage"]["template"] == "patch"
        sizes.append(patched["replicas"][0]["sizeOnDisk"])
        assert once(cli)["ended"]["outcome"] == "Unchanged", "what it made itself is nothing new"
        assert list(versions(cli)) == list(found)
        stands = status(cli, "patch")
        assert (stands["state"], stands["reasons"]) == ("current", [])
        assert stands["sourceUsed"].endswith(source)
        if round_ < 2:
            source = publish(cli, f"{WEB}/{patched['version']}")
            stands = status(cli, "patch")
            assert (stands["state"], stands["reasons"]) == ("stale", ["its source has something newer"])
            assert stands["sourceNow"].endswith(source)
            assert cli("status", "--exit-code").code == 1
    left = versions(cli)
    assert pinned in left, "a channel points to it"
    assert len(left) == 4, "the newest three and that one"
    assert max(sizes) - sizes[0] < 4 * MIB, sizes
    shown = json.loads(cli("schedule", "show", "patch", "--json").out)
    assert (shown["outcome"], shown["failures"], shown["state"]) == ("Unchanged", 0, "active")
    by_hand = status(cli, "quickstart", "--all")
    assert (by_hand["state"], by_hand["last"], by_hand["schedule"]) == ("current", "Succeeded", "")
    assert_nothing_left(home)
    assert cli("schedule", "remove", "patch").code == 0


def wait_for_lock(daemon: subprocess.Popen[str], lock: Path) -> None:
    """Until the scheduler holds it: who holds it is written into it then. Trying it would take it away."""
    end = time.monotonic() + 120
    while not (lock.exists() and lock.stat().st_size):
        assert time.monotonic() < end
        assert daemon.poll() is None, daemon.communicate(timeout=60)[0]
        time.sleep(0.2)


def wait_for_machine(daemon: subprocess.Popen[str], home: Path, deadline: float) -> None:
    """Until the scheduler's build has a machine running."""
    while not qemu_processes(home):
        assert time.monotonic() < deadline
        assert daemon.poll() is None, daemon.communicate(timeout=60)[0]
        time.sleep(0.5)


def test_a_scheduler_that_is_stopped_stops_its_build(quickstart: Quickstart, cli: Cli, home: Path) -> None:
    """Ctrl-C (or systemd) reaches a build under way; it clears up, and nothing else is begun."""
    folder = cli.cwd / "stopped"
    folder.mkdir()
    file = folder / "slow.json"
    file.write_text(
        json.dumps(template("slow", [{"type": "Shell", "name": "wait", "inline": ["sleep 600"]}]))
    )
    assert cli("schedule", "add", file, "--every", "1m", "--output-dir", folder).code == 0
    deadline = time.monotonic() + 600
    with cli.start("schedule", "run") as daemon:
        wait_for_lock(daemon, home / "schedule.lock")
        second = cli("schedule", "run", "--once")
        assert "Another process looks after the schedules" in second.text
        assert second.code == 2, second.text
        wait_for_machine(daemon, home, deadline)
        cancelled = cli("runs", "cancel", "--wait", "120")
        assert "Canceled" in cancelled.text
        wait_for_machine(
            daemon, home, deadline
        )  # a minute later: that build was cancelled, not the scheduler
        daemon.send_signal(signal.SIGTERM)
        out, _ = daemon.communicate(timeout=180)
    assert daemon.returncode == 130, out
    assert "slow: canceled" in out
    assert_nothing_left(home)
    shown = json.loads(cli("schedule", "show", "slow", "--json").out)
    assert (shown["outcome"], shown["failures"], shown["running"]) == ("Canceled", 0, False)
    assert cli("schedule", "remove", "slow").code == 0
    shutil.rmtree(folder)
