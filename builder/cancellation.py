"""Turning SIGINT, SIGTERM and SIGHUP into one exception in the main thread, at a moment that is safe.

Other threads get no signals: what the main thread waits for runs in `stoppable`, and stops at its next
`checkpoint` after the main thread asked for it.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from builder.errors import ExitCode

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN_SECONDS = 0.01


class Interrupted(BaseException):
    """A build is to stop. Like KeyboardInterrupt no `Exception`, so that nothing on the way that
    survives errors (a sink, a best effort) survives this; `engine.build` makes a CancelledError of it.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signal_name = signal.Signals(signum).name


class _State:
    """One per process: signal handlers are."""

    level = 0
    depth = 0
    pending: int | None = None
    raised = False
    arrived = False
    whole_process = False
    lost: int | None = None
    hook: Callable[[UnraisableHookArgs], Any] = sys.__unraisablehook__
    alarm: tuple[Any, tuple[float, float]] | None = None


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
    for `as_program`. A SIGHUP that the process ignores already (nohup) stays ignored. An exception that
    Python could not pass on (out of a `__del__`, say) comes again. Outside the main thread: nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _State.depth, _State.pending, _State.raised = 0, None, False
    hook = sys.unraisablehook
    if _State.level == 0:
        _State.arrived, _State.hook = False, hook
    _State.level += 1
    taken = [n for n in SIGNALS if n != signal.SIGHUP or signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, _on_signal) for number in taken}
    sys.unraisablehook = _on_lost
    try:
        yield
    finally:
        lost = _stop_alarm()
        sys.unraisablehook = hook
        _State.level -= 1
        if not (_State.raised and _State.whole_process):
            for number, handler in before.items():
                signal.signal(number, handler)
        _State.pending = None
    if lost is not None:
        raise Interrupted(lost)


def signalled() -> bool:
    """Whether a signal arrived since the outermost `cancel_on_signals` began, also the last one that is over,
    whatever became of it.
    """
    return _State.arrived


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
    _State.arrived = True
    if _State.raised:
        return
    _State.pending = signum
    _raise_pending()


def _raise_pending() -> None:
    if _State.pending is not None and _State.depth == 0 and not _State.raised:
        signum, _State.pending, _State.raised = _State.pending, None, True
        raise Interrupted(signum)


def _on_lost(unraisable: UnraisableHookArgs) -> None:
    """Python calls this in place of passing on what was raised in a `__del__` or a callback of a weakref. An
    exception from here would be lost as well, and so would one that is raised before that code is left: the
    kernel calls back a moment later, and as often as it takes.
    """
    problem = unraisable.exc_value
    if not isinstance(problem, Interrupted):
        _State.hook(unraisable)
    elif threading.current_thread() is not threading.main_thread():
        _thread.raised = False  # the next checkpoint raises it
    else:
        _State.lost = signal.Signals[problem.signal_name]
        _start_alarm()


def _start_alarm() -> None:
    """Whoever else has set one (a test's time limit) gets his back."""
    timer = signal.setitimer(signal.ITIMER_REAL, 0)
    handler = signal.signal(signal.SIGALRM, _on_alarm)
    if _State.alarm is None:
        _State.alarm = (handler, timer)
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)


def _stop_alarm() -> int | None:
    """The signal that it was to raise again, if any."""
    signum, _State.lost = _State.lost, None
    if _State.alarm is not None:
        (handler, timer), _State.alarm = _State.alarm, None
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL if handler is None else handler)
        signal.setitimer(signal.ITIMER_REAL, *timer)
    return signum


def _on_alarm(_signum: int, _frame: FrameType | None) -> None:
    signum = _stop_alarm()
    if signum is not None:
        _State.pending, _State.raised = signum, False
        _raise_pending()
