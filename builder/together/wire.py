"""Events on their way from a build's process to the one that shows it: JSON lines with the run's id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from functools import cache
from typing import Any, TextIO

from builder import events
from builder.as_json import camel
from builder.events import Envelope, Event, OpenSink


class WireSink(OpenSink):
    """Writes each event as it is in `events.jsonl`, and `runId` besides."""

    def __init__(self, stream: TextIO, run_id: str) -> None:
        self._stream = stream
        self._run_id = run_id

    def __call__(self, envelope: Envelope) -> None:
        """Send one event."""
        data = {**envelope.to_json(), "runId": self._run_id}
        self._stream.write(json.dumps(data, ensure_ascii=False, default=str) + "\n")
        self._stream.flush()


def envelope_of(data: Mapping[str, Any]) -> Envelope | None:
    """The event in a JSON object; None for one that is none of ours."""
    kind = _kinds().get(str(data.get("kind")))
    if kind is None:
        return None
    try:
        values = {item.name: data[camel(item.name)] for item in fields(kind) if camel(item.name) in data}
        return Envelope(datetime.fromisoformat(data["time"]), float(data["elapsed"]), kind(**values))
    except (KeyError, TypeError, ValueError):
        return None


@cache
def _kinds() -> dict[str, type[Event]]:
    # Not Event.__subclasses__(): of a class with slots it may still hold the one without.
    found = (item for item in vars(events).values() if isinstance(item, type))
    return {kind.kind: kind for kind in found if issubclass(kind, Event) and kind is not Event}
