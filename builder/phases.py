"""Phases: where a build's time goes, told as events; the run record adds them up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from builder.events import PhaseFinished, Where

if TYPE_CHECKING:
    from builder.events import EventBus


@contextmanager
def phase(bus: EventBus, name: str, *, where: Where, stage: str, index: int = 0) -> Iterator[None]:
    """Time a part of a stage, also when it fails. `where`: whether the guest worked or we did; `index`: the
    step of the stage it belongs to, 0 for none.
    """
    start = time.monotonic()
    try:
        yield
    finally:
        seconds = round(time.monotonic() - start, 3)
        bus.emit(PhaseFinished(name=name, seconds=seconds, where=where, stage=stage, index=index))
