"""A build that is killed leaves nothing for long: real processes, real SIGKILL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.gc import collect
from builder.owner import Owner, find_by_argument
from builder.runs import RunDirectory, cancel, find
from builder.settings import Home

ROOT = Path(__file__).resolve().parents[2]

# What every child does first; `build(workspace, run)` is what differs.
PREAMBLE = """
import json, os, signal, subprocess, sys, time, uuid
from pathlib import Path
from builder.cancellation import Interrupted, cancel_on_signals
from builder.deadline import Deadline
from builder.errors import GoldsmithError
from builder.events import EventBus
from builder.redact import Redactor
from builder.runs import RecordSink, RunDirectory
from builder.services import Services
from builder.settings import Home, Settings
from builder.workspace import Workspace
from templates.model import ImageTemplate

home = Home(Path(sys.argv[1]))
template = ImageTemplate.model_validate({
    "type": "Microsoft.VirtualMachineImages/imageTemplates", "apiVersion": "2024-02-01", "name": "web",
    "properties": {
        "source": {"type": "PlatformImage", "publisher": "a", "offer": "b", "sku": "c"},
        "distribute": [{"type": "VHD", "runOutputName": "out"}]}})
redactor = Redactor()
services = Services(home, Settings(), EventBus(redactor), redactor, Deadline(60), home.root, home.root)

def say(**facts):
    print(json.dumps(facts), flush=True)
"""

BUILD = """
run = RunDirectory.create(home, template=template)
with Workspace(template, services, run_id=run.run_id) as workspace:
    token = str(uuid.uuid4())
    workspace.file("os.qcow2").write_bytes(b"x" * 100000)
    workspace.journal.intent("process", token)
    # Without PDEATHSIG, so that it outlives us as a QEMU does when setpriv is missing.
    child = subprocess.Popen([sys.executable, "-c", "import time; print(flush=True); time.sleep(120)", token],
                             start_new_session=True, stdout=subprocess.PIPE)
    child.stdout.readline()
    {created}
    say(pid=child.pid, token=token, run=run.run_id, workspace=str(workspace.path))
    time.sleep(300)
"""


@contextmanager
def child(home: Home, script: str) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-c", PREAMBLE + textwrap.dedent(script), str(home.root)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=ROOT, start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait(timeout=10)
        assert process.stdout is not None
        process.stdout.close()


def line(process: subprocess.Popen[bytes]) -> dict[str, object]:
    assert process.stdout is not None
    raw = process.stdout.readline()
    assert raw, "the child said nothing"
    said = json.loads(raw)
    assert isinstance(said, dict)
    return said


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def staged(home: Home) -> list[Path]:
    return [path for path in home.staging.rglob("*") if path.is_file()]


@pytest.mark.parametrize("created", ["workspace.journal.created(token, pid=child.pid)", "pass"])
def test_after_sigkill_gc_leaves_nothing(home: Home, created: str) -> None:
    with child(home, BUILD.format(created=created)) as build:
        facts = line(build)
        assert collect(home, None).removed == [], "it is alive"
        build.send_signal(signal.SIGKILL)
        build.wait(timeout=10)
    assert find_by_argument(str(facts["token"])), "its process outlived it"
    assert Path(str(facts["workspace"])).exists()
    report = collect(home, None)
    assert {item.kind for item in report.removed} == {"workspace", "run"}
    assert report.left == []
    assert find_by_argument(str(facts["token"])) == []
    assert staged(home) == []
    assert not Path(str(facts["workspace"])).exists()
    record = find(home, str(facts["run"])).read()
    assert (record.run_state, (record.error or {})["code"]) == ("Failed", "Interrupted")
    assert collect(home, None).removed == []


def test_after_sigkill_the_next_build_cleans_up(home: Home) -> None:
    with child(home, BUILD.format(created="pass")) as build:
        first = line(build)
        build.send_signal(signal.SIGKILL)
        build.wait(timeout=10)
    with child(home, BUILD.format(created="pass")) as build:
        second = line(build)
        assert find_by_argument(str(first["token"])) == []
        assert find_by_argument(str(second["token"]))
    collect(home, None)
    assert find_by_argument(str(second["token"])) == []
    assert staged(home) == []


def test_of_two_at_the_same_time_one_is_refused(home: Home) -> None:
    script = """
    say(ready=os.getpid())
    sys.stdin.readline()
    try:
        with Workspace(template, services, run_id=f"run-{os.getpid()}"):
            say(got=os.getpid())
            time.sleep(300)
    except GoldsmithError as error:
        say(refused=os.getpid(), code=error.code, message=error.message, exit_code=int(error.exit_code))
    """
    argv = [sys.executable, "-c", PREAMBLE + textwrap.dedent(script), str(home.root)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "cwd": ROOT}
    racers = [subprocess.Popen(argv, **pipes) for _ in range(3)]  # type: ignore[call-overload]
    try:
        for racer in racers:
            assert "ready" in line(racer)
        for racer in racers:
            racer.stdin.write(b"go\n")
            racer.stdin.flush()
        said = [line(racer) for racer in racers]
        winners = [item["got"] for item in said if "got" in item]
        losers = [item for item in said if "refused" in item]
        assert (len(winners), len(losers)) == (1, 2)
        for item in losers:
            assert (item["code"], item["exit_code"]) == ("Conflict", 2)
            assert f"run-{winners[0]}" in str(item["message"])
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate(timeout=10)


def test_waiting_goes_on_when_the_holder_is_killed(home: Home) -> None:
    hold = """
    with Workspace(template, services, run_id="first"):
        say(got=1)
        time.sleep(300)
    """
    wait = """
    say(waiting=1)
    with Workspace(template, services, run_id="second", wait=True):
        say(got=2)
    """
    with child(home, hold) as first:
        assert line(first) == {"got": 1}
        with child(home, wait) as second:
            assert line(second) == {"waiting": 1}
            os.kill(first.pid, signal.SIGKILL)
            assert line(second) == {"got": 2}
            assert second.wait(timeout=10) == 0
    assert staged(home) == []


def test_cancel_from_another_process(home: Home) -> None:
    script = """
    run = RunDirectory.create(home, template=template)
    try:
        with cancel_on_signals(), Workspace(template, services, run_id=run.run_id) as workspace:
            workspace.file("os.qcow2").write_bytes(b"x")
            say(run=run.run_id)
            time.sleep(300)
    except Interrupted as signal:
        run.record.run_state = "Canceled"
        run.save()
        say(signal=signal.signal_name)
    """
    with child(home, script) as build:
        run = find(home, str(line(build)["run"]))
        owner = cancel(run)
        assert owner.pid == build.pid
        assert line(build) == {"signal": "SIGINT"}
        assert build.wait(timeout=10) == 0
        assert not owner.alive()
    assert RunDirectory(run.path).load().run_state == "Canceled"
    assert run.cancel_requested
    assert staged(home) == []
    assert Owner.of(build.pid) is None
