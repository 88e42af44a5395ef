"""The sections of a template that its expressions ask: parameters, variables, functions."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from templates.arm.copies import loops_in
from templates.arm.definitions import ParameterError, Types, is_secure, secrets_in, type_of
from templates.arm.interpolation import has_jinja
from templates.arm.parameters import from_text
from templates.arm.resolver import Resolver
from templates.arm.syntax import ExpressionError, Json, is_expression
from templates.pointers import join

if TYPE_CHECKING:
    from templates.arm.deployment import Deployment


@dataclass(frozen=True, slots=True)
class Argument:
    """A value given for a parameter. `pointer`: where in this file, None when it comes from outside.

    `is_text`: it came as `--var name=text` and is still to be turned into the parameter's type.
    """

    name: str
    value: Callable[[], Json]
    pointer: str | None = None
    is_text: bool = False


def section(home: Deployment, name: str, kind: type = dict) -> Any:  # noqa: ANN401 - one of the two
    """A section of a deployment's template; empty, and reported, when it is of another kind."""
    found = home.body.get(name)
    if found is None or isinstance(found, kind):
        return kind() if found is None else found
    wanted = "an object" if kind is dict else "an array"
    home.shared.report.error("WrongType", f"'{name}' must be {wanted}", join(home.pointer, name))
    return kind()


class Parameters:
    """The parameters of one deployment; each is computed when first asked for."""

    def __init__(self, home: Deployment, arguments: Iterable[Argument]) -> None:
        self.home = home
        self.pointer = join(home.pointer, "parameters")
        self.definitions: dict[str, Json] = section(home, "parameters")
        self.types = Types(home.body.get("definitions"))
        self.arguments = {argument.name.casefold(): argument for argument in arguments}

    def value(self, name: str) -> Json:
        """The value of a parameter: given, or its default. Raises ExpressionError."""
        found = find_name("parameter", name, self.definitions)
        return self.home.shared.memo.once((self, found), found, lambda: self._compute(found))

    def check(self) -> None:
        """Report bad definitions, bad, missing and unknown values; note what is secret."""
        report = self.home.shared.report
        for name, definition in self.definitions.items():
            self._note_default(definition)
            argument = self.arguments.get(name.casefold())
            try:
                self.types.check_definition(name, definition)
                if argument is not None and argument.pointer is None:
                    self._given(name, definition, argument)
            except ParameterError as error:
                self._report(name, error)
                continue
            if argument is None:
                self._check_default(name, definition)
            if argument is None and "defaultValue" not in definition and not self._is_nullable(definition):
                message = f"the parameter '{name}' has no value"
                hint = (
                    f'give it in a file: --parameters FILE, holding {{"{name}": …}}, or: --var {name}=VALUE'
                )
                if self.home.parent:
                    hint = f"'{self.home.name}' is to be given it in its 'parameters'"
                report.fail("MissingParameter", message, join(self.pointer, name), hint=hint, key=True)
        known = {name.casefold() for name in self.definitions}
        for folded, argument in self.arguments.items():
            if folded not in known and not argument.is_text:
                meant = _similar(argument.name, self.definitions)
                message = f"a value is given for '{argument.name}', but the template has no such parameter"
                at = argument.pointer or self.pointer
                report.error("UnknownParameter", message, at, hint=meant, key=True)

    def _compute(self, name: str) -> Json:
        definition, pointer = self.definitions[name], join(self.pointer, name)
        report = self.home.shared.report
        argument = self.arguments.get(name.casefold())
        try:
            self.types.check_definition(name, definition)
            value = None if argument is None else self._given(name, definition, argument)
            if value is None and "defaultValue" in definition:
                default = Resolver(self.home, in_default=True)
                value = default.compute(definition["defaultValue"], join(pointer, "defaultValue"))
                report.secrets.extend(self.types.secrets(definition, value))
                if value is not None:
                    self.types.check_value(name, definition, value)
            if value is None and not self._is_nullable(definition) and "defaultValue" not in definition:
                raise ParameterError("MissingParameter", f"the parameter '{name}' has no value")
        except ParameterError as error:
            if argument is not None and argument.pointer and not error.key:
                pointer = argument.pointer
            raise _located(error, pointer) from None
        return value

    def _given(self, name: str, definition: dict[str, Any], argument: Argument) -> Json:
        """The value given, checked. Raises ParameterError, ExpressionError."""
        value = argument.value()
        if argument.is_text:
            kind = type_of(self.types.follow(definition))
            if is_secure({"type": kind}):
                self.home.shared.report.secrets.extend(secrets_in(value))
            value = from_text(name, kind, value)
        self.home.shared.report.secrets.extend(self.types.secrets(definition, value))
        if value is not None:  # ARM takes a null for a value that is not given
            self.types.check_value(name, definition, value)
        return value

    def _is_nullable(self, definition: dict[str, Any]) -> bool:
        return self.types.follow(definition).get("nullable") is True

    def _note_default(self, definition: Json) -> None:
        default = definition.get("defaultValue") if isinstance(definition, dict) else None
        if default is None or (isinstance(default, str) and is_expression(default)):
            return
        self.home.shared.report.secrets.extend(self.types.secrets(definition, default))

    def _check_default(self, name: str, definition: dict[str, Any]) -> None:
        """Azure refuses a bad default even where nothing uses it; what does, here, makes it an error."""
        default = definition.get("defaultValue")
        if default is None or not _is_literal(default):
            return
        try:
            self.types.check_value(name, definition, default)
        except ParameterError as error:
            at = join(self.pointer, name, error.key) if error.key else join(self.pointer, name)
            self.home.shared.report.lenient(error.code, error.message, at, hint=error.hint)

    def _report(self, name: str, error: ParameterError) -> None:
        report, pointer = self.home.shared.report, join(self.pointer, name)
        place = join(pointer, error.key) if error.key else pointer
        report.fail(error.code, error.message, place, hint=error.hint)
        report.failed.add(pointer)


