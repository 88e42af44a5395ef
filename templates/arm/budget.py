"""What evaluating expressions may cost: a template must not be able to eat the machine."""

from __future__ import annotations

from templates.arm.syntax import ExpressionError, Json

MAX_STEPS = 3_000_000
# ARM refuses a template above 4 MB, computed values included: no value in it can be larger.
MAX_SIZE = 4 * 1024 * 1024
MAX_DEPTH = 100
SIZE_OF_A_STEP = 16
_SMALL = 4096


class Budget:
    """Steps left. A step is the call of a function, or 16 characters (as JSON) that it makes or reads.

    Once nothing is left every later expression fails at once: the sum is what must stay small.
    """

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.left = steps
        self._checked: dict[int, Json] = {}

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
        """`value`, paid for by its size. Raises ExpressionError, also when it is too large or too deep."""
        self.spend(measure(value) // SIZE_OF_A_STEP)
        return value

    def check(self, value: Json) -> Json:
        """`value`, when it is not too large: for what comes from outside and is asked for again and again.

        Each large value is measured only once. Raises ExpressionError.
        """
        if isinstance(value, list | dict) and id(value) not in self._checked and measure(value) > _SMALL:
            self._checked[id(value)] = value  # held, so that its id stays its own
        return value


def refuse_above(size: int) -> None:
    """Raise ExpressionError when a text or array of `size` characters would be too large to make."""
    if size > MAX_SIZE:
        raise ExpressionError("TooComplex", f"the result would be larger than {MAX_SIZE // 2**20} MiB")


def measure(value: Json) -> int:
    """About how many characters `value` is as JSON. Raises ExpressionError when too large or too deep.

    Values share parts, so that a small expression can stand for a gigantic text: the count stops at
    the limit, however large the value is.
    """
    size, level, depth = 8, [value], 0
    while level:
        below: list[Json] = []
        for item in level:
            if isinstance(item, str):
                size += len(item)
            elif isinstance(item, list):
                size += 8 * len(item)
                below += item
            elif isinstance(item, dict) and not getattr(item, "is_pending", False):  # see lazy.py
                size += 8 * len(item) + sum(map(len, item))
                below += item.values()
            if size > MAX_SIZE:
                refuse_above(size)
        level, depth = below, depth + 1
        if depth > MAX_DEPTH:
            raise ExpressionError("TooComplex", f"the value is nested more than {MAX_DEPTH} levels deep")
    return size
