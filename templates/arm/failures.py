"""Values that could not be computed, and values that are computed once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from templates.arm.syntax import ExpressionError, Json

_MAX_CHAIN = 40


class Uncomputable(ExpressionError):
    """A value with strings in it that could not be computed: `causes`, each knowing its place."""

    def __init__(self, causes: list[ExpressionError]) -> None:
        first = causes[0]
        super().__init__(first.code, first.message, offset=first.offset, hint=first.hint)
        self.pointer = first.pointer
        self.causes = [cause for error in causes for cause in causes_of(error)]


def causes_of(error: ExpressionError) -> list[ExpressionError]:
    """What has to be reported when `error` ends a computation."""
    return error.causes if isinstance(error, Uncomputable) else [error]


class Memo:
    """Values computed when first asked for: parameters, variables, ids. They may refer to each other."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Json] = {}
        self._failed: dict[Hashable, ExpressionError] = {}
        self._active: dict[Hashable, str] = {}
        self._trials = 0

    def once(self, key: Hashable, label: str, compute: Callable[[], Json]) -> Json:
        """The value of `key`. Raises ExpressionError: the one of `compute`, again and again, or a Cycle."""
        if key in self._known:
            return self._known[key]
        if key in self._failed:
            raise self._failed[key].with_traceback(None)
        if key in self._active:
            chain = list(self._active.values())[list(self._active).index(key) :]
            raise ExpressionError("Cycle", f"the value depends on itself: {' -> '.join([*chain, label])}")
        if len(self._active) >= _MAX_CHAIN:
            message = f"more than {_MAX_CHAIN} values refer to each other in a chain"
            raise ExpressionError("BadExpression", message)
        self._active[key] = label
        try:
            value = self._known[key] = compute()
        except ExpressionError as error:
            if not self._trials:
                self._failed[key] = error
            raise
        finally:
            del self._active[key]
        return value

    @contextmanager
    def trial(self) -> Iterator[None]:
        """What fails inside may only have been asked for too early, and is not remembered as failed."""
        self._trials += 1
        try:
            yield
        finally:
            self._trials -= 1
