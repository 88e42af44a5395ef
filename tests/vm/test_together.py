"""Several builds at once, with real processes: what they say, how they end, and that nothing is left.

No VM is booted: builds wait in a secret's command, or are refused before anything boots.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from harness import Cli, assert_nothing_left

from builder.errors import ExitCode
from builder.events import Envelope, RunFinished, StepOutput
from builder.owner import Owner, command_line
from builder.together.crew import Build, Crew
from builder.together.task import Task

LIMIT = 60
CANARY = "canary-value-of-a-variable"


class Seen:
    """A face that remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Envelope]] = []
        self.told_to_stop = False

    def sinks(self, build: Build) -> Sequence[Any]:
        return [lambda envelope: self.events.append((build.label, envelope))]

    def stopping(self) -> None:
        self.told_to_stop = True

    def ends(self) -> dict[str, RunFinished]:
        return {label: e.event for label, e in self.events if isinstance(e.event, RunFinished)}

    def lines(self, label: str) -> list[str]:
        return [e.event.line for of, e in self.events if of == label and isinstance(e.event, StepOutput)]


def worker(tmp_path: Path, body: str) -> list[str]:
    """A process in place of a build's: `body` sees its `task` and may `say` events."""
    file = tmp_path / "worker.py"
    file.write_text(
        textwrap.dedent("""
            import json, os, signal, sys, time
            task = json.load(sys.stdin)
            name = task["file"]
            def say(kind, **facts):
                data = {"kind": kind, "time": "2026-01-01T00:00:00+00:00", "elapsed": 1.0, "runId": name}
                print(json.dumps(data | facts), flush=True)
            def line(text):
                say("step.output", stage="Customize", index=1, stream="stdout", line=text)
            def end(state, code):
                say("run.finished", state=state, seconds=1.0, exitCode=code, error=None)
                sys.exit(code)
        """)
        + textwrap.dedent(body)
    )
    return [sys.executable, str(file)]


def build(name: str, seconds: float = LIMIT) -> Build:
    return Build(name, Task(name, 0, "", None, False, {"v": CANARY}, None, "", {}), seconds)


def crew(seen: Seen, argv: list[str], *names: str, at_once: int = 2, **limits: float) -> Crew:
    builds = [build(name, limits.get("seconds", LIMIT)) for name in names]
    return Crew(builds, at_once, seen, stop_seconds=limits.get("stop", LIMIT), worker=argv)


def test_no_more_than_asked_for_run_at_once_and_all_is_told(tmp_path: Path) -> None:
    seen = Seen()
    argv = worker(
        tmp_path,
        f"""
        here = os.path.join({str(tmp_path)!r}, "here." + name)
        open(here, "w").close()
        time.sleep(0.3)
        line(str(len([item for item in os.listdir({str(tmp_path)!r}) if item.startswith("here.")])))
        for number in range(3000): line("x" * 200)
        os.unlink(here)
        end("Failed", 4) if name == "b" else end("Succeeded", 0)
        """,
    )
    codes = crew(seen, argv, "a", "b", "c", "d").run()
    assert codes == [ExitCode.OK, ExitCode.TIMED_OUT, ExitCode.OK, ExitCode.OK]
    assert {name: len(seen.lines(name)) for name in "abcd"} == dict.fromkeys("abcd", 3001)
    assert max(int(seen.lines(name)[0]) for name in "abcd") == 2


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", ExitCode.BUILD_FAILED, "was killed by SIGKILL"),
        ("print('the last word', file=sys.stderr); sys.exit(77)", ExitCode.BUILD_FAILED, "exit code 77"),
        (
            "print(json.dumps({'error': {'message': 'no room'}}), file=sys.stderr); sys.exit(3)",
            ExitCode.ENVIRONMENT,
            "no room",
        ),
        ("print('no JSON'); print('[]'); print('{}'); end('Succeeded', 0)", ExitCode.OK, ""),
    ],
)
def test_a_process_that_ends_without_a_word(tmp_path: Path, body: str, code: ExitCode, words: str) -> None:
    seen = Seen()
    assert crew(seen, worker(tmp_path, body), "a").run() == [code]
    end = seen.ends()["a"]
    assert end.exit_code == code
    assert words in (end.error or {}).get("message", "")


def test_one_that_takes_too_long_is_stopped_and_then_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builder.together.crew._STOP_SLACK", 0.0)
    seen = Seen()
    argv = worker(
        tmp_path,
        """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        def stop(*_):
            line("told to stop")
            if name == "good": end("Canceled", 130)
        signal.signal(signal.SIGINT, stop)
        while True: time.sleep(0.05)
        """,
    )
    start = time.monotonic()
    codes = crew(seen, argv, "good", "stubborn", seconds=2.0, stop=1.0).run()
    assert codes == [ExitCode.CANCELLED, ExitCode.CANCELLED]
    assert (seen.lines("good"), seen.lines("stubborn")) == (["told to stop"], ["told to stop"])
    assert seen.ends()["stubborn"].state == "Canceled"
    assert time.monotonic() - start < 20


def test_signals_stop_all_and_begin_no_more(tmp_path: Path) -> None:
    """The second and third, of other kinds, do no harm."""
    seen = Seen()
    argv = worker(
        tmp_path,
        """
        def stop(*_):
            time.sleep(1)
            end("Canceled", 130)
        signal.signal(signal.SIGINT, stop)
        line("ready")
        time.sleep(60)
        """,
    )

    def press() -> None:
        end = time.monotonic() + LIMIT
        while len(seen.events) < 2 and time.monotonic() < end:
            time.sleep(0.02)
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
            time.sleep(0.3)

    presser = threading.Thread(target=press)
    presser.start()
    codes = crew(seen, argv, "a", "b", "c").run()
    presser.join(LIMIT)
    assert codes == [ExitCode.CANCELLED] * 3
    assert (set(seen.ends()), seen.told_to_stop) == ({"a", "b"}, True)


