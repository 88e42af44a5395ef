"""Turns values as written into values as meant: Jinja2 first, then ARM expressions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from templates.arm.copies import Loop, count_of, loops_in
from templates.arm.expressions import ExpressionError, Json, evaluate, is_expression, unescape
from templates.arm.failures import Uncomputable, causes_of
from templates.arm.interpolation import has_jinja, render
from templates.arm.lazy import plain
from templates.arm.placeholders import fill_placeholders
from templates.arm.scope import environment_answer, group_answer, subscription_answer, tenant_answer
from templates.pointers import join

if TYPE_CHECKING:
    from templates.arm.budget import Budget
    from templates.arm.deployment import Deployment

_Errors = list[tuple[str, ExpressionError]]


@dataclass(frozen=True, eq=False)
class Resolver:
    """Computes values of one deployment (`home`) at one place in it; the `Context` of its expressions.

    `loops` are the copy loops around that place, the outermost first. `in_default`: within the default
    of a parameter. `arguments`: within a function of the template, those it was called with.
    """

    home: Deployment
    loops: tuple[Loop, ...] = ()
    in_default: bool = False
    arguments: Mapping[str, Json] | None = None

    def inside(self, loop: Loop) -> Resolver:
        """The same, one loop further in."""
        return Resolver(self.home, (*self.loops, loop), self.in_default, self.arguments)

    # -- values ---------------------------------------------------------------------------------

    def resolve(self, value: Json, pointer: str) -> Json:
        """`value` with every string computed. Problems are reported; a failed string becomes None."""
        errors: _Errors = []
        result = self._value(value, pointer, errors)
        report = self.home.shared.report
        for place, error in errors:
            for cause in causes_of(error):
                report.fail(
                    cause.code, cause.message, cause.pointer or place, hint=cause.hint, inside=cause.offset
                )
            report.failed.add(report.written_at(place))
        return result

    def compute(self, value: Json, pointer: str) -> Json:
        """`value` with every string computed. Raises ExpressionError with all that is wrong."""
        errors: _Errors = []
        result = self._value(value, pointer, errors)
        if errors:
            raise Uncomputable([error for _, error in errors])
        return result

    def items(self, loop: Mapping[str, Json], pointer: str, at: str) -> list[Json]:
        """What the copy loop that stands at `at` makes of the object at `pointer`. Raises ExpressionError."""
        errors: _Errors = []
        result = self._copies(loop, pointer, at, errors)
        if errors:
            raise Uncomputable([error for _, error in errors])
        return result

    def _value(self, value: Json, pointer: str, errors: _Errors) -> Json:
        if isinstance(value, str):
            try:
                return self._text(value, pointer)
            except (ExpressionError, RecursionError) as error:
                errors.append((pointer, _located(error, pointer)))
            return None
        if isinstance(value, list):
            return [self._value(item, join(pointer, index), errors) for index, item in enumerate(value)]
        if isinstance(value, dict):
            return self._object(value, pointer, errors)
        return value

    def _text(self, text: str, pointer: str) -> Json:
        shared = self.home.shared
        if has_jinja(text):
            text = render(text, shared.variables)
        if "<" in text and shared.variables:
            text = fill_placeholders(text, shared.variables, pointer)
        if not shared.arm:
            return text
        if not is_expression(text):
            return unescape(text)
        return shared.budget.pay(plain(evaluate(text, self)))

    def _object(self, value: dict[str, Json], pointer: str, errors: _Errors) -> dict[str, Json]:
        loops = loops_in(value) if self.home.shared.arm else None
        if loops is None:
            return {
                self._key(key, pointer, errors): self._value(item, join(pointer, key), errors)
                for key, item in value.items()
            }
        result = self._object({k: v for k, v in value.items() if k != "copy"}, pointer, errors)
        for index, loop in enumerate(loops):
            result[loop["name"]] = self._copies(loop, pointer, join(pointer, "copy", index), errors)
        return result

    def _copies(self, loop: Mapping[str, Json], pointer: str, at: str, errors: _Errors) -> list[Json]:
        """The items of a property, variable or output with a copy loop (`at`) of its own."""
        name, shared = loop["name"], self.home.shared
        made = join(pointer, name)
        shared.report.alias(made, at)
        try:
            count = count_of(self, loop, at)
            shared.pay_copies(count, loop["input"])
        except ExpressionError as error:
            errors.append((at, error))
            return []
        items = []
        for index in range(count):
            if shared.budget.left < 0:  # said already; every further turn would only fail, too
                break
            shared.report.alias(join(made, index), join(at, "input"))
            turn = self.inside(Loop(name, index))
            items.append(turn._value(loop["input"], join(at, "input"), errors))
        return items

    def _key(self, key: str, pointer: str, errors: _Errors) -> str:
        """Keys may be expressions too (`userAssignedIdentities`); one that fails stays as it is."""
        if "<" not in key and not is_expression(key):
            return key
        at = join(pointer, key)
        try:
            value = self._text(key, at)
        except (ExpressionError, RecursionError) as error:
            errors.append((at, _located(error, at)))
            return key
        if not isinstance(value, str) or value == key:
            return key
        self.home.shared.report.alias(join(pointer, value), at)
        return value

    # -- what expressions ask ---------------------------------------------------------------------

    @property
    def budget(self) -> Budget:
        """What evaluating may still cost."""
        return self.home.shared.budget

    def note_secrets(self, arguments: list[Json], value: Json) -> None:
        """Told what a function made of which arguments: of a secret it is one, too."""
        self.home.shared.secrecy.note(arguments, value)

    def parameter(self, name: str) -> Json:
        """The value of a parameter: given, or its default. Raises ExpressionError."""
        if self.arguments is None:
            return self.home.parameters.value(name)
        found = next((key for key in self.arguments if key.casefold() == name.casefold()), None)
        if found is None:
            there = ", ".join(self.arguments) or "none"
            message = f"the function has no parameter '{name}'"
            raise ExpressionError("UnknownParameter", message, hint=f"it has: {there}")
        return self.arguments[found]

    def variable(self, name: str) -> Json:
        """The value of a variable. Raises ExpressionError."""
        return self.home.variables.value(name)

    def user_function(self, namespace: str, name: str, arguments: list[Json]) -> Json:
        """What a function of the template gives. Raises ExpressionError."""
        return self.home.functions.call(namespace, name, arguments)

    def subscription(self) -> dict[str, Json]:
        """The answer of subscription(); made up from the scope."""
        return subscription_answer(self.home.place.scope)

    def resource_group(self) -> dict[str, Json]:
        """The answer of resourceGroup(); made up from the scope. Raises ExpressionError."""
        if self.home.place.level != "group":
            message = "resourceGroup() has no answer: this template is not deployed into a resource group"
            raise ExpressionError("NotInScope", message)
        return group_answer(self.home.place.scope)

    def tenant(self) -> dict[str, Json]:
        """The answer of tenant(); made up from the scope."""
        return tenant_answer(self.home.place.scope)

    def management_group(self) -> dict[str, Json]:
        """There is none here. Raises ExpressionError."""
        message = "managementGroup() has no answer here: no management group is known"
        raise ExpressionError("NeedsAzure", message)

    def deployment(self) -> dict[str, Json]:
        """The answer of deployment()."""
        return self.home.answer()

    def deployer(self) -> dict[str, Json]:
        """The answer of deployer(); nobody is signed in, so the ids are zeros."""
        scope = self.home.place.scope
        return {"tenantId": scope.tenant_id, "objectId": scope.tenant_id, "userPrincipalName": ""}

    def environment(self) -> dict[str, Json]:
        """The answer of environment()."""
        return environment_answer()

    def utc_now(self) -> datetime:
        """The time at which the file was read. Raises ExpressionError outside of a parameter's default."""
        self._need_default("utcNow")
        return self.home.shared.now

    def new_guid(self) -> str:
        """A random GUID. Raises ExpressionError outside of a parameter's default."""
        self._need_default("newGuid")
        return str(uuid4())

    def _need_default(self, name: str) -> None:
        if not self.in_default:
            message = f"{name}() can only stand in the default of a parameter"
            raise ExpressionError("BadArguments", message)

    def copy_index(self, name: str | None, offset: int) -> int:
        """The turn of a loop. Raises ExpressionError."""
        if name is None:
            # Without a name, ARM means the loop of the resource.
            around = [loop for loop in self.loops if loop.of_resource] or list(self.loops)
        else:
            around = [loop for loop in self.loops if loop.name.casefold() == name.casefold()]
        if around:
            return around[-1].index + offset
        there = ", ".join(loop.name for loop in self.loops) or "none"
        shown = f"copyIndex('{name}')" if name else "copyIndex()"
        message = f"{shown} stands in no such copy loop"
        raise ExpressionError("UnknownLoop", message, hint=f"the loops around it: {there}")

    def reference(self, target: str, api_version: str | None, *, full: bool) -> Json:
        """What a resource of this file is like once it is deployed. Raises ExpressionError."""
        from templates.arm.references import refer

        return refer(self.home, target, api_version, full=full)

    def resource_info(self, symbol: str) -> dict[str, Json]:
        """What is known of a symbolic resource before it is there. Raises ExpressionError."""
        from templates.arm.references import info

        return info(self.home, symbol)

    def references(self, symbol: str, *, full: bool) -> list[Json]:
        """`reference()` of each resource of a symbolic copy loop. Raises ExpressionError."""
        from templates.arm.references import refer_all

        return refer_all(self.home, symbol, full=full)


def _located(error: ExpressionError | RecursionError, pointer: str) -> ExpressionError:
    if isinstance(error, RecursionError):
        error = ExpressionError("TooComplex", "expressions refer to each other too deeply")
    if error.pointer is None:
        error.pointer = pointer
    return error
