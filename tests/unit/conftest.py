"""The ring of the inner loop is quick."""

from __future__ import annotations

import gc


def pytest_collection_finish() -> None:
    """Modules and tests stay to the end: looking at them again and again cost a fifth of the ring's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
