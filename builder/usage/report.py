"""Usage with prices: lines, totals and what has no price, as `build gallery usage` tells it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.usage.billing import Total, UsageLine, VersionUsage, total
from builder.usage.prices import Cost

if TYPE_CHECKING:
    from builder.usage.month import Month
    from builder.usage.prices import Prices


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A line of a version; `cost` is None without prices."""

    version: str
    line: UsageLine
    cost: Cost | None


@dataclass(frozen=True, slots=True)
class Money:
    """What all lines cost that have a price: `storage` a month (or in the month asked for), `egress` once.
    `missing` names what has no price, for a person.
    """

    currency: str
    storage: float
    egress: float
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All lines, their sums, and money when there are prices."""

    lines: tuple[PricedLine, ...]
    total: Total
    money: Money | None


def report(usages: Iterable[VersionUsage], prices: Prices | None, month: Month | None = None) -> Report:
    """Put prices to the lines. With a `month`: what is stored counts for its part of it, as if it stayed to
    the end, and egress only when the version was published in it.
    """
    lines: list[PricedLine] = []
    for usage in usages:
        for line in usage.lines:
            cost = prices.cost(line) if prices else None
            if cost is not None and month is not None:
                cost = _in_month(cost, usage, month)
            lines.append(PricedLine(f"{usage.definition}/{usage.version}", line, cost))
    money = money_of(prices, [(one.line, one.cost) for one in lines if one.cost]) if prices else None
    return Report(tuple(lines), total(one.line for one in lines), money)


def money_of(prices: Prices, lines: Sequence[tuple[UsageLine, Cost]]) -> Money:
    """The sums of lines that have been priced."""
    missing: dict[str, None] = {}
    for line, cost in lines:
        if cost.storage is None:
            missing[f"{line.storage_account_type} in {line.region}"] = None
        if cost.egress is None:
            missing[f"from {line.source_region} to {line.region}"] = None
    return Money(
        currency=prices.currency,
        storage=sum(cost.storage or 0.0 for _, cost in lines),
        egress=sum(cost.egress or 0.0 for _, cost in lines),
        missing=tuple(missing),
    )


def money_text(money: Money, period: str = "a month") -> str:
    """The sums in words."""
    unit = f" {money.currency}" if money.currency else ""
    text = f"{money.storage:.2f}{unit} {period}, {money.egress:.2f}{unit} once"
    return f"{text}; without {', '.join(money.missing)}: no price" if money.missing else text


def _in_month(cost: Cost, usage: VersionUsage, month: Month) -> Cost:
    storage = None if cost.storage is None else cost.storage * month.share(usage.published_at)
    return Cost(storage, cost.egress if month.has(usage.published_at) else 0.0)
