"""Packer's texts as ours: Go templates become Jinja2, user variables become `{{ name }}`."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from templates.packer.document import Variable
from templates.packer.go_template import Action, parse_go_template
from templates.packer.notes import NOTHING, Notes

# Words that Jinja2 keeps for itself, beside Python's.
_JINJA_WORDS = frozenset({"true", "false", "none", "self", "loop", "context", "default"})
_BRACES = re.compile(r"\{[{%]|\{\Z")
_FILTERS = ("lower", "upper")
# What Packer computes anew in each build. Our texts have no clock: the command line has.
_COMPUTED = {
    "timestamp": "$(date +%s)",
    "isotime": "$(date -u +%Y-%m-%dT%H:%M:%SZ)",
    "uuid": "$(uuidgen)",
    "packer_version": "VALUE",
}
_HERE = ("template_dir", "pwd")


@dataclass(frozen=True, slots=True)
class Reference:
    """A use of a variable: its name in Jinja2, in Packer ("" when it is no user variable), filters."""

    name: str
    variable: str
    filters: tuple[str, ...] = ()


class Texts:
    """Rewrites the texts of one build and remembers which variables it used.

    `builder` and `kind` answer `{{build_name}}` and `{{build_type}}`.
    """

    def __init__(self, variables: Mapping[str, Variable], notes: Notes, builder: str, kind: str) -> None:
        self._variables = variables
        self._notes = notes
        self._constants = {"build_name": builder, "build_type": kind, **dict.fromkeys(_HERE, ".")}
        self._names: dict[tuple[str, str], str] = {}
        self._used: set[str] = set()
        self._needed: dict[str, str] = {}
        self._fixed: set[str] = set()
        for name in variables:  # first come the user's own: they keep their names
            self._name("user", name, name)

    def jinja(self, text: str, pointer: str, *, required: bool = False) -> str:
        """`text` for our template. A `required` one must not come out empty: empty defaults do not count."""
        pieces = self._pieces(text, pointer)
        out = []
        for index, piece in enumerate(pieces):
            if isinstance(piece, Reference):
                out.append("{{ " + self._expression(piece, required=required, seen=()) + " }}")
            else:
                out.append(_escape(piece, last=index == len(pieces) - 1))
        return "".join(out)

    def plain(self, text: str, pointer: str) -> str | None:
        """`text` with the defaults filled in, for fields that hold no text; None when one is missing."""
        used: set[str] = set()
        found = self._plain(self._pieces(text, pointer), (), used)
        self._used |= used
        if found is not None:
            self._fixed |= used
        return found

    def secret_source(self, text: str, pointer: str) -> str | None:
        """The environment variable that Packer takes `text` from, when it is just a sensitive variable."""
        pieces = self._pieces(text, pointer)
        if len(pieces) != 1 or not isinstance(pieces[0], Reference):
            return None
        variable = self._variables.get(pieces[0].variable)
        if variable is None or not variable.sensitive:
            return None
        self._used.add(variable.name)
        why = "it is a secret: its default is not written into the template"
        self._notes.add("implied", variable.pointer, why, "nothing to do, unless a step needs it elsewhere")
        return _environment_of(variable) or f"PKR_VAR_{variable.name}"

    def finish(self) -> None:
        """Note what is to be said about the variables."""
        for name, variable in self._variables.items():
            ours = self._names["user", name]
            if name in self._needed:
                outside = _environment_of(variable)
                value = f'"${outside}"' if outside else "VALUE"
                self._notes.add("fill", variable.pointer, self._needed[name], f"build: --var {ours}={value}")
            elif name in self._fixed:
                why = "a number, a choice or a list cannot be left open: its default was written in"
                self._notes.add("changed", variable.pointer, why, "change it in the template")
            elif name not in self._used:
                self._notes.add("implied", variable.pointer, "nothing that was imported uses it", NOTHING)
            elif isinstance(variable.default, dict | list):
                why = "it is used as a text, and its default is none"
                self._notes.add("lost", variable.pointer, why, "look at where it is used")
            if ours != name and name in self._used:
                why = f"it is called '{ours}' here, since '{name}' is no name in {{{{ }}}}"
                self._notes.add("changed", variable.pointer, why, f"--var {ours}=VALUE")

    # -- pieces ---------------------------------------------------------------------------------

    def _pieces(self, text: str, pointer: str) -> list[str | Reference]:
        merged: list[str | Reference] = []
        for piece in parse_go_template(text):
            made = piece if isinstance(piece, str) else self._resolve(piece, pointer)
            if isinstance(made, str) and merged and isinstance(merged[-1], str):
                merged[-1] += made
            else:
                merged.append(made)
        return merged

    def _resolve(self, action: Action, pointer: str) -> str | Reference:
        if len(action.words) == 1 and action.quoted:
            return action.words[0]  # {{`{{`}}: how a Go template writes braces
        if action.is_call("user", 1):
            filters = action.pipes(1)
            if filters is not None and set(filters) <= set(_FILTERS):
                return self._user(action.words[1], filters, pointer)
        elif action.is_call("env", 1) and len(action.words) == 2:
            why = "Packer reads it from the environment; here values are given by name"
            return self._given("env", action.words[1], f'"${action.words[1]}"', why, pointer)
        elif len(action.words) == 1 and action.words[0] in self._constants:
            return self._constants[action.words[0]]
        return self._computed(action, pointer)

    def _user(self, name: str, filters: tuple[str, ...], pointer: str) -> Reference:
        ours = self._name("user", name, name)
        if name not in self._variables:
            self._given("user", name, "VALUE", "the variable is not declared in this file", pointer)
            return Reference(ours, "", filters)
        self._used.add(name)
        return Reference(ours, name, filters)

    def _computed(self, action: Action, pointer: str) -> Reference:
        """A value that only Packer knows how to make becomes a variable to be given."""
        word = action.words[0] if action.words else ""
        if word == "hcl" and len(action.texts()) == 2:  # from templates/packer/hcl_values.py
            wanted, source = action.texts()
            source = f"the expression '{source}'"
        else:
            wanted = word if word in _COMPUTED else "_".join(("build", *action.texts())[:2])
            wanted = wanted if word in (*_COMPUTED, "build") else "packer_value"
            source = f"'{action.source}'"
        value = _COMPUTED.get(word, "VALUE")
        return self._given(action.source, wanted, value, f"only Packer can compute {source}", pointer)

    def _given(self, space: str, wanted: str, value: str, why: str, pointer: str) -> Reference:
        name = self._name(space, wanted, wanted)
        self._notes.add("fill", pointer, why, f"build: --var {name}={value}")
        return Reference(name, "")

    def _name(self, space: str, key: str, wanted: str) -> str:
        """A name Jinja2 and --var can use; the same thing always gets the same one."""
        if (space, key) not in self._names:
            name = re.sub(r"\W", "_", wanted, flags=re.ASCII) or "packer_value"
            if name[0].isdigit():
                name = f"_{name}"
            taken = {*self._names.values(), *keyword.kwlist, *_JINJA_WORDS}
            unique, number = name, 2
            while unique in taken:
                unique, number = f"{name}_{number}", number + 1
            self._names[space, key] = unique
        return self._names[space, key]

    # -- defaults -------------------------------------------------------------------------------

    def _expression(self, reference: Reference, *, required: bool, seen: tuple[str, ...]) -> str:
        default = self._default(reference, required=required, seen=seen)
        text = reference.name
        if default is not None and all(isinstance(piece, str) for piece in default):
            text += f" | default({_quote(''.join(map(str, default)))})"
        elif default is not None:
            # Not the filter: it would compute its argument, and miss its variables, even when not needed.
            inner = [
                _quote(piece)
                if isinstance(piece, str)
                else f"({self._expression(piece, required=required, seen=(*seen, reference.variable))})"
                for piece in default
            ]
            text = f"({text} if {text} is defined else {' ~ '.join(inner)})"
        return " | ".join((text, *reference.filters))

    def _default(
        self, reference: Reference, *, required: bool, seen: tuple[str, ...]
    ) -> Sequence[str | Reference] | None:
        variable = self._variables.get(reference.variable)
        if variable is None:
            return None
        why = ""
        if variable.sensitive:
            why = "it is a secret: its default is not written into the template"
        elif variable.name in seen:
            why = "its default leads back to itself"
        elif _environment_of(variable):
            why = "Packer reads it from the environment; here values are given by name"
        elif variable.default is None:
            why = "it has no default"
        elif required and variable.default == "":
            why = "its default is empty, and it is used where something must stand"
        if why:
            self._needed[variable.name] = why
            return None
        if not isinstance(variable.default, str | int | float):
            return None
        return self._pieces(_as_text(variable.default), variable.pointer)

    def _plain(self, pieces: Sequence[str | Reference], seen: tuple[str, ...], used: set[str]) -> str | None:
        out = []
        for piece in pieces:
            if isinstance(piece, str):
                out.append(piece)
                continue
            variable = self._variables.get(piece.variable)
            known = variable is not None and variable.name not in seen and not variable.sensitive
            if variable is None or not known or not isinstance(variable.default, str | int | float):
                return None
            used.add(variable.name)
            inner = self._pieces(_as_text(variable.default), variable.pointer)
            text = self._plain(inner, (*seen, variable.name), used)
            if text is None:
                return None
            for name in piece.filters:
                text = text.lower() if name == "lower" else text.upper()
            out.append(text)
        return "".join(out)


def _as_text(value: Any) -> str:  # noqa: ANN401 - a plain JSON value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _environment_of(variable: Variable) -> str | None:
    """X, when the default is exactly `{{env `X`}}`."""
    pieces = parse_go_template(variable.default) if isinstance(variable.default, str) else []
    if len(pieces) == 1 and isinstance(pieces[0], Action) and pieces[0].is_call("env", 1):
        return pieces[0].words[1]
    return None


def _escape(text: str, *, last: bool) -> str:
    """Literal braces, so that Jinja2 takes them for text; one that ends the piece meets the next `{{`."""

    def quoted(match: re.Match[str]) -> str:
        found = match.group()
        return found if found == "{" and last else "{{ '" + found + "' }}"

    return _BRACES.sub(quoted, text)


def _quote(text: str) -> str:
    """A Jinja2 string. Line ends are escaped, since they may not stand in one."""
    text = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{text}'"
