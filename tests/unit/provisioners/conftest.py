"""A guest that is only a script of answers."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from provisioners.base import StepContext
from provisioners.guest import CommandResult

Answer = CommandResult | Exception | Callable[[], CommandResult]


class FakeGuest:
    """Records what is asked; `answers` are given in turn (default: exit 0)."""

    def __init__(self, os_type: str = "Linux", user: str = "packer") -> None:
        self.os_type = os_type
        self.user = user
        self.runs: list[tuple[list[str], bytes | None]] = []
        self.files: dict[str, bytes] = {}
        self.answers: list[Answer] = []
        self.boots: list[str | Exception] = []
        self.boot = "boot-1"
        self.reconnects = 0

    def run(self, argv, *, timeout, stdin=None, on_output=None):
        assert timeout > 0
        self.runs.append((list(argv), stdin))
        answer = self.answers.pop(0) if self.answers else CommandResult(0)
        if isinstance(answer, Exception):
            raise answer
        result = answer() if callable(answer) else answer
        if on_output is not None:
            for line in result.tail:
                on_output("stdout", line)
        return result

    def put(self, content, destination, *, timeout, mode=0o644):
        self.files[destination] = content

    def get(self, path, *, timeout):
        return self.files[path]

    def boot_id(self, *, timeout):
        if self.boots:
            value = self.boots.pop(0)
            if isinstance(value, Exception):
                raise value
            self.boot = value
        return self.boot

    def reconnect(self, *, timeout):
        self.reconnects += 1

    def disconnect(self):
        pass

    def encoded(self, index: int) -> str:
        """The PowerShell text of a recorded command."""
        argv = self.runs[index][0]
        return base64.b64decode(argv[argv.index("-EncodedCommand") + 1]).decode("utf-16-le")


@pytest.fixture
def linux() -> FakeGuest:
    return FakeGuest()


@pytest.fixture
def windows() -> FakeGuest:
    return FakeGuest("Windows")


@pytest.fixture
def context() -> Callable[..., StepContext]:
    def make(**changes) -> StepContext:
        values = {"index": 1, "name": "step", "timeout": 60.0, "on_output": lambda *_: None}
        return StepContext(**{**values, **changes})

    return make
