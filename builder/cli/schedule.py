"""`build schedule`: templates that are built by themselves."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.images import open_registry, print_facts
from builder.cli.output import print_json, print_table
from builder.cli.schedule_text import last_of, more_of, next_of, report, state_of, tell, times_of
from builder.errors import ExitCode, InUseError, UsageError

if TYPE_CHECKING:
    from builder.lock import FileLock
    from builder.registry.store import Registry
    from builder.schedule.scheduler import Look, Scheduler
    from builder.schedule.trigger import Trigger
    from builder.settings import Home, Settings
    from builder.ui.together import Together

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Build templates at times, or when their source has something newer.",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name; see 'build schedule list'.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@app.command()
def add(
    template: Annotated[Path, typer.Argument(help="The template file; it is read each time it is due.")],
    *,
    name: Annotated[str | None, typer.Option(help="Default: the template's name.")] = None,
    cron: Annotated[str | None, typer.Option(metavar="'M H D M W'", help="Times, as in a crontab.")] = None,
    every: Annotated[str | None, typer.Option(metavar="7d", help="Time between two builds.")] = None,
    on_source_change: Annotated[
        bool, typer.Option("--on-source-change", help="Only when the source has something newer.")
    ] = False,
    zone: Annotated[
        str | None, typer.Option("--time-zone", help="Of --cron, for example Europe/Berlin; default: UTC.")
    ] = None,
    jitter: Annotated[str | None, typer.Option(metavar="10m", help="Up to so much later, at random.")] = None,
    var: Annotated[list[str] | None, typer.Option("--var", help="K=V for {{ K }} in string values")] = None,
    var_file: Annotated[list[Path] | None, typer.Option(help="JSON file of variables; --var wins")] = None,
    parameters: Annotated[Path | None, typer.Option(help="ARM parameter file")] = None,
    strict: Annotated[bool, typer.Option("--strict/--lenient", help="as in 'build run'")] = False,
    output_dir: Annotated[Path, typer.Option(help="where a VHD without uri goes")] = Path(),
    keep_last: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="After a good build delete all but the newest N versions."),
    ] = None,
    json: Json = False,
) -> None:
    """Schedule a template. With --cron or --every and --on-source-change, it is built at those times if the
    source has something newer by then. With none of them, a SourceImage trigger in the file says when.
    """
    from builder.as_json import to_json
    from builder.jobs import check_places, jobs_of
    from builder.registry.holder import this_host
    from builder.schedule.checks import check_keep_last, check_repeatable, check_source_trigger
    from builder.schedule.record import Schedule
    from builder.schedule.work import Arguments
    from builder.settings import Home

    arguments = Arguments(
        tuple(var or ()),
        tuple(str(file.absolute()) for file in var_file or ()),
        str(parameters.absolute()) if parameters else "",
        str(output_dir.absolute()),
        strict,
        keep_last,
    )
    home = Home()
    home.ensure()
    file = Path(os.path.abspath(template))  # noqa: PTH100 - as the records of builds have it, without '..'
    document = arguments.reading(home).read(file)
    jobs = jobs_of([document])
    if cron is None and every is None and document.triggers:
        on_source_change = True  # AIB's SourceImage, declared beside the template
    trigger = _trigger(cron, every, zone, jitter, on_source_change=on_source_change)
    check_repeatable(jobs)
    check_places(jobs, output_dir.absolute())
    if keep_last is not None:
        check_keep_last(jobs)
    if on_source_change:
        check_source_trigger(jobs)
    label = name or jobs[0].template.name
    if not _NAME.fullmatch(label):
        raise UsageError(
            f"'{label}' is no name for a schedule.",
            hint="Letters, digits, '.', '_' and '-', at most 64: --name.",
        )
    now = datetime.now(UTC)
    made = open_registry().add_schedule(
        Schedule(
            name=label,
            template=str(file),
            trigger=trigger,
            host=this_host(),
            created_at=now,
            handled_at=now,
            arguments=arguments.to_json(),
            on_change=on_source_change,
        )
    )
    if json:
        print_json(to_json(made))
        return
    typer.echo(f"Scheduled '{made.name}': {times_of(made)}. Next: {next_of(made, now)}.")
    typer.echo("It is built while 'build schedule run' runs, or by 'build schedule run --once' from cron.")


@app.command("list")
def list_(*, json: Json = False) -> None:
    """List the schedules, with how the last build ended and when the next one is."""
    from builder.as_json import to_json

    records = open_registry().list_schedules()
    now = datetime.now(UTC)
    if json:
        print_json([{**to_json(one), **more_of(one, now)} for one in records])
    elif not records:
        typer.echo("There are no schedules. Make one: build schedule add template.json --cron '0 3 * * *'")
    else:
        rows = [(one.name, times_of(one), state_of(one), last_of(one), next_of(one, now)) for one in records]
        print_table(("Schedule", "When", "State", "Last", "Next (UTC)"), rows)


@app.command()
def show(name: Name, *, json: Json = False) -> None:
    """Show a schedule."""
    from builder.as_json import to_json
    from builder.registry.holder import this_host

    record, now = open_registry().find_schedule(name), datetime.now(UTC)
    if json:
        print_json({**to_json(record), **more_of(record, now)})
        return
    print_facts(
        ("Schedule", record.name),
        ("Template", record.template),
        ("When", times_of(record)),
        ("State", state_of(record)),
        ("Why", record.reason),
        ("Next", next_of(record, now)),
        ("Last", last_of(record)),
        ("Message", record.message),
        ("Run", record.run_id),
        ("Failures", str(record.failures) if record.failures else ""),
        ("Source", record.source_version),
        ("Machine", "this one" if record.host == this_host() else record.host),
        ("Since", f"{record.created_at:%Y-%m-%d %H:%M} UTC"),
    )


@app.command()
def pause(name: Name) -> None:
    """Do not build it until it is resumed; a build under way goes on."""
    record = open_registry().pause_schedule(name, datetime.now(UTC))
    typer.echo(f"'{record.name}' is paused. Undo: build schedule resume {record.name}")


@app.command()
def resume(name: Name) -> None:
    """Build it again, after a pause or after it was deactivated. What was due meanwhile is not caught up."""
    now = datetime.now(UTC)
    record = open_registry().resume_schedule(name, now)
    typer.echo(f"'{record.name}' is active. Next: {next_of(record, now)}.")


@app.command()
def remove(name: Name) -> None:
    """Forget a schedule; what it built stays."""
    record = open_registry().remove_schedule(name)
    typer.echo(f"Removed '{record.name}' ({times_of(record)}, {record.template}).")


@app.command()
def run(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Build this one now, due or not, and end.")
    ] = None,
    *,
    once: Annotated[bool, typer.Option("--once", help="Build what is due now, and end: for cron.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print what was done as JSON (with --once or NAME).")
    ] = False,
) -> None:
    """Build what is due, until it is stopped; one at a time, and only one such process per home.

    With --once the exit code is 1 when a build failed, 5 when one was distributed in part. A build that is
    cancelled ('build runs cancel') does not stop it.
    """
    from builder.cancellation import Interrupted, cancel_on_signals, signalled
    from builder.lock import FileLock
    from builder.settings import Home

    if json and name is None and not once:
        raise UsageError(
            "--json needs an end: say --once, or NAME.", hint="'build schedule list --json' tells."
        )
    home = Home()
    home.ensure()
    lock = FileLock(home.root / "schedule.lock")
    if name is None and not lock.try_acquire():
        raise InUseError(
            f"Another process looks after the schedules of this home: pid {_pid(lock)}.",
            hint="One is enough. 'build schedule list' shows what it does.",
        )
    try:
        with cancel_on_signals(), _scheduler(home, quiet=json) as scheduler:
            if name is not None:
                looks = [scheduler.run_now(name)]
            elif once:
                looks = scheduler.once()
            else:
                typer.echo("Looking after the schedules of this machine. Stop: Ctrl-C")
                looks = scheduler.forever()
    except Interrupted as signal:
        typer.echo(f"Stopped by {signal.signal_name}.", err=True)
        raise typer.Exit(int(ExitCode.CANCELLED)) from None
    finally:
        lock.release()
    code = report(looks, json=json)
    if signalled():
        code = ExitCode.CANCELLED
    if code != ExitCode.OK:
        raise typer.Exit(int(code))


@app.command()
def install(
    *,
    systemd: Annotated[bool, typer.Option("--systemd", help="As a user unit of systemd.")] = False,
    show_unit: Annotated[bool, typer.Option("--print", help="Only print the unit.")] = False,
    undo: Annotated[bool, typer.Option("--remove", help="Stop it, and remove the unit.")] = False,
) -> None:
    """Keep 'build schedule run' running: write and start a user unit of systemd."""
    from builder.schedule import systemd as unit
    from builder.settings import Home

    home = Home()
    if show_unit:
        typer.echo(unit.unit_text(home), nl=False)
        return
    if not systemd:
        raise UsageError("Say --systemd.", hint="Without systemd: 'build schedule run --once' from cron.")
    home.ensure()
    if undo:
        typer.echo(f"Removed {unit.uninstall()}")
        return
    typer.echo(f"Installed and started {unit.install(home)}")
    typer.echo("It runs while you are logged in; to have it run always: loginctl enable-linger")
    typer.echo("Undo: build schedule install --systemd --remove")


def _trigger(
    cron: str | None, every: str | None, zone: str | None, jitter: str | None, *, on_source_change: bool
) -> Trigger:
    from builder.schedule.trigger import Trigger, period

    if cron is not None and every is not None:
        raise UsageError("--cron and --every exclude each other.")
    if cron is None and every is None and not on_source_change:
        raise UsageError(
            "When is it to be built?", hint="Say --cron '0 3 * * *', --every 7d, or --on-source-change."
        )
    if zone is not None and cron is None:
        raise UsageError("--time-zone is of --cron.", hint="--every counts from the last time.")
    if jitter is not None and cron is None and every is None:
        raise UsageError(
            "--jitter is of --cron and --every.", hint="A new source is looked for all the time."
        )
    seconds = 0 if jitter is None else int(period(jitter, "--jitter").total_seconds())
    if cron is not None:
        trigger = Trigger("cron", " ".join(cron.split()), zone or "UTC", seconds)
    elif every is not None:
        trigger = Trigger("every", every, "UTC", seconds)
    else:
        trigger = Trigger("source")
    trigger.check()
    return trigger


@contextmanager
def _scheduler(home: Home, *, quiet: bool) -> Iterator[Scheduler]:
    from builder.cancellation import signalled
    from builder.runs import list_runs
    from builder.schedule.scheduler import Scheduler, SystemClock
    from builder.schedule.work import Work
    from builder.settings import load_settings
    from builder.ui.together import open_together

    settings = load_settings(home)
    # With --json stdout holds the JSON alone: what a build says goes to stderr.
    with open_together(total=1, plain=True, stdout=sys.stderr if quiet else None) as together:
        registry = open_registry()
        yield Scheduler(
            registry,
            Work(home, settings, registry, together),
            SystemClock(),
            most_failures=settings.schedule_failures,
            runs=lambda: list_runs(home),
            tell=partial(_tell, registry, settings, together, quiet=quiet),
            stopped=signalled,
        )


def _tell(registry: Registry, settings: Settings, together: Together, look: Look, *, quiet: bool) -> None:
    """On the terminal, and to whom the settings name."""
    from builder.notify.send import send_all
    from builder.schedule.notices import notice_of

    if not quiet:
        tell(look)
    notice = notice_of(registry, look) if settings.notify else None
    if notice is not None:
        send_all(notice, settings, together.say)


def _pid(lock: FileLock) -> object:
    owner = lock.holder().get("owner")
    return owner.get("pid", "unknown") if isinstance(owner, dict) else "unknown"
