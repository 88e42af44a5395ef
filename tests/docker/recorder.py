"""Steps made short: contexts that record, models from plain words."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from provisioners.base import FrozenContent, StepContext
from provisioners.guest import Stream


class Recorder:
    """Collects a step's output with the time each line came."""

    def __init__(self) -> None:
        self.lines: list[tuple[Stream, str]] = []
        self.times: list[float] = []

    def __call__(self, stream: Stream, line: str) -> None:
        self.lines.append((stream, line))
        self.times.append(time.monotonic())

    @property
    def stdout(self) -> list[str]:
        return [line for stream, line in self.lines if stream == "stdout"]

    @property
    def stderr(self) -> list[str]:
        return [line for stream, line in self.lines if stream == "stderr"]

    def context(self, **changes: Any) -> StepContext:
        values: dict[str, Any] = {"index": 1, "name": "step", "timeout": 60.0, "on_output": self}
        return StepContext(**{**values, **changes})


def content(data: bytes | str, origin: str = "script.sh") -> FrozenContent:
    raw = data.encode() if isinstance(data, str) else data
    return FrozenContent(origin=origin, data=raw, sha256=hashlib.sha256(raw).hexdigest())
