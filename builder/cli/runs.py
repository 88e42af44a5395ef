"""`build runs`: look at builds, follow their logs, stop them."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from builder.cli.output import human_seconds, human_size, print_json, print_table
from builder.errors import NotFoundError, UsageError
from builder.ui.text import clean, inert

if TYPE_CHECKING:
    from builder.run_record import RunRecord
    from builder.runs import RunDirectory
    from builder.settings import Home

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Look at builds. RUN is an id, the beginning of one, or 'latest'.",
)

Run = Annotated[str, typer.Argument(metavar="RUN", help="Run id, its beginning, or 'latest'.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_FOLLOW_SECONDS = 0.3


@app.command("list")
def list_(
    *,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 20,
    json: Json = False,
) -> None:
    """List the builds of this machine, the newest first."""
    from builder.runs import list_runs
    from builder.settings import Home

    home = Home()
    home.check()
    records = list_runs(home)[:limit]
    if json:
        print_json(records)
    elif not records:
        typer.echo("There are no runs yet. Start one: build TEMPLATE")
    else:
        rows = [
            (
                r.run_id,
                r.template.name,
                _state(r),
                human_seconds(r.seconds),
                r.message.splitlines()[0] if r.message else "",
            )
            for r in records
        ]
        print_table(("Run", "Template", "State", "Time", "Message"), rows)


@app.command()
def show(run: Run = "latest", *, json: Json = False) -> None:
    """Show one build: stages, steps, where the time went, artifacts, error."""
    directory = _find(run)
    record = directory.load()
    if json:
        print_json(record)
        return
    facts = [
        ("Run", record.run_id),
        ("State", _state(record)),
        ("Template", f"{record.template.name} ({record.template.file})"),
        ("Source", " ".join(filter(None, (record.source.description, record.source.exact_version)))),
        ("Started", f"{record.start_time:%Y-%m-%d %H:%M:%S} UTC"),
        ("Took", human_seconds(record.seconds)),
        ("Workspace", record.workspace),
        ("Logs", str(directory.path)),
        ("Kept", str(directory.kept) if directory.kept.is_dir() else ""),
    ]
    for name, value in facts:
        if value:
            typer.echo(f"{name + ':':<11}{value}")
    _show_steps(record)
    _show_phases(record)
    if record.run_outputs:
        typer.echo()
        rows = [
            (o.name, o.type, human_size(o.size_on_disk), o.version, o.artifact_id or o.artifact_uri or o.path)
            for o in record.run_outputs
        ]
        print_table(("Output", "Type", "On disk", "Version", "Artifact"), rows)
    for warning in record.warnings:
        typer.echo(f"warning: {clean(warning)}")
    _show_error(record, directory.path)


@app.command()
def logs(
    run: Run = "latest",
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the build ends.")] = False,
    validation: Annotated[bool, typer.Option("--validation", help="The log of the validation VM.")] = False,
    serial: Annotated[
        bool, typer.Option("--serial", help="The guest's serial console; with --validation that VM's.")
    ] = False,
    json: Json = False,
) -> None:
    """Print a build's customization log (or another) to stdout."""
    if follow and json:
        raise UsageError(
            "--follow and --json exclude each other.", hint="'build TEMPLATE --events -' is JSON as it goes."
        )
    directory = _find(run)
    file = directory.validation_log if validation else directory.customization_log
    if serial:
        name = "validation-serial.log" if validation else directory.serial_log.name
        file = directory.path / name
    if follow:
        _follow(directory, file)
    elif file.is_file() and json:
        lines = file.read_text(errors="replace").splitlines()
        print_json({"runId": directory.run_id, "log": file, "lines": lines})
    elif file.is_file():
        _copy(file, 0)
    else:
        there = sorted(item.name for item in directory.path.glob("*.log"))
        raise NotFoundError(
            f"Run {directory.run_id} has no {file.name}.",
            hint=f"It has: {', '.join(there) or 'no logs'} (in {directory.path}).",
        )


