"""`build bench`: how long builds of a template take here: cold, warm, edited, unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.errors import CancelledError, UsageError
from builder.settings import Home

if TYPE_CHECKING:
    from builder.bench.results import CaseResult, Measured
    from builder.cli.reading import Reading

_CASES = ("cold", "warm", "edited", "unchanged")

EPILOG = """
Examples:

  build bench template.json

  build bench template.json -n 3 --case warm,edited --json
"""


def bench(
    template: Annotated[Path, typer.Argument(help="AIB template file with one image template")],
    times: Annotated[int, typer.Option("--times", "-n", min=1, help="builds of each case")] = 5,
    case: Annotated[str, typer.Option("--case", help="which cases, with commas between")] = ",".join(_CASES),
    var: Annotated[list[str] | None, typer.Option("--var", help="K=V for {{ K }} in string values")] = None,
    var_file: Annotated[list[Path] | None, typer.Option(help="JSON file of variables; --var wins")] = None,
    parameters: Annotated[Path | None, typer.Option(help="ARM parameter file")] = None,
    *,
    strict: Annotated[
        bool,
        typer.Option("--strict/--lenient", help="judge as Azure does, or accept what real templates contain"),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Build a template again and again in a home of its own, and print medians and p95.

    cold: no layers are known. warm: only the warm base (the layer of the first boot). edited: everything but
    the last customizer, which got another comment. unchanged: nothing was changed.
    """
    from builder.bench.results import summarized
    from builder.cancellation import Interrupted, cancel_on_signals
    from builder.cli.reading import Reading

    cases = _chosen(case)
    home = Home()
    home.ensure()
    reading = Reading.of(home, var or [], var_file or [], parameters, strict=strict)
    try:
        with cancel_on_signals():
            name, runs = _measured(home, reading, template, cases, times)
    except Interrupted as problem:
        raise CancelledError(f"Cancelled by {problem.signal_name}.") from None
    results = summarized(runs)
    if json:
        _print_json(name, results, runs)
    else:
        _print(results)


def _chosen(case: str) -> list[str]:
    chosen = [word.strip() for word in case.split(",") if word.strip()]
    unknown = [word for word in chosen if word not in _CASES]
    if unknown or not chosen:
        raise UsageError(f"--case {case}: choose of {', '.join(_CASES)}, with commas between.")
    return chosen


def _measured(
    home: Home, reading: Reading, file: Path, cases: Sequence[str], times: int
) -> tuple[str, list[Measured]]:
    from builder.bench.bench import Bench, folder_of
    from builder.bench.home import bench_home
    from builder.bench.template import BenchTemplate
    from builder.jobs import jobs_of

    jobs = jobs_of([reading.read(file)])
    if len(jobs) != 1:
        raise UsageError(f"{file}: a bench measures one template; there are {len(jobs)} in the file.")
    (job,) = jobs
    written = BenchTemplate(job.document, job.template)
    if cases == ["edited"] and written.why_not:
        raise UsageError(f"{file} cannot be edited: {written.why_not}.", hint="Choose another --case.")
    with bench_home(home) as place:
        bench = Bench(
            place,
            written,
            folder=folder_of(job.document.file),
            minutes=job.template.properties.build_timeout_minutes,
            variables=reading.variables,
            parameters=reading.parameters,
            strict=reading.strict,
            say=lambda line: typer.echo(job.redactor.scrub(line), err=True),
        )
        return job.redactor.scrub(job.template.name), bench.run(cases, times)


def _print(results: Sequence[CaseResult]) -> None:
    from builder.cli.output import print_table

    rows = [
        (
            one.case,
            one.builds,
            _seconds(one.median),
            _seconds(one.p95),
            _seconds(one.guest_median),
            _seconds(one.engine_median),
        )
        for one in results
    ]
    print_table(("Case", "Builds", "Median", "p95", "Guest", "Engine"), rows)
    typer.echo()
    keys = dict.fromkeys((item.label, item.where) for one in results for item in one.phases)
    medians = [{(item.label, item.where): item.seconds for item in one.phases} for one in results]
    phases = [
        (label, where, *(_seconds(one[label, where]) if (label, where) in one else "" for one in medians))
        for label, where in keys
        if any(one.get((label, where), 0.0) >= 0.005 for one in medians)
    ]
    print_table(("Phase", "Where", *(one.case for one in results)), phases)


def _seconds(value: float) -> str:
    """Hundredths: what is compared here differs by less than people care about elsewhere."""
    return f"{value:.2f} s"


def _print_json(name: str, results: Sequence[CaseResult], runs: Sequence[Measured]) -> None:
    from builder.as_json import to_json
    from builder.cli.output import print_json

    builds = [to_json(run) | {"engineSeconds": round(run.engine_seconds, 3)} for run in runs]
    print_json({"template": name, "cases": to_json(list(results)), "builds": builds})
