"""Turning SIGINT, SIGTERM and SIGHUP into one exception in the main thread, at a moment that is safe.

Other threads get no signals: what the main thread waits for runs in `stoppable`, and stops at its next
`checkpoint` after the main thread asked for it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from builder.errors import ExitCode

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A build is to stop. Like KeyboardInterrupt no `Exception`, so that nothing on the way that
    survives errors (a sink, a best effort) survives this; `engine.build` makes a CancelledError of it.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signal_name = signal.Signals(signum).name


class _State:
    """One per process: signal handlers are."""

    depth = 0
    pending: int | None = None
    raised = False
    whole_process = False


class _Thread(threading.local):
    """The same for a thread that is not the main one."""

    stop: threading.Event | None = None
    depth = 0
    raised = False


_thread = _Thread()


@contextmanager
def cancel_on_signals() -> Iterator[None]:
    """Inside, the first of these signals raises Interrupted; later ones are ignored, so that cleaning
    up (which has its own time limit) is not interrupted. Afterwards the handlers are as before, but
    for `as_program`. A SIGHUP that the process ignores already (nohup) stays ignored. Outside the
    main thread: nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _State.depth, _State.pending, _State.raised = 0, None, False
    taken = [n for n in SIGNALS if n != signal.SIGHUP or signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, _on_signal) for number in taken}
    try:
        yield
    finally:
        if not (_State.raised and _State.whole_process):
            for number, handler in before.items():
                signal.signal(number, handler)
        _State.pending = None


def as_program(main: Callable[[], int]) -> int:
    """Run `main`, which is all that this process does; returns its exit code, which no later signal changes.

    After a first signal was taken by `cancel_on_signals` the others change nothing any more, and none
    does when `main` is over: a second Ctrl-C, or the SIGTERM of a service manager, comes at any time.
    """
    _State.whole_process = True
    code = int(ExitCode.CANCELLED)
    try:
        code = main()
        _ignore_signals()
    except KeyboardInterrupt:  # in the last frame of `main`, or behind it
        _ignore_signals()
    return code


def _ignore_signals() -> None:
    """By the kernel: Python takes its handlers away before its last objects go, and a signal would end
    the process again.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def deferred() -> Iterator[None]:
    """A section that is done whole: a signal that arrives inside is raised when it ends.

    Only for short work, such as linking a file and committing the row that names it. When the
    section fails by itself, its own error goes on and the signal is raised at the next section's
    end, or never.
    """
    if threading.current_thread() is not threading.main_thread():
        with _whole():
            yield
        checkpoint()
        return
    _State.depth += 1
    try:
        yield
    finally:
        _State.depth -= 1
    _raise_pending()


@contextmanager
def stoppable(stop: threading.Event) -> Iterator[None]:
    """What this thread (not the main one) does inside ends by Interrupted, once, after `stop` was set: at
    a `checkpoint`, or where a `deferred` section ends.
    """
    _thread.stop, _thread.raised = stop, False
    try:
        yield
    finally:
        _thread.stop = None


def checkpoint() -> None:
    """Between two pieces of long work: raises Interrupted in a thread that is to stop. Nothing in the main
    thread, where signals do it.
    """
    if _thread.stop is None or _thread.depth or _thread.raised or not _thread.stop.is_set():
        return
    _thread.raised = True
    raise Interrupted(signal.SIGINT)


@contextmanager
def shielded() -> Iterator[None]:
    """Cleaning up, at the end of something: a signal that arrives inside changes nothing any more."""
    if threading.current_thread() is not threading.main_thread():
        with _whole():
            yield
        return
    _State.depth += 1
    try:
        yield
    finally:
        _State.depth -= 1
        if _State.depth == 0:
            _State.pending = None


@contextmanager
def _whole() -> Iterator[None]:
    _thread.depth += 1
    try:
        yield
    finally:
        _thread.depth -= 1


def _on_signal(signum: int, _frame: FrameType | None) -> None:
    if _State.raised:
        return
    _State.pending = signum
    _raise_pending()


def _raise_pending() -> None:
    if _State.pending is not None and _State.depth == 0 and not _State.raised:
        signum, _State.pending, _State.raised = _State.pending, None, True
        raise Interrupted(signum)
