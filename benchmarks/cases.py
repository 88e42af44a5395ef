"""The cases: what is known before, what is built, and what it may cost.

A series is the cases of one set, run one after the other in one place, as a person works: build,
edit the last step, build again without a change, add a target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workloads import WORKLOADS, Workload

Known = Literal["nothing", "base", "all"]


@dataclass(frozen=True)
class Case:
    """`known`: what lies in the cache before. `target`: at most so much of packer's time for `set`.

    `steps`: the customizers that must run (None: all of them); `vm`: whether a machine may start.
    """

    name: str
    set: str
    known: Known
    target: float
    edited: bool = False
    targets: int = 1
    steps: tuple[int, ...] | None = None
    vm: bool = True

    def workload(self, number: int) -> Workload:
        """What is built in round `number`; every round edits to a text that no cache has seen."""
        base = WORKLOADS[self.set]
        return base.edited(f"Edited in round {number}.") if self.edited else base


# Cold is the pair of old: nothing cached on either side, and "not slower than packer".
CASES = (
    Case("trivial, cold", "trivial", "nothing", 1.0),
    Case("nginx, cold", "nginx", "nothing", 1.0),
    Case("trivial, base known", "trivial", "base", 0.30),
    Case("nginx, base known", "nginx", "base", 0.65),
    Case("nginx, last step edited", "nginx", "all", 0.12, edited=True, steps=(2,)),
    Case("nginx, nothing changed", "nginx", "all", 0.02, edited=True, steps=(), vm=False),
    Case("nginx, a target added", "nginx", "all", 0.05, edited=True, targets=2, steps=(), vm=False),
)


def series(name: str) -> tuple[Case, ...]:
    """The cases of a set that every round runs."""
    return tuple(case for case in CASES if case.set == name and case.known != "nothing")


def cold(name: str) -> Case:
    """The case of a set with nothing in the cache."""
    return next(case for case in CASES if case.set == name and case.known == "nothing")
