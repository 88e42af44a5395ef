"""What all provisioners of Packer share: limits, repeats, environment; here `x-goldsmith` of a step."""

from __future__ import annotations

import re
from typing import Any

from templates.packer.notes import NOTHING
from templates.packer.section import Section
from templates.pointers import join

Step = dict[str, Any]  # JSON of a step

MOST_RETRIES = 10
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def named(section: Section, kind: str) -> Step:
    """The start of a step: its type, and its name where Packer has one."""
    name = section.text("name")
    return {"type": kind, "name": name} if name else {"type": kind}


def with_extensions(step: Step, settings: Step) -> Step:
    """The step with its `x-goldsmith`, where there is something in it."""
    return {**step, "x-goldsmith": settings} if settings else step


def extensions(section: Section) -> Step:
    """`timeout` and `max_retries` as `x-goldsmith` has them."""
    found: Step = {}
    timeout = section.duration("timeout")
    if timeout:
        found["timeout"] = timeout
    retries = section.integer("max_retries")
    if retries:
        found["retry"] = min(retries, MOST_RETRIES)
        if retries > MOST_RETRIES:
            why = f"a step is tried again {MOST_RETRIES} times at most"
            section.notes.add("changed", section.place("max_retries"), why, NOTHING)
    return found


def environment(section: Section, settings: Step) -> Step:
    """`settings` with `env` and `secrets` from `environment_vars` and `env`."""
    plain: dict[str, str] = {}
    secrets: dict[str, dict[str, str]] = {}
    places: dict[str, str] = {}
    for name, value, place in _assignments(section):
        if not _ENV_NAME.fullmatch(name):
            why = "an environment variable is written NAME=VALUE"
            section.notes.add("lost", place, why, "set it in the script")
            continue
        if name in places:
            why = f"{name} is set once more further down; the last counts"
            section.notes.add("lost", places[name], why, "set it once")
        places[name] = place
        plain.pop(name, None)
        source = section.texts.secret_source(value, place)
        if source:
            secrets[name] = {"env": source}
            why = f"it is a secret: the step takes it from your environment variable {source}"
            section.notes.add("fill", place, why, f"export {source}=VALUE")
        else:
            secrets.pop(name, None)
            plain[name] = section.texts.jinja(value, place)
    found = dict(settings)
    if plain:
        found["env"] = plain
    if secrets:
        found["secrets"] = secrets
    return found


def _assignments(section: Section) -> list[tuple[str, str, str]]:
    """Name, raw value and place of each variable."""
    found = []
    lines = section.raw("environment_vars")
    for index, line in enumerate(lines if isinstance(lines, list) else [lines] if lines else []):
        at = section.place("environment_vars")
        place = join(at, index) if isinstance(lines, list) else at
        name, equals, value = line.partition("=") if isinstance(line, str) else ("", "", "")
        found.append((name if equals else "", value, place))
    table = section.raw("env")
    if isinstance(table, dict):
        for name, value in table.items():
            nested = isinstance(value, dict | list) or value is None
            text = str(value).lower() if isinstance(value, bool) else str(value)
            found.append(("" if nested else name, text, join(section.place("env"), name)))
    elif table:
        section.explain("env", ("lost", "it must be an object of names and values", "write it as one"))
    return found
