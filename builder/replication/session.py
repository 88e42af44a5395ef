"""Replicating and checking as a command does it: what a person, a log or a program sees of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from builder.cancellation import Interrupted, cancel_on_signals
from builder.errors import CancelledError, ExitCode
from builder.replication.checking import Checked, Checker
from builder.replication.replicator import CopyNews, Replicator, Report

if TYPE_CHECKING:
    from builder.registry.records import CopyTask
    from builder.registry.store import Registry
    from builder.replication.place import Places

_LINE_SECONDS = 10.0


def replicate_all(
    registry: Registry,
    places: Places,
    versions: Sequence[str],
    *,
    region: str | None,
    jobs: int,
    json: bool,
) -> ExitCode:
    """Make what is missing of these versions and show it. Raises CancelledError after a signal: what is half
    made is gone on with the next time.
    """
    from builder.cli.output import human_size, print_json

    with _stoppable("build gallery replicate"), _told(json=json) as told:
        report = Replicator(registry, places, jobs=jobs, told=told).run(versions, region=region)
    missing = [] if report.failed else registry.list_incomplete(region)
    others = {one.id for one in missing} & set(versions)
    if json:
        print_json(
            {
                "made": [_as_json(task) for task in report.made],
                "failed": [{**_as_json(task), "error": why} for task, why in report.failed],
                "bytesCopied": report.sent,
                "underWayElsewhere": sorted(others),
            }
        )
    else:
        _say(_summary(report, human_size(report.sent)))
        if others:
            _say("Another process makes the rest; see 'build gallery status'.")
    return ExitCode.PARTIALLY_DISTRIBUTED if report.failed else ExitCode.OK


def verify_all(
    registry: Registry,
    places: Places,
    versions: Sequence[str],
    *,
    region: str | None,
    repair: bool,
    jobs: int,
    json: bool,
) -> ExitCode:
    """Read the replicas of these versions again, and make damaged ones anew where `repair` says so."""
    from builder.cli.output import print_json

    def told(one: Checked) -> None:
        if not json:
            _say(f"{one.task.name}: {one.damage or one.unread or 'sound'}")

    with _stoppable("build gallery verify"):
        checked = Checker(registry, places).run(versions, region, told)
        damaged = [one for one in checked if one.damage]
        report = Report()
        if repair and damaged:
            hurt = list(dict.fromkeys(one.task.version_id for one in damaged))
            with _told(json=json) as news:
                report = Replicator(registry, places, jobs=jobs, told=news).run(hurt, region=region)
    made = {task.id for task in report.made}
    left = [one for one in damaged if one.task.id not in made]
    unread = [one for one in checked if one.unread]
    if json:
        print_json(
            {
                "checked": len(checked),
                "damaged": [{**_as_json(one.task), "error": one.damage} for one in damaged],
                "repaired": [_as_json(task) for task in report.made],
                "unread": [{**_as_json(one.task), "error": one.unread} for one in unread],
            }
        )
    else:
        _say(
            f"{len(checked)} replicas: {len(checked) - len(damaged) - len(unread)} sound, {len(damaged)} "
            f"damaged, {len(unread)} could not be read, {len(report.made)} made anew."
        )
        if left and not repair:
            _say("Damaged ones are not used any more; --repair makes them anew from sound ones.")
    if left:
        return ExitCode.BUILD_FAILED
    return ExitCode.ENVIRONMENT if unread else ExitCode.OK


@contextmanager
def _stoppable(again: str) -> Iterator[None]:
    with cancel_on_signals():
        try:
            yield
        except (Interrupted, KeyboardInterrupt) as error:
            name = getattr(error, "signal_name", "SIGINT")
            raise CancelledError(f"Stopped by {name}.", hint=f"Go on: {again}") from error


@contextmanager
def _told(*, json: bool) -> Iterator[Callable[[CopyNews], None]]:
    """Who is told what becomes of the copies: nobody, a terminal, or lines."""
    if json:
        yield lambda _: None
    elif sys.stdout.isatty():
        with _bars() as told:
            yield told
    else:
        yield _Lines().told


@contextmanager
def _bars() -> Iterator[Callable[[CopyNews], None]]:
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    from builder.ui.console import make_console

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TimeRemainingColumn(),
    )
    shown: dict[int, TaskID] = {}
    with Progress(*columns, console=make_console(sys.stdout), transient=True) as progress:

        def told(news: CopyNews) -> None:
            key = news.task.id
            if key not in shown:
                shown[key] = progress.add_task(news.task.name, total=None)
            progress.update(shown[key], completed=news.done, total=news.total or None)
            if news.kind in ("done", "failed"):
                progress.remove_task(shown.pop(key))
            if news.kind in ("done", "failed", "again"):
                progress.console.print(_line(news))

        yield told


class _Lines:
    """For logs: when something ends, and every few seconds how far it is."""

    def __init__(self) -> None:
        self._last: dict[int, float] = {}

    def told(self, news: CopyNews) -> None:
        """Print what is worth a line."""
        if news.kind == "progress":
            last = self._last.setdefault(news.task.id, time.monotonic())
            if time.monotonic() - last < _LINE_SECONDS:
                return
            self._last[news.task.id] = time.monotonic()
        if news.kind != "begun":
            _say(_line(news))


def _line(news: CopyNews) -> str:
    from builder.cli.output import human_size

    if news.kind == "done":
        how = f"{human_size(news.sent)} copied and checked" if news.sent else "linked, nothing copied"
        return f"{news.task.name}: {how}"
    if news.kind == "progress":
        share = 100 * news.done // news.total if news.total else 0
        return f"{news.task.name}: {share} % of {human_size(news.total)}"
    if news.kind == "again":
        return f"{news.task.name}: {news.error} Trying again."
    return f"{news.task.name}: failed: {news.error}"


def _summary(report: Report, size: str) -> str:
    if not report.made and not report.failed:
        return "Nothing is missing."
    failed = f", {len(report.failed)} failed" if report.failed else ""
    return f"{len(report.made)} replicas made ({size} copied){failed}."


def _as_json(task: CopyTask) -> dict[str, object]:
    return {
        "version": task.version_id,
        "region": task.region,
        "replica": task.number,
        "file": task.location,
    }


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