def template(folder: Path, name: str, command: list[str]) -> Path:
    data = {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": "2024-02-01",
        "name": name,
        "location": "local",
        "properties": {
            "source": {
                "type": "PlatformImage", "publisher": "Debian", "offer": "debian-12", "sku": "12",
                "version": "latest",
            },
            "vmProfile": {"vmSize": "Standard_A1_v2"},
            "customize": [
                {
                    "type": "Shell",
                    "name": "step",
                    "inline": ["echo {{ v }}"],
                    "x-goldsmith": {"secrets": {"T": {"command": command}}},
                }
            ],
            "distribute": [{"type": "VHD", "runOutputName": f"{folder.name}-{name}"}],
        },
    }  # fmt: skip
    file = folder / f"{name}.json"
    file.write_text(json.dumps(data))
    return file


@pytest.fixture
def own(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "home", tmp_path)


def test_each_build_has_its_record_and_the_worst_code_counts(own: Cli, tmp_path: Path) -> None:
    files = [template(tmp_path, name, ["false"]) for name in ("web", "db")]
    events = tmp_path / "events.jsonl"
    result = own(*files, "--jobs", "2", "--var", f"v={CANARY}", "--events", events, timeout=LIMIT)
    assert result.code == 2, result.text
    for name in ("web", "db"):
        assert f"[{name}] " in result.out
    records = [json.loads((run / "run.json").read_text()) for run in (own.home / "runs").iterdir()]
    assert sorted(record["template"]["name"] for record in records) == ["db", "web"]
    assert all(record["runState"] == "Failed" for record in records)
    said = [json.loads(line) for line in events.read_text().splitlines()]
    assert {event["runId"] for event in said} == {record["runId"] for record in records}
    assert all((own.home / "runs" / record["runId"] / "report.html").exists() for record in records)
    assert_nothing_left(own.home)


def test_two_templates_with_one_workspace_do_not_meet(own: Cli, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    files = [template(folder, "web", ["sleep", "2"]) for folder in (tmp_path, tmp_path / "other")]
    result = own(*files, "--jobs", "2", "--var", f"v={CANARY}", timeout=LIMIT, env={"TERM": "dumb"})
    assert "builds the same template" in result.out
    assert "[web (2)] " in result.out


def waiting_builds(home: Path) -> list[int]:
    """The processes of this home's builds that have come to their secret's command."""
    found = []
    for file in (home / "runs").glob("*/run.json") if (home / "runs").is_dir() else ():
        pid = json.loads(file.read_text())["owner"]["pid"]
        children = Path(f"/proc/{pid}/task/{pid}/children")
        if children.exists() and children.read_text().split():
            found.append(pid)
    return found


def wait_for_two(own: Cli) -> list[int]:
    end = time.monotonic() + LIMIT
    while len(pids := waiting_builds(own.home)) < 2:
        assert time.monotonic() < end
        time.sleep(0.05)
    return pids


def start(own: Cli, tmp_path: Path) -> subprocess.Popen[str]:
    files = [template(tmp_path, name, ["sleep", "50"]) for name in ("web", "db")]
    return own.start(*files, "--jobs", "2", "--var", f"v={CANARY}")


def test_ctrl_c_ends_all_and_no_value_is_on_a_command_line(own: Cli, tmp_path: Path) -> None:
    with start(own, tmp_path) as parent:
        pids = wait_for_two(own)
        shown = {word for pid in pids for word in command_line(pid)}
        assert not any(CANARY in word for word in shown)
        assert any("builder.together.worker" in word for word in shown)
        for _ in range(2):
            parent.send_signal(signal.SIGINT)
            time.sleep(0.2)
        out, _ = parent.communicate(timeout=LIMIT)
    assert parent.returncode == ExitCode.CANCELLED, out
    assert not any(Owner.of(pid) for pid in pids)
    records = [json.loads(file.read_text()) for file in (own.home / "runs").glob("*/run.json")]
    assert [record["runState"] for record in records] == ["Canceled", "Canceled"]
    assert_nothing_left(own.home)


def test_the_builds_die_with_a_command_that_is_killed(own: Cli, tmp_path: Path) -> None:
    with start(own, tmp_path) as parent:
        pids = wait_for_two(own)
        parent.kill()
        parent.wait(timeout=LIMIT)
    end = time.monotonic() + LIMIT
    while any(Owner.of(pid) for pid in pids):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert own("gc", timeout=LIMIT).code == 0
    assert_nothing_left(own.home)


def test_one_build_is_cancelled_and_the_other_goes_on(own: Cli, tmp_path: Path) -> None:
    files = [template(tmp_path, "web", ["sleep", "50"]), template(tmp_path, "db", ["sleep", "4"])]
    with own.start(*files, "--jobs", "2", "--var", f"v={CANARY}") as parent:
        wait_for_two(own)
        runs = {
            json.loads(file.read_text())["template"]["name"]: file.parent.name
            for file in (own.home / "runs").glob("*/run.json")
        }
        assert own("runs", "cancel", runs["web"], timeout=LIMIT).code == 0
        out, _ = parent.communicate(timeout=LIMIT)
    assert parent.returncode == ExitCode.CANCELLED, out
    states = {
        name: json.loads((own.home / "runs" / run / "run.json").read_text())["runState"]
        for name, run in runs.items()
    }
    assert states == {"web": "Canceled", "db": "Failed"}, "a command without output is no secret"
