"""An object of an expression that is computed when something is taken out of it."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, KeysView, ValuesView
from typing import Any

from templates.arm.syntax import ExpressionError, Json

_MAX_DEPTH = 100  # that of a file; what comes out of expressions is walked by the same functions


class LazyObject(dict[str, Any]):
    """What `load` gives, once somebody looks inside.

    `reference('module').outputs.a` must not fail because of the module's output `b`, which nobody
    asked for. Looking inside raises what `load` raises (ExpressionError).
    """

    def __init__(self, load: Callable[[], dict[str, Json]]) -> None:
        super().__init__()
        self._load: Callable[[], dict[str, Json]] | None = load

    @property
    def is_pending(self) -> bool:
        """Whether nobody has looked inside yet."""
        return self._load is not None

    def _fill(self) -> None:
        if self._load is not None:
            self.update(self._load())
            self._load = None

    def __getitem__(self, key: str) -> Json:
        self._fill()
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._fill()
        return super().__contains__(key)

    def __iter__(self) -> Iterator[str]:
        self._fill()
        return super().__iter__()

    def __len__(self) -> int:
        self._fill()
        return super().__len__()

    def __eq__(self, other: object) -> bool:
        self._fill()
        return super().__eq__(other)

    __hash__ = None  # as every dict

    def get(self, key: str, default: Json = None) -> Json:
        """As of a dict."""
        self._fill()
        return super().get(key, default)

    def keys(self) -> KeysView[str]:  # type: ignore[override]
        """As of a dict."""
        self._fill()
        return super().keys()

    def values(self) -> ValuesView[Json]:  # type: ignore[override]
        """As of a dict."""
        self._fill()
        return super().values()

    def items(self) -> ItemsView[str, Json]:  # type: ignore[override]
        """As of a dict."""
        self._fill()
        return super().items()


def plain(value: Json, depth: int = 0) -> Json:
    """`value` with everything in it computed, as a value of its own. Raises ExpressionError."""
    if not isinstance(value, list | dict):
        return value
    if depth == _MAX_DEPTH:
        raise ExpressionError("TooComplex", f"the value is nested more than {_MAX_DEPTH} levels deep")
    if isinstance(value, list):
        return [plain(item, depth + 1) for item in value]
    return {key: plain(item, depth + 1) for key, item in value.items()}
