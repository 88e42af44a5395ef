"""Two real builds at once, and a bench of a real one: what they make, and that nothing of them is left."""

from __future__ import annotations

import json
import signal
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from harness import Cli, assert_nothing_left, qemu_processes
from test_failing_build import template, write

from builder.bench.results import AFTER_THE_END
from builder.disk.vhd import check_fixed_vhd

pytestmark = [pytest.mark.timeout(3000), pytest.mark.usefixtures("quickstart", "no_leftovers")]

SMALL = {"vmProfile": {"vmSize": "Standard_A1_v2"}}  # one vCPU: two fit on two cores
LIMIT = 1200


def small(folder: Path, name: str, *lines: str) -> Path:
    steps: list[dict[str, object]] = [{"type": "Shell", "name": "Step", "inline": list(lines)}]
    return write(folder / f"{name}.json", template(name, steps, **SMALL))


def runs_of(events: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        found.setdefault(event["runId"], []).append(event)
    return found


def moment(events: list[dict[str, Any]], kind: str, stage: str) -> datetime:
    return next(
        datetime.fromisoformat(e["time"]) for e in events if e["kind"] == kind and e["stage"] == stage
    )


def test_two_builds_at_once(cli: Cli, tmp_path: Path) -> None:
    files = [small(tmp_path, name, f"echo {name} | sudo tee /etc/motd") for name in ("left", "right")]
    events = tmp_path / "events.jsonl"
    result = cli(*files, "--jobs", "2", "--output-dir", tmp_path, "--events", events, timeout=LIMIT)
    assert result.code == 0, result.text
    runs = runs_of([json.loads(line) for line in events.read_text().splitlines()])
    assert len(runs) == 2
    one, other = runs.values()
    for mine, others in ((one, other), (other, one)):
        begun, ended = moment(mine, "stage.started", "Boot"), moment(others, "stage.finished", "Boot")
        assert begun < ended, "their VMs booted at the same time"
    for name in ("left", "right"):
        check_fixed_vhd(tmp_path / f"{name}-vhd.vhd")
        assert f"[{name}] " in result.out
    for run in runs:
        record = json.loads((cli.home / "runs" / run / "run.json").read_text())
        guest = {phase["name"] for phase in record["phases"] if phase["where"] == "guest"}
        assert {"Step", "Deprovision and stop"} <= guest
        engine = {phase["name"] for phase in record["phases"] if phase["where"] == "engine"}
        assert {"Start-up", "Resolve", "Flatten", "Prove", "Remove workspace"} <= engine
        whole = record["guestSeconds"] + record["engineSeconds"]
        assert whole == pytest.approx(sum(phase["seconds"] for phase in record["phases"]), abs=1.0)


def test_ctrl_c_ends_both_machines(cli: Cli, tmp_path: Path) -> None:
    files = [small(tmp_path, name, "sleep 600") for name in ("stopped", "ended")]
    with cli.start(*files, "--jobs", "2", "--output-dir", tmp_path) as parent:
        end = time.monotonic() + LIMIT
        while len(qemu_processes(cli.home)) < 2:
            assert time.monotonic() < end
            assert parent.poll() is None
            time.sleep(0.2)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            parent.send_signal(number)
            time.sleep(0.3)
        out, _ = parent.communicate(timeout=120)
    assert parent.returncode == 130, out
    assert_nothing_left(cli.home)


@pytest.mark.long
def test_a_bench_measures_and_leaves_nothing(cli: Cli, tmp_path: Path) -> None:
    file = small(tmp_path, "bench", "true")
    runs = sorted(item.name for item in (cli.home / "runs").iterdir())
    result = cli("bench", file, "-n", "1", "--case", "edited,unchanged", "--json", timeout=LIMIT)
    assert result.code == 0, result.text
    cases = {case["case"]: case for case in json.loads(result.out)["cases"]}
    assert list(cases) == ["edited", "unchanged"]
    phases = {name: {phase["label"] for phase in case["phases"]} for name, case in cases.items()}
    assert {"Customize 1: Step", AFTER_THE_END} <= phases["edited"]
    assert cases["unchanged"]["guestMedian"] == 0, "no VM is started for what was made already"
    assert cases["unchanged"]["median"] < cases["edited"]["median"]
    assert sorted(item.name for item in (cli.home / "runs").iterdir()) == runs
    assert not (cli.home / "cache" / "bench").exists()
