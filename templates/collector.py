"""Python's cycle collector, and why reading does without it for a moment."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_collector() -> Iterator[None]:
    """No search for cycles inside the block.

    Reading makes objects and keeps them all. The collector would walk over them again and again, the
    more often the more there are: half the time of a large file, and more than in proportion to it.
    """
    if not gc.isenabled():  # paused already, or by who embeds us
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
