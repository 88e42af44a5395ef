"""One deployment: the file's own, or one nested in another (`Microsoft.Resources/deployments`)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from templates.arm.entries import Entry, find_entries
from templates.arm.index import Index
from templates.arm.lazy import LazyObject
from templates.arm.resolver import Resolver
from templates.arm.scope import Place
from templates.arm.sections import Argument, Functions, Parameters, Variables
from templates.arm.shared import Shared
from templates.arm.spelling import spell_template
from templates.arm.syntax import ExpressionError, Json, kind_of
from templates.pointers import join

MAX_LEVELS = 16
_OF_TEMPLATE = ("$schema", "contentVersion", "languageVersion", "metadata")


class Deployment:
    """A template with the values given to it. `body` is the template as written, `pointer` its place.

    Its resources land in `place`. `around` is what computes its values when the expressions in it
    count as those of the deployment around it (scope `outer`, ARM's default for nested templates).
    """

    def __init__(
        self,
        shared: Shared,
        body: dict[str, Any],
        pointer: str,
        place: Place,
        *,
        name: str,
        arguments: Iterable[Argument] = (),
        parent: Deployment | None = None,
        around: Resolver | None = None,
    ) -> None:
        self.shared = shared
        self.body = body
        self.pointer = pointer
        self.place = place
        self.name = name
        self.parent = parent
        self.around = around
        self._arguments = tuple(arguments)
        self.index: Index | None = None
        self.level: int = parent.level + 1 if parent else 0

    @property
    def root(self) -> Deployment:
        """The file's own deployment."""
        return self.parent.root if self.parent else self

    @cached_property
    def resolver(self) -> Resolver:
        """What computes the values of this deployment's resources."""
        return self.around or Resolver(self)

    @cached_property
    def parameters(self) -> Parameters:
        """Its parameters."""
        return Parameters(self, self._arguments)

    @cached_property
    def variables(self) -> Variables:
        """Its variables."""
        return Variables(self)

    @cached_property
    def functions(self) -> Functions:
        """The functions it defines."""
        return Functions(self)

    @property
    def entries(self) -> list[Entry]:
        """Its resources, one for each turn of a copy loop, children after their parents.

        Raises ExpressionError when there are too many, or when counting them asks for them.
        """
        found: list[Entry] = self.shared.memo.once(
            ("entries", self), "resources", lambda: list(find_entries(self))
        )
        return found

    def answer(self) -> dict[str, Json]:
        """The answer of deployment()."""
        template = {key: self.body[key] for key in _OF_TEMPLATE if key in self.body}
        result: dict[str, Json] = {
            "name": self.name,
            "properties": {"template": template, "mode": "Incremental", "provisioningState": "Accepted"},
        }
        if self.place.level != "group":
            result["location"] = self.place.scope.location
        return result

    def outputs(self) -> dict[str, Json]:
        """Its outputs, each computed when asked for."""
        written = self.body.get("outputs")
        return {
            name: self._output(name, output)
            for name, output in (written.items() if isinstance(written, dict) else ())
            if isinstance(output, dict)
        }

    def _output(self, name: str, output: dict[str, Json]) -> Json:
        def load() -> dict[str, Json]:
            value = self.shared.memo.once(("output", self, name), name, lambda: self._compute(name, output))
            return {"type": output.get("type"), "value": value}

        return LazyObject(load)

    def _compute(self, name: str, output: dict[str, Json]) -> Json:
        pointer, resolver = join(self.pointer, "outputs", name), self.resolver
        if output.get("condition", True) is not True:
            wanted = resolver.compute(output["condition"], join(pointer, "condition"))
            if wanted is False:
                return None
        loop = output.get("copy")
        if isinstance(loop, dict):
            value: Json = resolver.items(
                {"input": None, **loop, "name": name}, pointer, join(pointer, "copy")
            )
        else:
            value = resolver.compute(output.get("value"), join(pointer, "value"))
        self.shared.report.secrets.extend(self.parameters.types.secrets(output, value))
        return value

    def nested(self, entry: Entry) -> Deployment:
        """The deployment that one of its resources is. Raises ExpressionError, as for a linked template."""
        at = join(entry.pointer, "properties")
        properties = entry.body.get("properties")
        template = properties.get("template") if isinstance(properties, dict) else None
        if not isinstance(properties, dict) or not isinstance(template, dict):
            raise _no_template(properties, at)
        if self.level + 1 > MAX_LEVELS:
            message = f"deployments are nested more than {MAX_LEVELS} levels deep"
            raise _at(ExpressionError("TooComplex", message), at)
        is_inner = _scope_of(properties) == "inner"
        return Deployment(
            self.shared,
            spell_template(template, join(at, "template"), self.shared.report),
            join(at, "template"),
            entry.place,
            name=entry.names[-1],
            arguments=_arguments(entry.resolver, properties, at) if is_inner else (),
            parent=self,
            around=None if is_inner else entry.resolver,
        )


def _scope_of(properties: dict[str, Any]) -> str:
    options = properties.get("expressionEvaluationOptions")
    scope = options.get("scope") if isinstance(options, dict) else None
    return scope.casefold() if isinstance(scope, str) else "outer"


def _arguments(resolver: Resolver, properties: dict[str, Any], pointer: str) -> list[Argument]:
    """The values a nested deployment is given; each is computed when its parameter is asked for."""
    written, at = properties.get("parameters"), join(pointer, "parameters")
    if isinstance(written, str):
        written = resolver.compute(written, at)
    if not isinstance(written, dict):
        return []

    def argument(name: str, entry: Json) -> Argument:
        place = join(at, name)
        return Argument(name, lambda: _argument(resolver, name, entry, place), place)

    return [argument(name, entry) for name, entry in written.items()]


def _argument(resolver: Resolver, name: str, entry: Json, pointer: str) -> Json:
    if isinstance(entry, str):  # Bicep: `[if(…, createObject('value', …), …)]`
        entry = resolver.compute(entry, pointer)
        return entry.get("value") if isinstance(entry, dict) else None
    if isinstance(entry, dict) and "reference" in entry:
        message = f"the parameter '{name}' refers to a key vault, which is not reachable here"
        raise _at(ExpressionError("NeedsAzure", message), pointer)
    if not isinstance(entry, dict) or "value" not in entry:
        message = f"the parameter '{name}' has no value"
        raise _at(ExpressionError("MissingParameter", message, hint='the form is {"value": …}'), pointer)
    return resolver.compute(entry["value"], join(pointer, "value"))


def _no_template(properties: Json, pointer: str) -> ExpressionError:
    if isinstance(properties, dict) and "templateLink" in properties:
        message = "a linked template is not fetched: what it deploys is left out"
        hint = "put it in place of the link, as 'template', or give it as a file of its own"
        return _at(ExpressionError("LinkedTemplate", message, hint=hint), join(pointer, "templateLink"))
    found = kind_of(properties.get("template")) if isinstance(properties, dict) else kind_of(properties)
    message = f"a nested deployment needs a 'template' that is an object, not {found}"
    return _at(ExpressionError("MissingField", message), pointer)


def _at(error: ExpressionError, pointer: str) -> ExpressionError:
    error.pointer = pointer
    return error
