"""What evaluating expressions may cost: a template must not be able to eat the machine."""

from __future__ import annotations

from templates.arm.syntax import ExpressionError, Json

MAX_STEPS = 5_000_000
# ARM refuses templates above 4 MB with all expressions resolved; a single value cannot be larger.
MAX_SIZE = 4 * 1024 * 1024


class Budget:
    """Steps left. A step is a call, an item of an array or object made, or 64 characters of a text made.

    Raises ExpressionError once nothing is left, so that every later expression fails at once.
    """

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.left = steps

    def spend(self, steps: int = 1) -> None:
        """Take `steps` off. Raises ExpressionError."""
        self.left -= steps
        if self.left < 0:
            raise ExpressionError(
                "TooComplex",
                "the expressions of this file need too much work",
                hint="they run over large arrays again and again; make the loops smaller",
            )

    def pay(self, value: Json) -> Json:
        """`value`, paid for by what it takes when written out. Raises ExpressionError."""
        self.spend(1 + measure(value) // 64)
        return value


def measure(value: Json) -> int:
    """About how many characters `value` is as JSON. Raises ExpressionError above MAX_SIZE.

    Values share parts, so that a small expression can stand for a gigantic text: the count stops at
    the limit, whatever the value is.
    """
    if not isinstance(value, str | list | dict):
        return 8
    size, todo = 0, [value]
    while todo:
        item = todo.pop()
        size += 8
        if isinstance(item, str):
            size += len(item)
        elif isinstance(item, list):
            size += 8 * len(item)
            if size <= MAX_SIZE:
                todo.extend(item)
        elif isinstance(item, dict):
            size += sum(map(len, item)) + 8 * len(item)
            if size <= MAX_SIZE:
                todo.extend(item.values())
        if size > MAX_SIZE:
            message = f"the value is larger than {MAX_SIZE // 2**20} MiB"
            raise ExpressionError("TooComplex", message)
    return size
