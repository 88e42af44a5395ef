"""Packer's provisioners as AIB's customizers."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from typing import Any

from templates.packer.document import Build, Part
from templates.packer.notes import NOTHING, Notes
from templates.packer.reasons import STEP, of_provisioner
from templates.packer.section import Section
from templates.packer.shell import shell_steps
from templates.packer.step_settings import Step, environment, extensions, named, with_extensions
from templates.packer.texts import Texts

_RESTART_DEFAULT = "5m"
_RESTART_COMMANDS = (
    ("restart_command", "restartCommand"),
    ("restart_check_command", "restartCheckCommand"),
)
_SYSTEM = ("system", "nt authority\\system", "localsystem")


def convert_steps(build: Build, notes: Notes, texts: Texts) -> list[Step]:
    """The steps of a build, in Packer's order; what is no step is noted."""
    steps: list[Step] = []
    for part in build.provisioners:
        convert = _CONVERTERS.get(part.kind)
        if convert is None:
            notes.add(*_placed(part, of_provisioner(part.kind)))
            continue
        section = Section(part.data, part.pointer, notes, texts)
        if _applies(section, build):
            _override(section, build)
            made = list(convert(section))
            section.close(STEP)
            if not made and not notes.covers(part.pointer):
                notes.add("changed", part.pointer, "no step came of it: it does nothing else", NOTHING)
            steps += made
    return steps


def _placed(part: Part, reason: tuple[Any, str, str]) -> tuple[Any, str, str, str]:
    kind, why, advice = reason
    return kind, part.pointer, why, advice


def _applies(section: Section, build: Build) -> bool:
    """`only` and `except`; a step for other builders is noted as a whole."""
    only, excluded = section.raw("only"), section.raw("except")
    name = build.builder.name
    if (not only or name in _listed(only)) and name not in _listed(excluded):
        for key in ("only", "except"):
            section.explain(key, ("implied", f"the step is for the builder '{name}'", NOTHING))
        return True
    why = f"the step is not for the builder '{name}'"
    section.notes.add("implied", section.pointer, why, NOTHING)
    return False


def _listed(value: Any) -> list[Any]:  # noqa: ANN401 - any JSON value
    return value if isinstance(value, list) else [value]


def _override(section: Section, build: Build) -> None:
    overrides = section.section("override")
    if overrides is None:
        return
    mine = overrides.section(build.builder.name)
    if mine is not None:
        section.overlay(mine)
    overrides.close(lambda name: ("implied", f"an override for the builder '{name}'", NOTHING))


# -- one function a type ------------------------------------------------------------------------


def _file(section: Section) -> Iterator[Step]:
    shared = named(section, "File")
    direction = section.plain("direction")
    if direction not in (None, "upload"):
        why = "a File step only brings files in; nothing is fetched from the machine"
        section.notes.add("lost", section.pointer, why, "boot the image to look at what is in it")
        return
    settings = extensions(section)
    sources = [*section.texts_of("source"), *section.texts_of("sources")]
    destination = section.text("destination") or ""
    if not destination:
        why = "a File step wants the full path, the file's name included"
        section.notes.add("fill", section.place("destination"), why, "write it into the template")
    reason = "a File step uploads a file; it cannot hold its text"
    section.explain("content", ("lost", reason, "save it as a file and name it in sourceUri"))
    for source in sources:
        if source.endswith("/"):
            why = "a File step uploads one file, no folder"
            section.notes.add("lost", section.pointer, why, "pack it (tar), upload that and unpack in a step")
            continue
        step = {**shared, "sourceUri": source, "destination": _target(section, source, destination)}
        yield with_extensions(step, settings)


def _target(section: Section, source: str, destination: str) -> str:
    """The full path with the file's name, which AIB wants where Packer takes a folder, too."""
    if destination.endswith(("/", "\\")):
        name = posixpath.basename(source.replace("\\", "/"))
        why = "a File step wants the full path, the file's name included: it was appended"
        section.notes.add("changed", section.place("destination"), why, "check the name")
        return destination + name
    return destination


def _powershell(section: Section) -> Iterator[Step]:
    shared = named(section, "PowerShell")
    lines = section.texts_of("inline")
    scripts = [*section.texts_of("script"), *section.texts_of("scripts")]
    rights: Step = {}
    if section.has("elevated_user"):
        user = section.texts.plain(str(section.raw("elevated_user")), section.place("elevated_user")) or ""
        rights = {"runElevated": True}
        if user.casefold() in _SYSTEM:
            rights["runAsSystem"] = True
        why = "an elevated step runs as the build user, or as Local System"
        section.explain("elevated_user", ("changed", why, "'runAsSystem' says which"))
        why = "an elevated step needs no password"
        section.explain("elevated_password", ("implied", why, NOTHING))
    codes = section.integers("valid_exit_codes")
    if codes:
        rights["validExitCodes"] = codes
    settings = environment(section, extensions(section))
    if any("sysprep" in line.casefold() for line in lines):
        why = "the builder itself runs sysprep when all steps are done: this step was left out"
        section.notes.add("changed", section.pointer, why, "keep what else it does in a step of its own")
        lines = []
    if lines:
        yield with_extensions({**shared, "inline": lines, **rights}, settings)
    for script in scripts:
        yield with_extensions({**shared, "scriptUri": script, **rights}, settings)


def _windows_restart(section: Section) -> Iterator[Step]:
    step: Step = named(section, "WindowsRestart")
    for theirs, ours in _RESTART_COMMANDS:
        text = section.text(theirs)
        if text:
            step[ours] = text
    step["restartTimeout"] = section.duration("restart_timeout") or _RESTART_DEFAULT
    yield with_extensions(step, extensions(section))


def _windows_update(section: Section) -> Iterator[Step]:
    step: Step = named(section, "WindowsUpdate")
    criteria = section.text("search_criteria")
    if criteria:
        step["searchCriteria"] = criteria
    filters = section.texts_of("filters")
    if filters:
        step["filters"] = filters
    limit = section.integer("update_limit")
    if limit is not None:
        step["updateLimit"] = limit
    yield with_extensions(step, extensions(section))


def _shell(section: Section) -> Iterator[Step]:
    yield from shell_steps(section)


_CONVERTERS: dict[str, Callable[[Section], Iterator[Step]]] = {
    "shell": _shell,
    "file": _file,
    "powershell": _powershell,
    "windows-restart": _windows_restart,
    "windows-update": _windows_update,
}
