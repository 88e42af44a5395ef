"""One calendar month: which part of it something was stored in, and what happened in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from builder.errors import UsageError

_FORM = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Month:
    """From `begin` to (exclusively) `end`, in UTC."""

    begin: datetime
    end: datetime

    @classmethod
    def of(cls, text: str) -> Month:
        """`2026-11`. Raises UsageError."""
        found = _FORM.fullmatch(text)
        if found is None or found[1] in ("0000", "9999"):
            raise UsageError(f"'{text}' is not a month.", hint="Write it as 2026-11.")
        begin = datetime(int(found[1]), int(found[2]), 1, tzinfo=UTC)
        return cls(begin, (begin + timedelta(days=32)).replace(day=1))

    def share(self, since: datetime | None) -> float:
        """Which part of the month, 0 to 1, there is of what is stored since then and stays."""
        start = max(self.begin, since) if since is not None else self.begin
        return max(0.0, (self.end - start) / (self.end - self.begin))

    def has(self, moment: datetime | None) -> bool:
        """Whether something happened in it."""
        return moment is not None and self.begin <= moment < self.end
