"""The journal against real processes."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from pathlib import Path

from builder import process
from builder.journal import Journal, reap
from builder.owner import Owner, find_by_argument

# `sleep` cannot carry a token; Python can, as QEMU carries it in `-uuid TOKEN`.
SLEEPER = [sys.executable, "-c", "import time; time.sleep(120)", "-uuid"]


def wait_for(token: str) -> Owner:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        found = find_by_argument(token)
        if found:
            return found[0]
        time.sleep(0.02)
    raise AssertionError("the process did not start")


def test_a_journaled_process_is_killed(tmp_path: Path) -> None:
    journal, token = Journal(tmp_path / "j"), str(uuid.uuid4())
    journal.intent("process", token, program=Path(sys.executable).name)
    with process.spawn([*SLEEPER, token]) as child:
        journal.created(token, pid=child.pid)
        wait_for(token)
        (done,) = reap(journal.open_entries(), roots=[])
        assert done.outcome == "killed"
        assert child.wait(timeout=5) == -9


def test_a_process_whose_created_line_was_never_written_is_found(tmp_path: Path) -> None:
    journal, token = Journal(tmp_path / "j"), str(uuid.uuid4())
    journal.intent("process", token)
    with process.spawn([*SLEEPER, token]) as child:
        wait_for(token)
        (done,) = reap(journal.open_entries(), roots=[])
        assert done.outcome == "killed"
        assert child.wait(timeout=5) == -9


def test_a_process_without_the_token_lives_on(tmp_path: Path) -> None:
    journal, token = Journal(tmp_path / "j"), str(uuid.uuid4())
    journal.intent("process", token)
    with process.spawn(["sleep", "120"]) as child:
        journal.created(token, pid=child.pid)  # as if the pid had been taken over by another program
        (done,) = reap(journal.open_entries(), roots=[])
        assert done.outcome == "gone"
        assert child.poll() is None


def test_who_only_mentions_the_token_lives_on(tmp_path: Path) -> None:
    journal, token = Journal(tmp_path / "j"), str(uuid.uuid4())
    journal.intent("process", token)
    with process.spawn([sys.executable, "-c", f"import time; time.sleep(120)  # {token}"]) as child:
        time.sleep(0.2)
        assert reap(journal.open_entries(), roots=[])[0].outcome == "gone"
        assert child.poll() is None


def test_another_program_with_the_token_lives_on(tmp_path: Path) -> None:
    journal, token = Journal(tmp_path / "j"), str(uuid.uuid4())
    journal.intent("process", token, program="qemu-system-x86_64")
    with process.spawn([*SLEEPER, token]) as child:
        wait_for(token)
        assert reap(journal.open_entries(), roots=[])[0].outcome == "gone"
        assert child.poll() is None


def test_a_process_older_than_the_intent_lives_on(tmp_path: Path) -> None:
    journal, token = Journal(tmp_path / "j"), str(uuid.uuid4())
    with process.spawn([*SLEEPER, token]) as child:
        wait_for(token)
        time.sleep(1.3)  # more than the slack of a second
        journal.intent("process", token)
        assert reap(journal.open_entries(), roots=[])[0].outcome == "gone"
        assert child.poll() is None


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    owner = Owner.of(child.pid)
    end = time.monotonic() + 5
    while Owner.of(child.pid) is not None and time.monotonic() < end:
        time.sleep(0.02)
    assert owner is None or not owner.alive()
    child.wait()
