"""Turning SIGINT, SIGTERM and SIGHUP into one exception in the main thread."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from builder.errors import CancelledError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def cancel_on_signals() -> Iterator[None]:
    """Inside, the first of these signals raises CancelledError; later ones are ignored, so that
    cleaning up (which has its own time limit) is not interrupted. Outside the main thread: nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(signum: int, _frame: FrameType | None) -> None:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        raise CancelledError(f"Cancelled by {signal.Signals(signum).name}.")

    before = {number: signal.signal(number, on_signal) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