@app.command()
def cancel(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="Run id, its beginning, or 'latest' of those under way.")
    ] = "latest",
    *,
    wait: Annotated[float, typer.Option(min=0, help="Wait so many seconds for the build to end.")] = 0,
    json: Json = False,
) -> None:
    """Ask a build to stop; it cleans up and ends as Canceled."""
    from builder.runs import cancel as request
    from builder.runs import under_way

    # The latest of all may be one that was refused because of the one that is to be stopped.
    directory = under_way(_home()) if run == "latest" else _find(run)
    owner = request(directory)
    if not json:
        typer.echo(f"Run {directory.run_id} (pid {owner.pid}) was asked to stop.")
    end = time.monotonic() + wait
    # The process may go on with other builds: it is the record that says when this one has ended.
    while time.monotonic() < end and not directory.load().finished:
        time.sleep(min(_FOLLOW_SECONDS, wait))
    state = directory.load().run_state
    if json:
        print_json({"runId": directory.run_id, "pid": owner.pid, "runState": state})
    elif wait:
        typer.echo(f"It is {state} now.")


@app.command()
def report(run: Run = "latest", *, json: Json = False) -> None:
    """Print the path of a build's HTML report."""
    directory = _find(run)
    if not directory.report.is_file():
        raise NotFoundError(
            f"Run {directory.run_id} has no report.", hint="It is written when the build has ended."
        )
    if json:
        print_json({"runId": directory.run_id, "report": directory.report})
    else:
        typer.echo(str(directory.report))


def _find(name: str) -> RunDirectory:
    from builder.runs import find

    return find(_home(), name)


def _home() -> Home:
    from builder.settings import Home

    home = Home()
    home.check()
    return home


def _state(record: RunRecord) -> str:
    """AIB's state, with the sub-state while it matters."""
    if record.run_state in ("Running", "Canceling", "Failed") and record.run_sub_state:
        return f"{record.run_state} ({record.run_sub_state})"
    return record.run_state


def _show_steps(record: RunRecord) -> None:
    rows = []
    for stage in record.stages:
        rows.append((stage.name, "", stage.outcome or "running", human_seconds(stage.seconds), ""))
        rows += [
            ("", f"{s.index}. {s.name}", s.outcome or "running", human_seconds(s.seconds), s.detail)
            for s in stage.steps
        ]
    if rows:
        typer.echo()
        print_table(("Stage", "Step", "Result", "Time", "Detail"), rows)


def _show_phases(record: RunRecord) -> None:
    from builder.ui.phases import COLUMNS, phase_rows

    rows = phase_rows(record.phases, record.guest_seconds, record.engine_seconds)
    if rows:
        typer.echo()
        print_table(COLUMNS, rows)


def _show_error(record: RunRecord, folder: Path) -> None:
    if record.error is None:
        return
    from builder.ui.report import error_of_run

    prefixes = {"error": "\nerror: ", "hint": "hint: ", "output": "    | "}
    for kind, text in error_of_run(record, folder):
        typer.echo(prefixes.get(kind, "  ") + text)


def _follow(directory: RunDirectory, file: Path) -> None:
    """Until the run ends: no limit of its own, since the run has one, and Ctrl-C ends it."""
    offset = 0
    while True:
        # Asked before reading: what was written up to the end is still printed.
        ended = directory.load().finished
        if file.is_file():
            offset = _copy(file, offset, whole_lines=not ended)
        if ended:
            return
        time.sleep(_FOLLOW_SECONDS)


def _copy(file: Path, offset: int, *, whole_lines: bool = False) -> int:
    """Print a file from `offset` on; returns where it ended. As it is, except where a CI service would take
    lines of it for commands.
    """
    from builder.ui.ci.service import detect

    with file.open("rb") as source:
        if detect() is not None:
            return offset + _copy_inert(source, offset, whole_lines=whole_lines)
        source.seek(offset)
        while chunk := source.read(65536):
            sys.stdout.buffer.write(chunk)
            offset += len(chunk)
    sys.stdout.flush()
    return offset


def _copy_inert(source: BinaryIO, offset: int, *, whole_lines: bool) -> int:
    """Returns how many bytes were read; `whole_lines`: without a last line that is still being written."""
    source.seek(offset)
    size = 0
    for line in source:
        if whole_lines and not line.endswith(b"\n"):
            break
        size += len(line)
        text = line.decode(errors="surrogateescape").replace("\r", "\n")
        sys.stdout.buffer.write(inert(text).encode(errors="surrogateescape"))
    sys.stdout.flush()
    return size
