"""The last lines a step leaves behind."""

from __future__ import annotations

import pytest

from provisioners.step_run import ERROR_LINES, TAIL_LINES, StepRun


class Streams:
    """A guest whose one command writes the given lines."""

    def __init__(self, lines) -> None:
        self.lines = lines

    def run(self, argv, *, timeout, stdin=None, on_output=None):
        for stream, line in self.lines:
            on_output(stream, line)
        return type("Result", (), {"exit_code": 1})()


def tail(context, *lines: tuple[str, str]) -> tuple[str, ...]:
    step = StepRun(Streams(lines), context())
    step.run(["x"])
    return step.tail


def out(*numbers: int) -> list[tuple[str, str]]:
    return [("stdout", f"line {number}") for number in numbers]


@pytest.mark.parametrize("before", [0, 5, 100])
def test_errors_survive_the_output_that_arrives_after_them(context, before) -> None:
    lines = tail(context, *out(*range(before)), ("stderr", "broken"), *out(*range(100)))
    assert len(lines) == TAIL_LINES
    assert lines[0] == "broken"
    assert lines[1:] == tuple(f"line {number}" for number in range(61, 100))


def test_order_stays_as_it_arrived(context) -> None:
    assert tail(context, *out(1), ("stderr", "broken"), *out(2)) == ("line 1", "broken", "line 2")


def test_much_stderr_is_a_tail_like_any_other(context) -> None:
    lines = tail(context, *[("stderr", f"e{number}") for number in range(100)], *out(*range(35)))
    assert lines == (
        *(f"e{number}" for number in range(100 - ERROR_LINES, 100)),
        *(f"line {number}" for number in range(5, 35)),
    )
