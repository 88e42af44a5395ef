"""Schedules as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from builder.cli.output import print_json
from builder.errors import ExitCode

if TYPE_CHECKING:
    from builder.schedule.record import Schedule
    from builder.schedule.scheduler import Look

_FORMAT = "%Y-%m-%d %H:%M"


def times_of(record: Schedule) -> str:
    """When it is built."""
    text = record.trigger.text
    return f"{text}, if its source is newer" if record.on_change and record.trigger.kind != "source" else text


def state_of(record: Schedule) -> str:
    """In one word, or with what it is held back by."""
    if record.running:
        return "building"
    if record.paused_at is not None:
        return "paused"
    if record.deactivated_at is not None:
        return "deactivated"
    return f"active, {record.failures} failed" if record.failures else "active"


def last_of(record: Schedule) -> str:
    """How and when it ended last."""
    if record.ended_at is None:
        return ""
    return f"{record.outcome} {record.ended_at:{_FORMAT}}"


def next_of(record: Schedule, now: datetime) -> str:
    """When it is built next, in UTC."""
    from builder.schedule.decision import next_at

    if record.paused_at is not None or record.deactivated_at is not None:
        return "never"
    when = next_at(record, now)
    if when is None:
        return "on a new source" if record.trigger.kind == "source" else "unknown"
    return "now" if when <= now else f"{when:{_FORMAT}}"


def more_of(record: Schedule, now: datetime) -> dict[str, Any]:
    """What follows from a record, for JSON."""
    from builder.schedule.decision import next_at

    when = next_at(record, now)
    return {"state": state_of(record).split(",")[0], "nextAt": when.isoformat() if when else None}


def tell(look: Look) -> None:
    """A line about what is done; nothing about what waits."""
    if look.action in ("wait", "paused", "running"):
        return
    if look.action == "deactivated" and look.ended is None:
        return
    typer.echo(f"{datetime.now(UTC):%H:%M:%S} {look.name}: {look.action}: {look.detail}")


def report(looks: Sequence[Look], *, json: bool) -> ExitCode:
    """Say what was done, and return the exit code that stands for it."""
    from builder.as_json import to_json

    ended = [look.ended for look in looks if look.ended is not None]
    if json:
        print_json(to_json(looks))
    elif not ended:
        for look in looks:
            typer.echo(f"{look.name}: {look.action}: {look.detail}")
        typer.echo("Nothing was due." if looks else "There are no schedules on this machine.")
    outcomes = {one.outcome for one in ended}
    if "Canceled" in outcomes:
        return ExitCode.CANCELLED
    if "Failed" in outcomes:
        return ExitCode.BUILD_FAILED
    return ExitCode.PARTIALLY_DISTRIBUTED if "PartiallySucceeded" in outcomes else ExitCode.OK
