"""The stages with a pretended machine: what a failure says, keeps, retries and turns into."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from builder.cancellation import Interrupted
from builder.deadline import Deadline
from builder.distributors.base import Artifact
from builder.engine import _finish
from builder.errors import (
    BuildError,
    BuildTimeoutError,
    CancelledError,
    EnvironmentProblem,
    PartialDistributionError,
)
from builder.events import Event, EventBus
from builder.layers.cache import Cache
from builder.layers.route import LinkSpec, Route, make_links
from builder.redact import Redactor
from builder.settings import Home, Settings
from builder.sources.base import ResolvedSource
from builder.stages import customize, distribute, failure, generalize, validate
from builder.stages.context import BuildContext, PreparedStep
from builder.stages.customize import Work
from builder.stages.workpiece import Fixed
from builder.vm.access import BuildAccess, KeyPair
from builder.vm.errors import MachineError
from provisioners.base import StepContext, StepError
from provisioners.deprovision import DeprovisionReport
from provisioners.guest import GuestTimeoutError
from templates.errors import ExitCode, GoldsmithError
from templates.model import ImageTemplate, ShellStep

TEMPLATE: dict[str, Any] = {
    "type": "Microsoft.VirtualMachineImages/imageTemplates",
    "apiVersion": "2025-10-01",
    "name": "t",
    "properties": {
        "source": {"type": "PlatformImage", "publisher": "a", "offer": "b", "sku": "c"},
        "customize": [{"type": "Shell", "name": "one", "inline": ["x"]}],
        "distribute": [
            {"type": "VHD", "runOutputName": "first"},
            {"type": "VHD", "runOutputName": "second"},
        ],
    },
}


@dataclass
class Scripted:
    """A provisioner that does what the test says, once per call."""

    deeds: list[Callable[[StepContext], None]]
    epoch: int = 1

    def inputs(self) -> Mapping[str, str]:
        return {}

    def apply(self, guest: object, context: StepContext) -> None:
        self.deeds.pop(0)(context)


def fails(error: BaseException) -> Callable[[StepContext], None]:
    def deed(context: StepContext) -> None:
        raise error

    return deed


def works(context: StepContext) -> None:
    context.on_output("stdout", "done")


@dataclass
class FakeMachine:
    alive: bool = True
    guest: object = None
    spec: Any = field(default_factory=lambda: SimpleNamespace(directory=Path("/nonexistent")))
    trouble: MachineError | None = None

    def check(self) -> None:
        if self.trouble:
            raise self.trouble


@dataclass
class Stage:
    context: BuildContext
    session: Any
    events: list[Event]
    bundles: list[str]

    def run(self, *deeds: Callable[[StepContext], None], retry: int = 0, work: Work | None = None) -> None:
        model = {"type": "Shell", "name": "one", "inline": ["x"], "x-goldsmith": {"retry": retry}}
        prepared = PreparedStep(ShellStep.model_validate(model), Scripted(list(deeds)))
        customize.run_steps(self.context, work or Fixed(self.session), "Customize", (prepared,))


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return make_stage(tmp_path, monkeypatch)


def make_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, minutes: float = 1, **more: Any) -> Stage:
    bus = EventBus(Redactor())
    events: list[Event] = []
    bus.add_sink(lambda envelope: events.append(envelope.event))
    services: Any = SimpleNamespace(bus=bus, deadline=Deadline(minutes * 60), redactor=Redactor())
    template = ImageTemplate.model_validate(TEMPLATE)
    run: Any = SimpleNamespace(path=tmp_path, run_id="run", kept=tmp_path / "kept")
    context = BuildContext(
        template=template,
        services=services,
        workspace=SimpleNamespace(),  # type: ignore[arg-type]
        run=run,
        source=ResolvedSource("id", "source", "Linux", "V1", "1.0.0"),
        customizers=more.pop("customizers", (None,)),
        validators=more.pop("validators", ()),
        distributors=more.pop("distributors", ()),
        on_error=more.pop("on_error", None),
        route=Route(),
        cache=Cache.of(Home(tmp_path / "home"), Settings()),
    )
    bundles: list[str] = []

    def write_bundle(directory: Path, *, step: str, **_: object) -> Path:
        bundles.append(step)
        return directory

    monkeypatch.setattr("builder.vm.failure.write_bundle", write_bundle)
    return Stage(context, SimpleNamespace(machine=FakeMachine(), guest=object()), events, bundles)


def test_a_failed_step_says_which_with_its_last_lines_and_bundle(stage: Stage, tmp_path: Path) -> None:
    with pytest.raises(failure.StepFailedError) as caught:
        stage.run(fails(StepError("exit code 3", exit_code_of_step=3, tail=("a", "b"), hint="look")))
    error = caught.value
    assert error.message == "Customizer 1 of 1 'one' failed: exit code 3"
    assert (error.exit_code_of_step, error.tail, error.hint) == (3, ("a", "b"), "look")
    assert error.bundle == str(tmp_path / "failure")
    assert error.exit_code == ExitCode.BUILD_FAILED
    assert [e.kind for e in stage.events] == ["step.started", "phase.finished", "step.finished"]


def test_a_machine_that_died_explains_the_lost_link(stage: Stage) -> None:
    stage.session.machine.trouble = MachineError("The guest's kernel panicked.")
    with pytest.raises(failure.StepFailedError, match=r"'one' failed: The guest's kernel panicked\."):
        stage.run(fails(StepError("link lost")))
    assert len(stage.bundles) == 1


def test_a_step_that_takes_too_long_is_a_timeout(stage: Stage) -> None:
    with pytest.raises(failure.StepTimeoutError) as caught:
        stage.run(fails(GuestTimeoutError("60 s")))
    assert caught.value.exit_code == ExitCode.TIMED_OUT


def test_the_builds_own_limit_names_the_running_step_and_leaves_a_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = make_stage(tmp_path, monkeypatch, minutes=0.0005)

    def slow(context: StepContext) -> None:
        import time

        time.sleep(0.05)
        raise GuestTimeoutError("out of time")

    with pytest.raises(BuildTimeoutError) as caught:
        stage.run(slow)
    assert caught.value.details[0] == "Customizer 1 of 1 'one' was running."
    assert caught.value.bundle
    assert caught.value.exit_code == ExitCode.TIMED_OUT


def test_cancelling_writes_no_bundle(stage: Stage) -> None:
    import signal

    with pytest.raises(Interrupted):
        stage.run(fails(Interrupted(signal.SIGINT)))
    assert stage.bundles == []
    assert stage.events[-1].outcome == "cancelled"  # type: ignore[attr-defined]


def outcomes(stage: Stage) -> list[str]:
    return [e.outcome for e in stage.events if e.kind == "step.finished"]  # type: ignore[attr-defined]


@dataclass
class Rewinding(Fixed):
    """Counts how often it went back."""

    went_back: int = 0
    done: list[int] = field(default_factory=list)

    def step_done(self, step: int, prepared: PreparedStep) -> None:
        self.done.append(step)

    def go_back(self) -> bool:
        self.went_back += 1
        return True


def test_a_step_is_retried_as_often_as_it_says_each_time_from_the_layer_before(stage: Stage) -> None:
    work = Rewinding(stage.session)
    stage.run(fails(StepError("one")), fails(StepError("two")), works, retry=2, work=work)
    assert outcomes(stage) == ["failed", "failed", "succeeded"]
    assert (work.went_back, work.done) == (2, [1])


def test_after_the_last_retry_the_step_has_failed(stage: Stage) -> None:
    work = Rewinding(stage.session)
    with pytest.raises(failure.StepFailedError, match="'one' failed: two"):
        stage.run(fails(StepError("one")), fails(StepError("two")), retry=1, work=work)
    assert (work.went_back, work.done) == (1, [])


def test_without_a_layer_a_retry_says_that_the_guest_is_as_it_is(stage: Stage) -> None:
    stage.run(fails(StepError("one")), works, retry=1)
    assert outcomes(stage) == ["failed", "succeeded"]
    assert "NoLayer" in [getattr(event, "code", "") for event in stage.events]


def test_a_step_that_is_in_the_layers_already_is_told_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = make_stage(tmp_path, monkeypatch)
    links = make_links("source", {}, 0, [LinkSpec("Shell", "one", 1, {})])
    route = Route(links, used=2, reasons=("layer of yesterday", "memory snapshot of yesterday"))
    stage = replace(stage, context=replace(stage.context, route=route))
    stage.run(work=Fixed(stage.session, steps_done=1))
    assert outcomes(stage) == ["cached"]
    assert stage.events[-1].detail == "memory snapshot of yesterday"  # type: ignore[attr-defined]


def test_retry_runs_the_step_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["retry"])
    monkeypatch.setattr(customize, "handle_failure", lambda *_: next(answers))
    stage.run(fails(StepError("first time")), works)
    assert outcomes(stage) == ["failed", "succeeded"]


@pytest.mark.parametrize("choice", ["keep", "cleanup"])
def test_on_error_decides_what_becomes_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choice: str
) -> None:
    stage = make_stage(tmp_path, monkeypatch, on_error=choice)
    kept: list[object] = []
    monkeypatch.setattr("builder.stages.keep.keep", lambda context, session: kept.append(session) or tmp_path)
    with pytest.raises(failure.StepFailedError):
        stage.run(fails(StepError("no")))
    assert bool(kept) == (choice == "keep")


def test_a_full_disk_costs_the_bundle_not_the_error(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("builder.vm.failure.write_bundle", full)
    with pytest.raises(failure.StepFailedError, match="'one' failed: no"):
        stage.run(fails(StepError("no")))
    assert any(getattr(e, "code", "") == "NoBundle" for e in stage.events)


def test_a_validation_vm_that_does_not_boot_is_a_failed_validation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = make_stage(tmp_path, monkeypatch, validators=(object(),))

    def dead(*_: object, **__: object) -> object:
        raise MachineError("The guest found no system to boot.")

    monkeypatch.setattr(validate, "overlay", lambda *_: None)
    monkeypatch.setattr(validate, "boot", dead)
    error = validate.run(stage.context, None, 0)  # type: ignore[arg-type]
    assert isinstance(error, MachineError)


def test_a_source_is_entered_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = make_stage(tmp_path, monkeypatch, validators=(object(),))
    entered = []

    def look(_context: object, start: Any, **_more: object) -> Any:
        entered.append(start.access)
        raise MachineError("that is enough")

    monkeypatch.setattr(validate, "overlay", lambda *_: None)
    monkeypatch.setattr(validate, "boot", look)
    access = BuildAccess("packer", KeyPair("a", "b"), KeyPair("c", "d"))
    validate.run(stage.context, None, 0, access)  # type: ignore[arg-type]
    assert entered == [access]


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (DeprovisionReport(0, 0, ()), ""),
        (DeprovisionReport(7, 0, ()), "exit code 7"),
        (DeprovisionReport(None, None, ()), "before the deprovision script reported"),
        (DeprovisionReport(0, None, ()), "before its final scrub reported"),
        (DeprovisionReport(0, 124, ()), "scrub of the guest failed with exit code 124"),
    ],
)
def test_what_the_guest_did_not_say_counts(report: DeprovisionReport, words: str) -> None:
    said = generalize._what_failed(report)
    assert (said == "") if not words else (words in said)


@dataclass
class Target:
    error: GoldsmithError | None = None

    def distribute(self, image: object) -> Artifact:
        if self.error:
            raise self.error
        return Artifact("x", "VHD", Path("/x"))


@pytest.mark.parametrize(
    ("first", "second", "kind", "words"),
    [
        (None, "full", PartialDistributionError, "1 images out of total 2: {[Error 0] [Distribute 1] full}"),
        ("a", "b", BuildError, "2 images out of total 2: {[Error 0] [Distribute 0] a [Error 1]"),
    ],
)
def test_every_target_is_tried_and_failures_are_counted(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    first: str | None,
    second: str,
    kind: type[GoldsmithError],
    words: str,
) -> None:
    stage = make_stage(
        tmp_path, monkeypatch, distributors=(Target(first and BuildError(first)), Target(BuildError(second)))
    )
    with pytest.raises(kind) as caught:
        distribute.run(stage.context, None)  # type: ignore[arg-type]
    assert f"Failed in distributing {words}" in caught.value.message
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (None, "Succeeded", 0),
        (BuildError("x"), "Failed", 1),
        (EnvironmentProblem("x"), "Failed", 3),
        (Deadline(60).error(), "Failed", 4),
        (PartialDistributionError("x"), "PartiallySucceeded", 5),
        (CancelledError("x"), "Canceled", 130),
    ],
)
def test_run_states_are_aibs(stage: Stage, error: GoldsmithError | None, state: str, code: int) -> None:
    run: Any = SimpleNamespace(run_id="r")
    result = _finish(stage.context.services, run, 0.0, error)
    assert (result.state, int(result.exit_code)) == (state, code)
    assert stage.events[-1].state == state  # type: ignore[attr-defined]
