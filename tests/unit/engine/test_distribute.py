"""Several targets at once: the same results, failures and messages as one after the other; a clean stop."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from builder.cancellation import Interrupted, cancel_on_signals, checkpoint, deferred, shielded, stoppable
from builder.deadline import Deadline
from builder.distributors.base import Artifact
from builder.errors import BuildError, BuildTimeoutError, CancelledError, PartialDistributionError
from builder.services import Services
from builder.settings import Settings
from builder.stages import distribute
from builder.stages.context import BuildContext
from engine.conftest import Seen, make_template

LIMIT = 60
GALLERY = "/subscriptions/0/resourceGroups/g/providers/Microsoft.Compute/galleries/{}/images/web{}"


@dataclass
class Target:
    """Makes `name` after `deed`, which sees the other targets."""

    name: str
    deed: Callable[[Target], None] = lambda _target: None
    begun: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    in_main_thread: bool = False
    stopped: bool = False

    def distribute(self, image: object) -> Artifact:
        self.in_main_thread = threading.current_thread() is threading.main_thread()
        self.begun.set()
        try:
            self.deed(self)
        except Interrupted:
            self.stopped = True
            raise
        finally:
            self.ended.set()
        return Artifact(self.name, "VHD", Path("/", self.name))


def until_stopped(_target: Target) -> None:
    """A long copy."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        checkpoint()
        time.sleep(0.005)


def fails(message: str) -> Callable[[Target], None]:
    def deed(_target: Target) -> None:
        raise BuildError(message, details=(f"about {message}",))

    return deed


def after(other: Target) -> Callable[[Target], None]:
    def deed(_target: Target) -> None:
        assert other.ended.wait(LIMIT)

    return deed


def context(services: Services, *targets: Target, models: list[dict[str, Any]] | None = None) -> BuildContext:
    made: Any = BuildContext(
        template=make_template(
            distribute=models or [{"type": "VHD", "runOutputName": target.name} for target in targets]
        ),
        services=services,
        workspace=None,  # type: ignore[arg-type]
        run=None,  # type: ignore[arg-type]
        source=None,  # type: ignore[arg-type]
        customizers=(),
        validators=(),
        distributors=targets,
        route=None,  # type: ignore[arg-type]
        cache=None,  # type: ignore[arg-type]
    )
    return made


def run(context: BuildContext) -> list[Artifact]:
    return distribute.run(context, None)  # type: ignore[arg-type]


def press_ctrl_c_when(*begun: Target, ended: Sequence[Target] = ()) -> None:
    def wait_and_press() -> None:
        assert all(target.begun.wait(LIMIT) for target in begun)
        assert all(target.ended.wait(LIMIT) for target in ended)
        time.sleep(0.05)  # so that it usually comes while the targets are waited for
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=wait_and_press, daemon=True).start()


def test_targets_are_served_at_the_same_time_and_told_in_order(services: Services, seen: Seen) -> None:
    """The first waits for the last: one after the other this could not end."""
    last = Target("c")
    first = Target("a", after(last))
    made = run(context(services, first, Target("b"), last))
    assert [artifact.run_output for artifact in made] == ["a", "b", "c"]
    assert [event.run_output for event in seen.of("artifact")] == ["a", "b", "c"]
    assert [event.index for event in seen.of("step.started")] == [1, 2, 3]
    assert sorted(event.index for event in seen.of("step.finished")) == [1, 2, 3]
    phases = {(event.name, event.stage, event.index, event.where) for event in seen.of("phase.finished")}
    assert phases == {(name, "Distribute", n, "engine") for n, name in enumerate("abc", start=1)}


def test_failures_are_told_in_the_templates_order(services: Services, seen: Seen) -> None:
    third = Target("c", fails("three"))

    def late(target: Target) -> None:
        after(third)(target)
        fails("one")(target)

    with pytest.raises(PartialDistributionError) as caught:
        run(context(services, Target("a", late), Target("b"), third))
    assert caught.value.message == (
        "Failed in distributing 2 images out of total 3: "
        "{[Error 0] [Distribute 0] one [Error 1] [Distribute 2] three}"
    )
    assert caught.value.details == ("about one", "about three")
    assert [event.run_output for event in seen.of("artifact")] == ["b"]


def test_a_single_target_needs_no_thread(services: Services) -> None:
    target = Target("a")
    run(context(services, target))
    assert target.in_main_thread


