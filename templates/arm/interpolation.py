"""Jinja2 in string values: `{{ name }}`, filled from `--var NAME=VALUE`."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from templates.arm.expressions import ExpressionError

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

_RAW_HINT = "to keep the braces as they are, write {% raw %}…{% endraw %} around them"
_UNDEFINED = re.compile(r"'([^']+)' is undefined")


def has_jinja(text: str) -> bool:
    """Whether `text` has to go through Jinja2 at all."""
    return "{{" in text or "{%" in text


def render(text: str, variables: Mapping[str, str]) -> str:
    """`text` with its `{{ … }}` filled in, in a sandbox. Raises ExpressionError."""
    from jinja2 import TemplateError, TemplateSyntaxError, UndefinedError
    from jinja2.exceptions import SecurityError

    try:
        return _environment().from_string(text).render(dict(variables))
    except UndefinedError as error:
        raise _undefined(text, str(error.message), variables) from None
    except TemplateSyntaxError as error:
        raise ExpressionError(
            "BadInterpolation", f"not a Jinja2 text: {error.message}", hint=_RAW_HINT
        ) from None
    except SecurityError as error:
        raise ExpressionError("BadInterpolation", f"not allowed in a template: {error}") from None
    except (TemplateError, ArithmeticError, TypeError, ValueError, LookupError, AttributeError) as error:
        raise ExpressionError("BadInterpolation", f"Jinja2: {error}", hint=_RAW_HINT) from None
    except (RecursionError, MemoryError, OverflowError):
        raise ExpressionError("BadInterpolation", "this Jinja2 text is too large to render") from None


def _undefined(text: str, message: str, variables: Mapping[str, str]) -> ExpressionError:
    match = _UNDEFINED.search(message)
    if match is None:
        return ExpressionError("UndefinedVariable", message, hint=_RAW_HINT)
    name = match[1]
    close = difflib.get_close_matches(name, variables, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"give it: --var {name}=VALUE"
    if "${{" in text:
        hint += f"; {_RAW_HINT}"
    return ExpressionError(
        "UndefinedVariable",
        f"the variable '{name}' is not defined",
        offset=max(text.find(name), 0),
        hint=hint,
    )


@functools.cache
def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Sandbox(ImmutableSandboxedEnvironment):
        # `'x' * 10**9` and `9 ** 9 ** 9` are the two ways to eat the machine in one operator.
        intercepted_binops = frozenset(["*", "**"])

        def call_binop(self, context: object, operator: str, left: object, right: object) -> object:
            numbers = isinstance(left, int) and isinstance(right, int)
            if operator == "**" or not (numbers or isinstance(left, float)):
                raise ValueError(f"'{operator}' is only for small numbers")
            return left * right  # type: ignore[operator]

    # `{#` opens a comment in Jinja2 but is common in shell (`${#array[@]}`): move it out of the way.
    return Sandbox(
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
        comment_start_string="\0{#",
        comment_end_string="#}\0",
    )
