"""Turns values as written into values as meant: Jinja2 first, then ARM expressions."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from templates.arm.expressions import ExpressionError, Json, evaluate, is_expression, unescape
from templates.arm.functions import call_function
from templates.arm.interpolation import fill_placeholders, has_jinja, render
from templates.arm.parameters import ParameterError, check_definition, check_value, is_secure, secrets_in
from templates.arm.scope import DeploymentScope
from templates.pointers import join
from templates.report import Report

_MAX_CHAIN = 40


class _Reported(ExpressionError):
    """The value cannot be computed, and why has been reported where the cause is."""

    def __init__(self) -> None:
        super().__init__("Reported", "a value it needs could not be computed")


class Resolver:
    """Computes values of one file; the `Context` of its expressions.

    Parameters and variables are computed when first asked for, as their values may refer to each
    other; one that fails is reported once, where it stands.
    """

    def __init__(
        self,
        report: Report,
        scope: DeploymentScope,
        *,
        variables: Mapping[str, str],
        parameters: Mapping[str, Any] | None,
        arm: bool,
    ) -> None:
        self.report = report
        self.scope = scope
        self.arm = arm
        self._jinja_variables = variables
        self._given = {name.casefold(): (name, value) for name, value in (parameters or {}).items()}
        self._definitions = self._section("parameters")
        self._variables = self._section("variables")
        self._known: dict[tuple[str, str], Json] = {}
        self._active: list[tuple[str, str]] = []

    # -- values ---------------------------------------------------------------------------------

    def resolve(self, value: Json, pointer: str) -> Json:
        """`value` with every string computed. Problems are reported; a failed string becomes None."""
        if isinstance(value, str):
            try:
                return self._string(value, pointer)
            except _Reported:
                self.report.failed.add(pointer)
            except ExpressionError as error:
                self.report.fail(error.code, error.message, pointer, hint=error.hint, inside=error.offset)
            except RecursionError:
                self.report.fail("BadExpression", "expressions refer to each other too deeply", pointer)
            return None
        if isinstance(value, list):
            return [self.resolve(item, join(pointer, index)) for index, item in enumerate(value)]
        if isinstance(value, dict):
            return {self._key(key): self.resolve(item, join(pointer, key)) for key, item in value.items()}
        return value

    def _string(self, text: str, pointer: str) -> Json:
        if has_jinja(text):
            text = render(text, self._jinja_variables)
        if "<" in text and self._jinja_variables and "/inline/" not in pointer:
            text = fill_placeholders(text, self._jinja_variables)
        if not self.arm:
            return text
        return evaluate(text, self) if is_expression(text) else unescape(text)

    def _key(self, key: str) -> str:
        """Keys may be expressions too (`userAssignedIdentities`); one that fails stays as it is."""
        if not (self.arm and is_expression(key)):
            return key
        try:
            value = evaluate(key, self)
        except (ExpressionError, RecursionError):
            return key
        return value if isinstance(value, str) else key

    # -- what expressions ask ---------------------------------------------------------------------

    def parameter(self, name: str) -> Json:
        """The value of a parameter: given, or its default. Raises ExpressionError."""
        found = self._find("parameter", name, self._definitions)
        return self._once("parameters", found, self._parameter)

    def variable(self, name: str) -> Json:
        """The value of a variable. Raises ExpressionError."""
        found = self._find("variable", name, self._variables)
        return self._once(
            "variables", found, lambda key: self._computed(self._variables[key], "variables", key)
        )

    def subscription(self) -> dict[str, Json]:
        """The answer of subscription(); made up from the scope."""
        scope = self.scope
        return {
            "id": scope.subscription_path,
            "subscriptionId": scope.subscription_id,
            "tenantId": scope.tenant_id,
            "displayName": scope.subscription_id,
        }

    def resource_group(self) -> dict[str, Json]:
        """The answer of resourceGroup(); made up from the scope."""
        scope = self.scope
        return {
            "id": scope.group_path,
            "name": scope.resource_group,
            "type": "Microsoft.Resources/resourceGroups",
            "location": scope.location,
            "tags": {},
            "properties": {"provisioningState": "Succeeded"},
        }

    def call(self, name: str, arguments: list[Json]) -> Json:
        """Call a function. Raises ExpressionError."""
        return call_function(name, arguments, self)

    # -- parameters and variables -----------------------------------------------------------------

    def check_parameters(self) -> None:
        """Report bad definitions, missing and unknown values; collect secrets."""
        for name, definition in self._definitions.items():
            pointer = join("/parameters", name)
            try:
                check_definition(name, definition)
            except ParameterError as error:
                self._report_parameter(error, pointer)
                continue
            given = self._given.get(name.casefold())
            if given is not None:
                if is_secure(definition):
                    self.report.secrets.extend(secrets_in(given[1]))
                self._check(name, definition, given[1])
            elif "defaultValue" not in definition and definition.get("nullable") is not True:
                message = f"the parameter '{name}' has no value"
                hint = f'give it in a file: --parameters FILE, holding {{"{name}": …}}'
                self.report.fail("MissingParameter", message, pointer, hint=hint, key=True)
        for given_name, _ in self._given.values():
            if given_name.casefold() not in {name.casefold() for name in self._definitions}:
                close = difflib.get_close_matches(given_name, self._definitions, n=1)
                meant = f"did you mean '{close[0]}'?" if close else None
                message = f"a value is given for '{given_name}', but the template has no such parameter"
                self.report.error("UnknownParameter", message, "/parameters", hint=meant, key=True)

    def _parameter(self, name: str) -> Json:
        pointer = join("/parameters", name)
        definition = self._definitions[name]
        if self.report.is_failed(pointer) or not isinstance(definition, dict):
            raise _Reported
        given = self._given.get(name.casefold())
        if given is not None:
            return given[1]
        value = self._computed(definition.get("defaultValue"), "parameters", name, "defaultValue")
        if is_secure(definition):
            self.report.secrets.extend(secrets_in(value))
        if value is not None and not self._check(name, definition, value):
            raise _Reported
        return value

    def _check(self, name: str, definition: dict[str, Any], value: Json) -> bool:
        try:
            check_value(name, definition, value)
        except ParameterError as error:
            self._report_parameter(error, join("/parameters", name))
            return False
        return True

    def _report_parameter(self, error: ParameterError, pointer: str) -> None:
        place = join(pointer, error.key) if error.key else pointer
        self.report.fail(error.code, error.message, place, hint=error.hint)
        self.report.failed.add(pointer)

    def _computed(self, value: Json, *path: str) -> Json:
        pointer = join("", *path)
        result = self.resolve(value, pointer)
        if self.report.has_failures(pointer):
            raise _Reported
        return result

    def _once(self, section: str, name: str, compute: Any) -> Json:  # noqa: ANN401 - str -> Json
        key = (section, name)
        if key in self._known:
            return self._known[key]
        if key in self._active:
            chain = [part for _, part in self._active[self._active.index(key) :]]
            message = f"the value depends on itself: {' -> '.join([*chain, name])}"
            raise ExpressionError("Cycle", message)
        if len(self._active) >= _MAX_CHAIN:
            message = f"more than {_MAX_CHAIN} variables refer to each other in a chain"
            raise ExpressionError("BadExpression", message)
        if self.report.has_failures(join("", section, name)):
            raise _Reported
        self._active.append(key)
        try:
            self._known[key] = compute(name)
        finally:
            self._active.pop()
        return self._known[key]

    def _find(self, noun: str, name: str, section: Mapping[str, Any]) -> str:
        for known in section:
            if known.casefold() == name.casefold():
                return known
        close = difflib.get_close_matches(name, section, n=1)
        there = ", ".join(section) or "none"
        hint = f"did you mean '{close[0]}'?" if close else f"the template declares: {there}"
        raise ExpressionError(f"Unknown{noun.capitalize()}", f"there is no {noun} '{name}'", hint=hint)

    def _section(self, name: str) -> dict[str, Any]:
        document = self.report.document.value
        section = document.get(name, {}) if self.arm and isinstance(document, dict) else {}
        if isinstance(section, dict):
            return section
        self.report.error("WrongType", f"'{name}' must be an object", f"/{name}")
        return {}