class Variables:
    """The variables of one deployment, those that its copy loops make included."""

    def __init__(self, home: Deployment) -> None:
        self.home = home
        self.pointer = join(home.pointer, "variables")
        written: dict[str, Json] = section(home, "variables")
        loops = loops_in(written) or []
        self._written = {name: item for name, item in written.items() if name != "copy" or not loops}
        self._loops = {loop["name"]: (index, loop) for index, loop in enumerate(loops)}

    def value(self, name: str) -> Json:
        """The value of a variable. Raises ExpressionError."""
        found = find_name("variable", name, {**self._written, **self._loops})
        return self.home.shared.memo.once((self, found), found, lambda: self._compute(found))

    def _compute(self, name: str) -> Json:
        resolver = Resolver(self.home)
        if name not in self._loops:
            return resolver.compute(self._written[name], join(self.pointer, name))
        index, loop = self._loops[name]
        return resolver.items(loop, self.pointer, join(self.pointer, "copy", index))


class Functions:
    """The functions that a template defines (`functions`), called as `namespace.name(…)`."""

    def __init__(self, home: Deployment) -> None:
        self.home = home
        self.pointer = join(home.pointer, "functions")
        self._spaces: list[Json] = section(home, "functions", list)

    def call(self, namespace: str, name: str, arguments: list[Json]) -> Json:
        """The output of a function. Raises ExpressionError."""
        known: dict[str, tuple[str, dict[str, Any]]] = {}
        for index, space in enumerate(self._spaces):
            members = space.get("members") if isinstance(space, dict) else None
            for member, body in members.items() if isinstance(members, dict) else ():
                if isinstance(body, dict):
                    at = join(self.pointer, index, "members", member)
                    known[f"{space.get('namespace')}.{member}"] = (at, body)
        pointer, body = known[find_name("function", f"{namespace}.{name}", known)]
        declared = body.get("parameters")
        names = [p.get("name") for p in declared if isinstance(p, dict)] if isinstance(declared, list) else []
        if len(names) != len(arguments):
            message = f"{namespace}.{name}() takes {len(names)} argument(s), got {len(arguments)}"
            raise ExpressionError("BadArguments", message)
        inner = Resolver(self.home, arguments=dict(zip(map(str, names), arguments, strict=True)))
        output = body.get("output")
        value = output.get("value") if isinstance(output, dict) else None
        return inner.compute(value, join(pointer, "output", "value"))


def find_name(noun: str, name: str, there: Mapping[str, object]) -> str:
    """`name` as it is spelled in `there`. Raises ExpressionError that names a similar one."""
    for known in there:
        if known.casefold() == name.casefold():
            return known
    message = f"there is no {noun} '{name}'"
    raise ExpressionError(f"Unknown{noun.capitalize()}", message, hint=_similar(name, there))


def _similar(name: str, there: Mapping[str, object]) -> str:
    """What may have been meant by `name`, or else all there is."""
    close = difflib.get_close_matches(name, there, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    names = list(there)[:20]
    shown = ", ".join(names) + (", …" if len(there) > len(names) else "")
    return f"the template declares: {shown or 'none'}"


def _is_literal(value: Json) -> bool:
    """Whether nothing in a value is still to be computed or filled in."""
    if isinstance(value, dict | list):
        return all(map(_is_literal, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, str) or not (is_expression(value) or "<" in value or has_jinja(value))


def _located(error: ParameterError, pointer: str) -> ExpressionError:
    located = ExpressionError(error.code, error.message, hint=error.hint)
    located.pointer = join(pointer, error.key) if error.key else pointer
    return located