def test_versions_of_one_definition_are_made_in_order(services: Services) -> None:
    """Which of two automatic versions is the higher one does not depend on luck."""
    order: list[str] = []
    first = Target("a", lambda target: (time.sleep(0.05), order.append(target.name)))  # type: ignore[arg-type]
    second, other = (Target(name, lambda target: order.append(target.name)) for name in ("b", "c"))
    models = [
        {"type": "SharedImage", "runOutputName": name, "galleryImageId": GALLERY.format(gallery, version)}
        for name, gallery, version in (("a", "One", ""), ("b", "one", "/versions/1.0.0"), ("c", "two", ""))
    ]
    run(context(services, first, second, other, models=models))
    assert order.index("a") < order.index("b")


def test_ctrl_c_stops_every_target_and_tells_what_is_there(services: Services, seen: Seen) -> None:
    done = Target("b")
    long = Target("a", until_stopped)
    other = Target("c", until_stopped)
    with cancel_on_signals(), pytest.raises(Interrupted):
        press_ctrl_c_when(long, other, ended=[done])
        run(context(services, long, done, other))
    assert (long.stopped, other.stopped) == (True, True)
    assert [event.run_output for event in seen.of("artifact")] == ["b"]
    assert {event.index: event.outcome for event in seen.of("step.finished")} == {
        1: "cancelled",
        2: "succeeded",
        3: "cancelled",
    }
    assert seen.of("stage.finished")[0].outcome == "cancelled"


def test_what_is_half_made_is_taken_back_before_the_build_ends(services: Services) -> None:
    """Also by the one that was being waited for when the signal came."""
    taken_back: list[str] = []

    def copy(target: Target) -> None:
        try:
            until_stopped(target)
        finally:
            time.sleep(0.3 if target.name == "a" else 0.0)
            taken_back.append(target.name)

    first, second = Target("a", copy), Target("b", copy)
    with cancel_on_signals(), pytest.raises(Interrupted):
        press_ctrl_c_when(first, second)
        run(context(services, first, second))
    assert sorted(taken_back) == ["a", "b"]


def test_one_that_does_not_stop_is_left_to_itself_in_time(services: Services, seen: Seen) -> None:
    free = threading.Event()
    stuck = Target("a", lambda _target: free.wait(LIMIT) and None)  # type: ignore[arg-type,func-returns-value]
    patient = replace(services, settings=Settings(cleanup_timeout=0.1))
    with cancel_on_signals(), pytest.raises(Interrupted):
        press_ctrl_c_when(stuck)
        run(context(patient, stuck, Target("b")))
    assert not stuck.ended.is_set(), "it is waited for no longer than this"
    free.set()
    assert stuck.ended.wait(LIMIT)
    assert "TargetLeft" in [event.code for event in seen.of("note")]


def test_the_deadline_ends_a_copy(services: Services) -> None:
    long = Target("a", until_stopped)
    with pytest.raises(BuildTimeoutError):
        run(context(replace(services, deadline=Deadline(0.2)), long, Target("b")))
    assert long.stopped


@pytest.mark.parametrize("error", [CancelledError("asked to"), RuntimeError("our mistake")])
def test_what_is_no_failure_of_a_target_stops_the_others(services: Services, error: Exception) -> None:
    def deed(_target: Target) -> None:
        raise error

    long = Target("a", until_stopped)
    with pytest.raises(type(error), match=str(error)):
        run(context(services, long, Target("b", deed)))
    assert long.stopped


def in_thread(deed: Callable[[], None]) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            deed()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(LIMIT)
    if failures:
        raise failures[0]


def test_a_section_that_is_done_whole_is_so_in_a_thread_too() -> None:
    done: list[str] = []
    stop = threading.Event()

    def work() -> None:
        with stoppable(stop):
            checkpoint()
            with shielded():
                stop.set()
                checkpoint()
                done.append("cleaned")
            with deferred():
                checkpoint()
                done.append("whole")
            done.append("too far")

    with pytest.raises(Interrupted):
        in_thread(work)
    assert done == ["cleaned", "whole"]


def test_taking_back_is_not_interrupted_again() -> None:
    done: list[str] = []
    stop = threading.Event()
    stop.set()

    def work() -> None:
        with stoppable(stop):
            try:
                checkpoint()
            finally:
                with deferred():
                    done.append("taken back")
                checkpoint()
                done.append("and no surprise")

    with pytest.raises(Interrupted):
        in_thread(work)
    assert done == ["taken back", "and no surprise"]


def test_no_checkpoint_without_being_asked() -> None:
    checkpoint()
    in_thread(checkpoint)
    assert threading.current_thread() is threading.main_thread()
