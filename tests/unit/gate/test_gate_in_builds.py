"""When the gate runs in a build, what it tells, and what a template may say of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from engine.conftest import Seen, make_template

import templates
from builder.deadline import Deadline
from builder.distributors.base import FinishedImage, leaves
from builder.events import EventBus
from builder.gate import gate as module
from builder.gate.gate import GateError, Report, judge
from builder.redact import Redactor
from builder.services import Services
from builder.settings import Home, Settings
from builder.stages import gate
from builder.stages.context import BuildContext
from gate.image import guest, subject
from templates import DeploymentScope
from templates.diagnostics import TemplateError


@dataclass
class Target:
    leaves: bool = False


class Old:
    """One of a third party's that says nothing."""


def test_a_target_leaves_when_it_says_so() -> None:
    answers = [leaves(one) for one in (Target(), Target(leaves=True), Old())]  # type: ignore[arg-type]
    assert answers == [False, True, False]


@pytest.mark.parametrize(
    ("mode", "setting", "leaving", "runs", "why"),
    [
        (None, "remote", False, False, ""),
        (None, "remote", True, True, "out leaves this machine"),
        (None, "always", False, True, "asked for in every build"),
        (None, "off", True, False, "switched off, though out leaves"),
        ("off", "always", False, False, ""),
        ("always", "off", False, True, "asked for in every build"),
        ("remote", "off", True, True, "out leaves this machine"),
    ],
)
def test_when_it_runs(mode: str | None, setting: Any, leaving: bool, runs: bool, why: str) -> None:
    template = make_template(**{"x-goldsmith": {"gate": mode}})
    targets: Any = [Target(leaving)]
    assert gate.decide(template, Settings(gate=setting), targets) == (runs, why)
    step = gate.planned(template, Settings(gate=setting), targets)
    assert (step is not None) == bool(why)
    assert step is None or (step.action == "RUN") == runs


@pytest.fixture
def context(tmp_path: Path, seen: Seen) -> BuildContext:
    redactor = Redactor()
    bus = EventBus(redactor)
    bus.add_sink(seen.append)
    home = Home(tmp_path)
    services = Services(home, Settings(), bus, redactor, Deadline(60), tmp_path, tmp_path)
    nothing: Any = None
    template = make_template(**{"x-goldsmith": {"waive": ["ssh-server"]}})
    targets: Any = (Target(leaves=True),)
    return BuildContext(
        template, services, nothing, nothing, nothing, (), (), targets, route=nothing, cache=nothing
    )


@pytest.fixture
def seen() -> Seen:
    return Seen()


def image(tmp_path: Path) -> FinishedImage:
    return FinishedImage(tmp_path / "os.vhd", 1, "Linux", "V2", lambda: "d", "s", "t", "r")


def looks_like(monkeypatch: pytest.MonkeyPatch, **changes: str | None) -> list[dict[str, Any]]:
    asked: list[dict[str, Any]] = []
    files = {path.replace("__", "/"): text for path, text in changes.items()}

    def check(vhd: Path, **given: Any) -> Report:
        asked.append(given)
        found = subject(guest_or_why=guest(files))
        return Report(vhd, "Linux", "V2", judge(found, frozenset(given["waived"])))

    monkeypatch.setattr(module, "check", check)
    return asked


def test_an_image_that_passes(
    context: BuildContext, seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = looks_like(monkeypatch, **{"/usr/sbin/sshd": None, "/etc/waagent.conf": "ResourceDisk.Format=y"})
    gate.run(context, image(tmp_path))
    assert asked == [{"os_type": "Linux", "generation": "V2", "waived": ["ssh-server"], "data_disks": {}}]
    (done,) = seen.of("step.finished")
    assert (done.outcome, done.detail) == ("succeeded", "18 rules: 16 ok, 1 with a warning, 1 waived")
    told = [note.message for note in seen.of("note")]
    assert told[0] == "ssh-server: waived: There is no SSH server."
    assert told[1].startswith("resource-disk: waagent and cloud-init both")


def test_an_image_that_may_not_leave(
    context: BuildContext, seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks_like(monkeypatch, **{"/etc/fstab": "/swapfile none swap sw 0 0"})
    with pytest.raises(GateError, match="no-os-swap"):
        gate.run(context, image(tmp_path))
    assert seen.of("step.finished")[0].outcome == "failed"
    assert seen.of("stage.finished")[0].outcome == "failed"


def test_nothing_is_looked_at_when_nothing_leaves(
    context: BuildContext, seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = looks_like(monkeypatch)
    targets: Any = (Target(),)
    gate.run(replace(context, distributors=targets), image(tmp_path))
    off = make_template(**{"x-goldsmith": {"gate": "off"}})
    gate.run(replace(context, template=off), image(tmp_path))
    assert asked == []
    assert [note.message for note in seen.of("note")] == ["The VHD gate is switched off, though out leaves."]


def problems(tmp_path: Path, extensions: dict[str, Any]) -> list[tuple[str, str, str]]:
    body = {
        "source": {"type": "PlatformImage", "publisher": "P", "offer": "o", "sku": "1", "version": "latest"},
        "distribute": [{"type": "VHD", "runOutputName": "out"}],
        "x-goldsmith": extensions,
    }
    template = {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": "2025-10-01", "name": "golden", "location": "westus", "identity": {"type": "None"},
        "properties": body,
    }  # fmt: skip
    path = tmp_path / "golden.json"
    path.write_text(json.dumps(template, indent=1))
    try:
        templates.read(path, defaults=DeploymentScope("0" * 8, "goldsmith", "local"))
    except TemplateError as error:
        return [
            (d.location.pointer, d.message, d.hint or "") for d in error.diagnostics if d.severity == "error"
        ]
    return []


def test_a_template_names_rules_that_there_are(tmp_path: Path) -> None:
    assert problems(tmp_path, {"gate": "always", "waive": ["no-os-swap", "generalized"]}) == []
    (wrong,) = problems(tmp_path, {"waive": ["no-os-swap", "serial-consol"]})
    assert wrong[0] == "/properties/x-goldsmith/waive/1"
    assert wrong[2] == "did you mean 'serial-console'?"
    (other,) = problems(tmp_path, {"gate": "allways"})
    assert (other[0], other[2]) == ("/properties/x-goldsmith/gate", "did you mean 'always'?")
    assert len(problems(tmp_path, {"waive": "no-os-swap"})) == 1
