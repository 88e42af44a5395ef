"""Everything that can be said of a template file without booting anything: `build validate`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from builder.checked import Check, CheckedFile
from builder.deadline import Deadline
from builder.errors import BuildTimeoutError, EnvironmentProblem
from builder.lint.check import check_scripts
from builder.lint.script import Script, script_of
from builder.resolve import collect, is_far, steps_of
from builder.services import Services
from templates.diagnostics import Diagnostic, Location, TemplateError
from templates.files import UnreadableFile
from templates.model import ScriptStep
from templates.report import without_secrets

if TYPE_CHECKING:
    from builder.settings import Home, Settings
    from templates import Document
    from templates.model import ImageTemplate

# For everything a template names together: a person waits for the answer.
_SECONDS = 120.0
_OFFLINE = "--offline"


def check_file(
    file: Path, read: Callable[[], Document], home: Home, settings: Settings, *, offline: bool
) -> CheckedFile:
    """Read a file by `read` and check what it names. `offline`: nothing is asked of the network, nor
    of what this machine has of sources, galleries and images.

    Raises only what is no fault of the file: a cancellation, a setting that is wrong.
    """
    try:
        document = read()
    except (TemplateError, UnreadableFile) as error:
        return CheckedFile(str(file), (Check("template", problems_of(file, error)),))
    return CheckedFile(str(file), _checks(document, _services(document, home, settings), offline=offline))


def problems_of(file: Path, error: TemplateError | UnreadableFile) -> tuple[Diagnostic, ...]:
    """Why a file could not be read, each with its place."""
    if isinstance(error, TemplateError):
        return error.diagnostics
    where = Location(str(file), error.line, error.column)
    message = error.message.removeprefix(f"{where}: ").removeprefix(f"{file}: ")
    return (Diagnostic("error", error.code, message, where, error.hint),)


def _services(document: Document, home: Home, settings: Settings) -> Services:
    deadline = Deadline(_SECONDS, what="the limit of 'build validate'")
    return Services.of(home, settings, deadline, base_dir=Path(document.file).absolute().parent)


def _checks(document: Document, services: Services, *, offline: bool) -> tuple[Check, ...]:
    inputs, scripts = _inputs(document, services, offline=offline)
    checks = [
        Check("template", document.diagnostics),
        inputs,
        Check("scripts", tuple(check_scripts(scripts))),
        _targets(document, services, offline=offline),
    ]
    return tuple(_once(checks, document))


def _inputs(document: Document, services: Services, *, offline: bool) -> tuple[Check, list[Script]]:
    """Fetch all scripts and files and compare their checksums; and those of them that are scripts."""
    problems: list[Diagnostic] = []
    scripts: list[Script] = []
    left = 0
    for template in document.templates:
        prefix = document.pointer_of(template)
        every = list(steps_of(template))
        steps = [(pointer, step) for pointer, step in every if not (offline and is_far(step))]
        left += len(every) - len(steps)
        try:
            frozen, found = collect(steps, services, partial(_locate, document, prefix))
        except BuildTimeoutError:
            problems.append(_too_slow(document, prefix))
            continue
        problems += found
        scripts += [
            script_of(document, prefix + pointer, step, frozen[pointer], services.base_dir)
            for pointer, step in steps
            if pointer in frozen and isinstance(step, ScriptStep)
        ]
    return Check("inputs", tuple(problems), f"{left} not fetched ({_OFFLINE})" if left else ""), scripts


def _locate(document: Document, prefix: str, pointer: str) -> Location:
    return document.locate(prefix + pointer)


def _too_slow(document: Document, pointer: str) -> Diagnostic:
    message = f"the scripts and files were not all fetched within {_SECONDS:.0f} s"
    hint = f"{_OFFLINE} leaves out what has to come over a network"
    return Diagnostic("error", "DownloadFailed", message, document.locate(pointer), hint)


def _targets(document: Document, services: Services, *, offline: bool) -> Check:
    """What a build would find wrong when it is submitted: the source, galleries, places to write to."""
    if offline:
        return Check("targets", skipped=f"not looked at ({_OFFLINE})")
    problems: list[Diagnostic] = []
    skipped = ""
    for template in document.templates:
        try:
            problems += _survey(document, template, services)
        except EnvironmentProblem as error:  # not the template's fault; `build doctor` says more
            skipped = error.message
    return Check("targets", tuple(problems), skipped)


def _survey(document: Document, template: ImageTemplate, services: Services) -> Sequence[Diagnostic]:
    from builder.submit import survey

    try:
        survey(document, template, services)
    except TemplateError as error:
        return error.diagnostics
    except BuildTimeoutError:
        return [_too_slow(document, document.pointer_of(template))]
    return ()


def _once(checks: Iterable[Check], document: Document) -> Iterable[Check]:
    """The checks without what an earlier one said already, and without secrets: tools quote scripts."""
    said: set[Diagnostic] = set()
    for check in checks:
        clean = without_secrets(check.problems, document.secrets, document.file, document.text)
        fresh = [problem for problem in dict.fromkeys(clean) if problem not in said]
        said.update(fresh)
        yield replace(check, problems=tuple(fresh))
