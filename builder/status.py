"""What every known template stands at: whether a build would make something else than the last good one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from builder.errors import GoldsmithError
from builder.schedule.decision import next_at
from builder.schedule.work import Arguments, SourceNow, source_of
from builder.ui.failure import error_to_dict, one_line
from templates.files import STDIN

if TYPE_CHECKING:
    from builder.jobs import Job
    from builder.run_record import RunRecord
    from builder.schedule.record import Schedule
    from builder.services import Services

State = Literal["current", "stale", "failing", "never built", "unknown"]
_GOOD = "Succeeded"


@dataclass(frozen=True, slots=True)
class TemplateStatus:
    """One template. `reasons` says why it is not current; `source_used` is what the last good build began
    with, `source_now` what one would begin with now ("" where that is not known); `built_at` and `run_id`
    are of that build, `last` is how the newest one ended; `schedule` and `next_at` are "" and None without
    a schedule. Times are UTC.
    """

    name: str
    file: str
    state: State
    reasons: tuple[str, ...]
    source_used: str = ""
    source_now: str = ""
    built_at: datetime | None = None
    run_id: str = ""
    last: str = ""
    schedule: str = ""
    next_at: datetime | None = None


def template_statuses(
    services: Services,
    schedules: Sequence[Schedule],
    runs: Sequence[RunRecord],
    now: datetime,
    *,
    every: bool,
) -> list[TemplateStatus]:
    """Of the scheduled templates, and with `every` of all that were ever built here; `runs` the newest first.
    Nothing is fetched: of a script with an address the last build's content counts.
    """
    found = [one for schedule in schedules for one in _of_file(services, schedule, runs, now)]
    if every:
        known = {(one.file, one.name) for one in found}
        for run in runs:
            key = (run.template.file, run.template.name)
            if key in known or not run.template.name:
                continue
            known.add(key)
            found.append(_of_run(services, run, runs))
    return found


def _of_file(
    services: Services, schedule: Schedule, runs: Sequence[RunRecord], now: datetime
) -> Iterator[TemplateStatus]:
    for one in _of_templates(services, schedule, runs, now):
        yield _with_trouble(one, schedule)


def _with_trouble(one: TemplateStatus, schedule: Schedule) -> TemplateStatus:
    """With what the schedule knows and no run: that a build could not begin, or that none is tried now."""
    if schedule.failures == 0 and schedule.deactivated_at is None:
        return one
    if one.built_at is not None and schedule.ended_at is not None and one.built_at > schedule.ended_at:
        return one  # a good build by hand came after it
    reasons = list(one.reasons)
    if one.state != "failing":
        reasons.append(f"the last scheduled build failed: {schedule.message}")
    if schedule.deactivated_at is not None:
        reasons.append(schedule.reason)
    return replace(one, state="failing", last=one.last or schedule.outcome, reasons=tuple(reasons))


def _of_templates(
    services: Services, schedule: Schedule, runs: Sequence[RunRecord], now: datetime
) -> Iterator[TemplateStatus]:
    when = next_at(schedule, now)
    file = os.path.abspath(schedule.template)  # noqa: PTH100 - as the records of builds have it
    try:
        jobs = _read(services, file, Arguments.of(schedule.arguments))
    except GoldsmithError as error:
        reason = f"it cannot be read: {one_line(error_to_dict(error))}"
        yield TemplateStatus(
            Path(file).name, file, "unknown", (reason,), schedule=schedule.name, next_at=when
        )
        return
    for job in jobs:
        yield _judge(services, job, file, runs, schedule.name, when)


def _of_run(services: Services, run: RunRecord, runs: Sequence[RunRecord]) -> TemplateStatus:
    """Of a template that was built by hand; with which variables and parameters is not recorded."""
    file, name = run.template.file, run.template.name
    if not Path(file).is_absolute():  # never read: that would be another file, or wait for somebody to type
        reason = "it came from standard input" if Path(file) == STDIN else "its folder is not recorded"
        return TemplateStatus(name, file, "unknown", (reason,), last=_last(run))
    try:
        jobs = _read(services, file, Arguments())
    except GoldsmithError as error:
        return TemplateStatus(
            name, file, "unknown", (f"it cannot be read: {one_line(error_to_dict(error))}",), last=_last(run)
        )
    job = next((one for one in jobs if one.template.name == name), None)
    if job is None:
        return TemplateStatus(name, file, "unknown", ("the file holds it no more",), last=_last(run))
    return _judge(services, job, file, runs, "", None)


def _read(services: Services, file: str, arguments: Arguments) -> list[Job]:
    from builder.jobs import jobs_of

    return jobs_of([arguments.reading(services.home).read(Path(file))])


def _judge(
    services: Services,
    job: Job,
    file: str,
    runs: Sequence[RunRecord],
    schedule: str,
    when: datetime | None,
) -> TemplateStatus:
    mine = [run for run in runs if (run.template.file, run.template.name) == (file, job.template.name)]
    good = next((run for run in mine if run.run_state == _GOOD), None)
    last = mine[0] if mine else None
    facts: dict[str, Any] = {"schedule": schedule, "next_at": when, "last": _last(last) if last else ""}
    if good is None:
        return _never_good(job.template.name, file, last, facts)
    used = SourceNow(good.source.exact_version, good.source.identity)
    facts |= {"source_used": used.version or used.identity, "built_at": good.end_time, "run_id": good.run_id}
    if "templateDigest" not in good.lineage:
        reasons = ("what its last build was made of is not recorded",)
        return TemplateStatus(job.template.name, file, "unknown", reasons, **facts)
    try:
        source = source_of(services.home, services.settings, job)
        changed = [*_changes(services, job, good.lineage)]
    except GoldsmithError as error:
        return TemplateStatus(job.template.name, file, "unknown", (error.message,), **facts)
    facts["source_now"] = source.version or source.identity
    # One that patches a gallery's latest version is its own source from then on: that is nothing newer.
    own = {out.artifact_id.casefold() for out in good.run_outputs}
    if source.version.casefold() not in own and source.differs(used.version, used.identity):
        changed.insert(0, "its source has something newer")
    failing = last is not None and last is not good and last.run_state == "Failed"
    if failing and last is not None:
        changed.append(f"the last build failed: {last.message}")
    state: State = "failing" if failing else "stale" if changed else "current"
    return TemplateStatus(job.template.name, file, state, tuple(changed), **facts)


def _never_good(name: str, file: str, last: RunRecord | None, facts: Mapping[str, Any]) -> TemplateStatus:
    """Of a template that no build of succeeded."""
    if last is None or not last.finished:
        return TemplateStatus(name, file, "never built", (), **facts)
    if last.run_state == "Canceled":
        return TemplateStatus(name, file, "never built", ("its build was cancelled",), **facts)
    reason = ": ".join(filter(None, (f"the last build ended {last.run_state}", last.message)))
    return TemplateStatus(name, file, "failing", (reason,), **facts)


def _last(run: RunRecord) -> str:
    return run.run_state


def _changes(services: Services, job: Job, lineage: Mapping[str, Any]) -> Iterator[str]:
    """What of the template or its scripts is not what it was."""
    from builder.lineage import template_digest

    if lineage.get("templateDigest") != template_digest(job.document, job.template, job.redactor):
        yield "the template changed"
    then = {
        (one.get("step"), one.get("name")): one.get("digest")
        for one in lineage.get("inputs") or ()
        if isinstance(one, Mapping)
    }
    for step, name, digest in _inputs(services, job):
        if then.get((step, name), digest) != digest:
            yield f"{name} changed"


def _inputs(services: Services, job: Job) -> Iterator[tuple[int, str, str]]:
    """Step, name and digest of what the customizers read from this machine."""
    from builder.lineage import recorded_inputs
    from builder.resolve import freeze_steps, is_far

    here = [
        (f"/properties/customize/{number}", step)
        for number, step in enumerate(job.template.properties.customize)
        if not is_far(step)
    ]
    prefix = job.document.pointer_of(job.template)
    looking = replace(services, base_dir=Path(job.document.file).absolute().parent)
    frozen = freeze_steps(here, looking, lambda pointer: job.document.locate(prefix + pointer))
    for one in recorded_inputs(job.template, frozen, job.redactor):
        yield one["step"], one["name"], one["digest"]
