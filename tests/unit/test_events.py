from __future__ import annotations

import json
import threading

from builder.events import (
    ArtifactProduced,
    Envelope,
    EventBus,
    Note,
    RunFinished,
    StepOutput,
    Wait,
    WaitProgress,
)
from builder.redact import MASK, Redactor

CANARY = "hunter2-canary"


def bus_with(count: int = 1) -> tuple[EventBus, list[list[Envelope]]]:
    redactor = Redactor()
    redactor.add(CANARY)
    bus = EventBus(redactor)
    seen: list[list[Envelope]] = [[] for _ in range(count)]
    for one in seen:
        bus.add_sink(one.append)
    return bus, seen


def test_every_sink_sees_only_what_was_scrubbed() -> None:
    bus, seen = bus_with(3)
    bus.emit(StepOutput(stage="Customize", index=1, stream="stdout", line=f"token {CANARY}"))
    for one in seen:
        assert [item.event.line for item in one] == [f"token {MASK}"]  # type: ignore[attr-defined]


def test_nested_facts_are_scrubbed() -> None:
    bus, (seen,) = bus_with()
    error = {
        "message": f"failed: {CANARY}",
        "details": [CANARY, {"deep": (CANARY, 3)}],
        f"key {CANARY}": None,
        "exitCode": 1,
    }
    bus.emit(RunFinished(run_id="r", state="Failed", seconds=1, exit_code=1, error=error))
    text = json.dumps(seen[0].to_json())
    assert CANARY not in text
    assert text.count(MASK) == 4
    assert error["message"] == f"failed: {CANARY}", "the caller's own data stays as it was"


def test_notes_waits_and_artifacts() -> None:
    bus, (seen,) = bus_with()
    bus.note(CANARY)
    bus.warn(CANARY, code=CANARY)
    with Wait(bus, f"Downloading {CANARY}") as wait:
        wait.progress(1, 2, "bytes")
    bus.emit(ArtifactProduced(run_output="o", type="VHD", path=f"/{CANARY}.vhd"))
    assert CANARY not in json.dumps([item.to_json() for item in seen])
    assert len(seen) == 6


def test_a_secret_registered_later_is_hidden_from_then_on() -> None:
    redactor = Redactor()
    bus = EventBus(redactor)
    seen: list[Envelope] = []
    bus.add_sink(seen.append)
    bus.note("before")
    redactor.add("later-secret")
    bus.note("a later-secret")
    assert [item.event.message for item in seen] == ["before", f"a {MASK}"]  # type: ignore[attr-defined]


def test_an_event_without_secrets_is_handed_on_as_it_is() -> None:
    bus, (seen,) = bus_with()
    event = Note(level="info", message="nothing here")
    bus.emit(event)
    assert seen[0].event is event


def test_json_lines_have_kind_time_and_facts() -> None:
    bus, (seen,) = bus_with()
    bus.emit(WaitProgress(what="w", done=1))
    line = seen[0].to_json()
    assert line["kind"] == "wait.progress"
    assert line["time"].endswith("+00:00")
    assert (line["what"], line["done"], line["total"]) == ("w", 1, 0)
    json.dumps(line)


def test_a_wait_ends_also_when_it_fails() -> None:
    bus, (seen,) = bus_with()
    try:
        with Wait(bus, "w"):
            raise RuntimeError
    except RuntimeError:
        pass
    assert [item.event.kind for item in seen] == ["wait.started", "wait.finished"]


def test_threads_do_not_mix() -> None:
    bus, seen = bus_with(2)

    def talk(number: int) -> None:
        for count in range(50):
            bus.note(f"{number} {count}")

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen[0]) == 200
    assert [item.event for item in seen[0]] == [item.event for item in seen[1]]
