"""Packer's shell provisioner as Shell steps, with its sudo and its restarts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from templates.packer.notes import NOTHING
from templates.packer.section import Section
from templates.packer.step_settings import Step, environment, extensions, named, with_extensions

# A whole line that restarts the machine, however it is asked for.
_REBOOT = re.compile(
    r"\s*(?:sudo\s+(?:-\w+\s+)*)?(?:/\S*/)?"
    r"(?:(?:systemctl\s+)?reboot(?:\s+(?:-f|--force|now))?"
    r"|shutdown\s+(?:-r|--reboot)(?:\s+(?:now|\+?0))?|init\s+6)"
    r"\s*[;&]?\s*"
)
_DEPROVISION = re.compile(r"\bwaagent\b.*-deprovision")
_SUDO = re.compile(r"\bsudo\b")
_OTHER_USER = re.compile(r"\bsudo\b[^;|&]*\s(?:-u|--user)\b")
# `env -S` splits its words, which the kernel does not: "#!" hands over one argument at most.
_AS_ROOT = "#!/usr/bin/env -S sudo -n -E"
_DEFAULT_SHELL = "/bin/sh -e"


def shell_steps(section: Section) -> Iterator[Step]:
    """The steps of one shell provisioner: its commands, or one step for each of its scripts."""
    shared = named(section, "Shell")
    root = _runs_as_root(section)
    lines = section.texts_of("inline")
    scripts = [*section.texts_of("script"), *section.texts_of("scripts")]
    settings = environment(section, extensions(section))
    shebang = section.text("inline_shebang") if lines else None
    lines, restart = _without_restart(section, _without_deprovision(section, lines))
    if any(line.strip() for line in lines):
        interpreter = shebang or (_DEFAULT_SHELL if root else "")
        first = [f"{_AS_ROOT} {interpreter}" if root else f"#!{interpreter}"] if interpreter else []
        if first and lines[0].startswith("#!"):
            why = "the first command is a '#!' line itself and counts"
            section.notes.add("changed", section.pointer, why, "check who it runs as")
            first = []
        yield with_extensions({**shared, "inline": [*first, *lines]}, settings)
    if restart:
        yield {"type": "x-LinuxRestart"}
    if scripts and not root:
        why = "a script from a file runs as root here (sudo -E); Packer ran it as the build user"
        section.notes.add("changed", section.pointer, why, "use inline for what must not be root")
    for script in scripts:
        yield with_extensions({**shared, "scriptUri": script}, settings)


def _runs_as_root(section: Section) -> bool:
    """Whether `execute_command` asks for sudo; any other one is left to be reported."""
    command = section.raw("execute_command") if section.has("execute_command") else None
    if not isinstance(command, str) or not _SUDO.search(command):
        if command is not None:
            why = "the builder runs scripts in one way only: by their first line"
            section.explain("execute_command", ("lost", why, "choose the shell in the script's first line"))
        return False
    if _OTHER_USER.search(command):
        why = "the script runs as root, not as the user this command names"
        section.explain("execute_command", ("changed", why, "use 'sudo -u USER' in the script"))
        return True
    why = "of this command only the sudo counts: the script runs as root, without a password"
    section.explain("execute_command", ("changed", why, NOTHING))
    return True


def _without_deprovision(section: Section, lines: list[str]) -> list[str]:
    """AIB and Goldsmith deprovision by themselves; a second time would lock the builder out."""
    if not any(_DEPROVISION.search(line) for line in lines):
        return lines
    why = "the builder itself deprovisions the machine when all steps are done: the line was left out"
    section.notes.add("changed", section.place("inline"), why, NOTHING)
    return [line for line in lines if not _DEPROVISION.search(line)]


def _without_restart(section: Section, lines: list[str]) -> tuple[list[str], bool]:
    """A restart that ends the commands becomes a step, which waits until the machine is back."""
    last = next((index for index in reversed(range(len(lines))) if lines[index].strip()), None)
    if last is None or not _REBOOT.fullmatch(lines[last]):
        return lines, False
    why = "the restart became a step of its own, x-LinuxRestart, which waits for the machine"
    rest = lines[:last]
    # With no other command the whole provisioner became that step, its settings included.
    place = section.place("inline") if any(line.strip() for line in rest) else section.pointer
    section.notes.add("changed", place, why, NOTHING)
    section.explain("expect_disconnect", ("implied", "the restart is a step of its own", NOTHING))
    return rest, True
