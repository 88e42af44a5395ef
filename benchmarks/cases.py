"""The cases: what is known before, what is built, and what it may cost.

A series is the cases of one set, run one after the other in one place, as a person works: build,
edit the last step, build again without a change, add a target.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from workloads import NGINX, TRIVIAL, Workload, true_steps

Known = Literal["nothing", "base", "all"]


@dataclass(frozen=True)
class Case:
    """`known`: what lies in the cache before. `target`: at most so much of packer's time for `set`, where
    packer builds that, too.

    `steps`: the customizers that must run (None: all of them); `vm`: whether a machine may start.
    """

    name: str
    set: Workload
    known: Known
    target: float = math.inf
    edited: bool = False
    targets: int = 1
    steps: tuple[int, ...] | None = None
    vm: bool = True

    def workload(self, number: int) -> Workload:
        """What is built in round `number`; every round edits to a text that no cache has seen."""
        return self.set.edited(f"Edited in round {number}.") if self.edited else self.set


# Cold is the pair of old: nothing cached on either side, and "not slower than packer".
CASES = (
    Case("trivial, cold", TRIVIAL, "nothing", 1.0),
    Case("nginx, cold", NGINX, "nothing", 1.0),
    Case("trivial, base known", TRIVIAL, "base", 0.30),
    Case("nginx, base known", NGINX, "base", 0.65),
    Case("nginx, last step edited", NGINX, "all", 0.12, edited=True, steps=(2,)),
    Case("nginx, nothing changed", NGINX, "all", 0.02, edited=True, steps=(), vm=False),
    Case("nginx, a target added", NGINX, "all", 0.05, edited=True, targets=2, steps=(), vm=False),
)


def series(name: str) -> tuple[Case, ...]:
    """The cases of a set that every round runs."""
    return tuple(case for case in CASES if case.set.name == name and case.known != "nothing")


def cold(name: str) -> Case:
    """The case of a set with nothing in the cache."""
    return next(case for case in CASES if case.set.name == name and case.known == "nothing")


def idle(steps: int) -> tuple[tuple[Case, ...], ...]:
    """Two series whose steps do nothing: one step; and many, then the last of them edited, so that one step
    is executed on the layers of all the others.
    """
    one, many = true_steps(1), true_steps(steps)
    return (
        (Case(one.name, one, "base"),),
        (
            Case(many.name, many, "base"),
            Case(edited(many), many, "all", edited=True, steps=(steps,)),
        ),
    )


def edited(workload: Workload) -> str:
    """The name of the case in which the last step of a set was edited."""
    return f"{workload.name}, last step edited"
