"""When a guest counts as set up by cloud-init."""

from __future__ import annotations

import json
from typing import Any

import pytest

from builder.events import EventBus, Note
from builder.redact import Redactor
from builder.vm import cloud_init
from provisioners.guest import CommandResult


def status(finished: float | None, *errors: str) -> str:
    init: dict[str, Any] = {"start": 1.0, "finished": finished, "errors": list(errors)}
    return json.dumps({"v1": {"datasource": None, "init-local": {"errors": ["early"]}, "init": init}})


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("{}", None),
        ('{"v1": {"ini', None),
        ("[]", None),
        (status(None), None),
        (status(12.5), ["early"]),
        (status(12.5, "no disk"), ["early", "no disk"]),
        ('{"v1": {"datasource": "x", "errors": []}}', []),
        ('{"v1": {"errors": ["late"]}}', ["late"]),
    ],
)
def test_what_the_status_says(text: str, errors: list[str] | None) -> None:
    assert cloud_init.stage_errors(text) == errors


class Guest:
    def __init__(self, *answers: CommandResult) -> None:
        self.answers = list(answers)

    def run(self, argv: object, *, timeout: float) -> CommandResult:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def waited(monkeypatch: pytest.MonkeyPatch, guest: Guest, timeout: float = 60) -> list[str]:
    monkeypatch.setattr(cloud_init, "_POLL_SECONDS", 0)
    said: list[str] = []
    bus = EventBus(Redactor())
    bus.add_sink(lambda item: said.append(item.event.message) if isinstance(item.event, Note) else None)
    cloud_init.await_cloud_init(guest, timeout, bus)  # type: ignore[arg-type]
    return said


def test_a_guest_is_asked_until_the_init_stage_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    guest = Guest(CommandResult(0, stdout="{}"), CommandResult(0, stdout=status(None)))
    guest.answers.append(CommandResult(0, stdout=status(3.0, "bad key")))
    assert waited(monkeypatch, guest) == ["cloud-init reports problems in the guest: early; bad key"]
    assert len(guest.answers) == 1


def test_a_guest_without_cloud_init_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waited(monkeypatch, Guest(CommandResult(1))) == []


def test_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    (said,) = waited(monkeypatch, Guest(CommandResult(0, stdout="{}")), timeout=0)
    assert "going on without it" in said
