"""What all deployments of one file have in common: its own and those nested in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from templates.arm.budget import Budget, measure
from templates.arm.failures import Memo
from templates.arm.secrecy import Secrecy
from templates.arm.syntax import ExpressionError, Json
from templates.report import Report

# ARM takes 800 resources in a template; this is for all that are nested in one file.
MAX_RESOURCES = 5000
_CHARACTERS_OF_A_STEP = 16
_STEPS_OF_A_COPY = 16


@dataclass
class Shared:
    """One file that is read. `variables` are those of `--var`; without `arm` it is a bare template."""

    report: Report
    variables: Mapping[str, str]
    arm: bool
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    budget: Budget = field(default_factory=Budget)
    memo: Memo = field(default_factory=Memo)
    resources: int = 0
    secrecy: Secrecy = field(init=False)

    def __post_init__(self) -> None:
        self.secrecy = Secrecy(self.report.secrets, self.budget)

    def pay_copies(self, count: int, body: Json) -> None:
        """Pay for `count` copies of something. Raises ExpressionError when it is too much."""
        self.budget.spend(count * (_STEPS_OF_A_COPY + measure(body) // _CHARACTERS_OF_A_STEP))

    def count_resources(self, count: int) -> None:
        """Note that there are `count` more resources. Raises ExpressionError when there are too many."""
        self.resources += count
        if self.resources > MAX_RESOURCES:
            message = f"there are more than {MAX_RESOURCES} resources, copies and nested ones included"
            raise ExpressionError("TooManyResources", message)
