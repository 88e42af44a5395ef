"""`build validate`: read and check templates without building anything."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.errors import ExitCode
from builder.settings import Home
from builder.ui.diagnostics import Format

if TYPE_CHECKING:
    from builder.checked import CheckedFile
    from builder.cli.reading import Reading
    from templates.fix import FixResult

EPILOG = """
Examples:

  build validate template.json

  build validate *.json --strict --offline --format github

  build validate template.json --fix --diff

  generate-template | build validate -
"""


def validate(
    templates: Annotated[list[Path], typer.Argument(help="AIB template files; - is standard input")],
    var: Annotated[list[str] | None, typer.Option("--var", help="K=V for {{ K }} in string values")] = None,
    var_file: Annotated[list[Path] | None, typer.Option(help="JSON file of variables; --var wins")] = None,
    parameters: Annotated[Path | None, typer.Option(help="ARM parameter file")] = None,
    *,
    strict: Annotated[
        bool,
        typer.Option("--strict/--lenient", help="judge as Azure does, or accept what real templates contain"),
    ] = False,
    offline: Annotated[
        bool,
        typer.Option("--offline", help="look at the files alone: no network, no galleries of this machine"),
    ] = False,
    how: Annotated[Format, typer.Option("--format", help="how findings are written")] = Format.HUMAN,
    as_json: Annotated[bool, typer.Option("--json", help="short for --format json")] = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="rewrite the files to the newest API version, then check them")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", "--dry-run", help="with --fix: show what would change, write nothing")
    ] = False,
) -> None:
    """Check templates: syntax, fields, ids, expressions, scripts, what they name. Boots nothing."""
    from builder.checked import Check, CheckedFile, count
    from builder.cli.reading import Reading, named
    from builder.errors import UsageError
    from builder.ui.diagnostics import write
    from templates.diagnostics import TemplateError

    if diff and not fix:
        raise UsageError("--diff shows what --fix would change.", hint="Add --fix; nothing is written then.")
    home = Home()
    files = [named(file) for file in templates]
    try:
        reading = Reading.of(home, var or [], var_file or [], parameters, strict=strict)
    except TemplateError as error:  # of the parameter file, which has lines like any other
        checked = [CheckedFile(str(parameters), (Check("parameters", error.diagnostics),))]
    else:
        if diff:
            checked = _show_changes(files, reading)
        else:
            checked = [_check(file, reading, home, offline=offline, fix=fix) for file in files]
    if checked:
        write(checked, Format.JSON if as_json else how, sys.stdout)
    if count(checked)[0]:
        raise typer.Exit(int(ExitCode.BAD_TEMPLATE))


def _check(file: Path, reading: Reading, home: Home, *, offline: bool, fix: bool) -> CheckedFile:
    from builder.checked import Check
    from builder.fixing import write_back
    from builder.validation import check_file
    from templates.diagnostics import TemplateError
    from templates.files import UnreadableFile

    fixed = None
    if fix:
        with suppress(TemplateError, UnreadableFile):  # the check below says why
            fixed = _fixed(file, reading)
    if fixed is not None and fixed.changes:
        write_back(file, fixed.text)
        for sentence in fixed.changes:
            typer.echo(f"{file}: {sentence}", err=True)
    found = check_file(file, partial(reading.read, file), home, reading.settings, offline=offline)
    if fixed is None:
        return found
    said = {(problem.code, problem.location) for problem in found.problems}
    left = [replace(one, severity="warning") for one in fixed.left if (one.code, one.location) not in said]
    return replace(found, checks=(*found.checks, Check("fix", tuple(left))))


def _fixed(file: Path, reading: Reading) -> FixResult:
    """The repaired text. Raises TemplateError, UnreadableFile."""
    from templates.fix import fix_file

    return fix_file(file, variables=reading.variables, parameters=reading.parameters, defaults=reading.scope)


def _show_changes(files: Sequence[Path], reading: Reading) -> list[CheckedFile]:
    """Write the diffs; what is returned are the files that cannot be read."""
    from builder.checked import Check, CheckedFile
    from builder.fixing import difference
    from builder.validation import problems_of
    from templates.diagnostics import TemplateError
    from templates.files import UnreadableFile

    bad: list[CheckedFile] = []
    for file in files:
        try:
            fixed = _fixed(file, reading)
        except (TemplateError, UnreadableFile) as error:
            bad.append(CheckedFile(str(file), (Check("template", problems_of(file, error)),)))
        else:
            sys.stdout.write(difference(file, fixed.text))
    return bad
