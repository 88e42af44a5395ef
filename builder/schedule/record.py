"""A schedule as the registry hands it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from builder.schedule.trigger import Trigger


@dataclass(frozen=True, slots=True)
class Schedule:
    """A template that is built by itself. Times are UTC.

    `arguments` is what `build run` is given beside the file; `on_change`: only when the source is not the
    one of the last good build (`source`); `handled_at` is the last due time that was dealt with;
    `not_before` holds it back after a failure. `running` says that a process that lives builds it now.
    """

    name: str
    template: str
    trigger: Trigger
    host: str
    created_at: datetime
    handled_at: datetime
    arguments: Mapping[str, Any] = field(default_factory=dict)
    on_change: bool = False
    created_by: str = ""
    paused_at: datetime | None = None
    deactivated_at: datetime | None = None
    reason: str = ""
    failures: int = 0
    not_before: datetime | None = None
    run_id: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: str = ""
    message: str = ""
    source: str = ""
    source_version: str = ""
    running: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """How a look at a schedule ended. `outcome`: AIB's run state, or `Unchanged` when there was nothing to
    build. `source` and `source_version` are what a good build was made from.
    """

    outcome: str
    run_id: str = ""
    message: str = ""
    source: str = ""
    source_version: str = ""
