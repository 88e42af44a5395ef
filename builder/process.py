"""The one way to run a program: argv lists, a time limit, and errors that can be pasted."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from builder.errors import BuildError, EnvironmentProblem

TAIL_LINES = 40
KILL_GRACE_SECONDS = 5.0

Argv = Sequence[str | os.PathLike[str]]


@dataclass(frozen=True, slots=True)
class Completed:
    """A finished program. Output is decoded with replacement characters."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str


class ProcessError(BuildError):
    """A program failed; the message carries a command line that can be pasted."""

    code = "ProcessFailed"

    def __init__(self, message: str, *, argv: Sequence[str], exit_code: int | None, output: str) -> None:
        lines = tuple(output.rstrip().splitlines()[-TAIL_LINES:])
        super().__init__(message, details=(f"$ {shlex.join(argv)}", *lines))
        self.argv = tuple(argv)
        self.exit_code_of_process = exit_code
        self.output = output


def require(program: str, package: str) -> str:
    """The path of `program`. Raises EnvironmentProblem naming the Debian package when it is missing."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if found is None:
        raise EnvironmentProblem(
            f"{program} is not installed.", hint=f"Install it: sudo apt-get install {package}"
        )
    return found


def run(
    argv: Argv,
    *,
    timeout: float,
    ok: Sequence[int] = (0,),
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    pass_fds: Sequence[int] = (),
) -> Completed:
    """Run a program to its end within `timeout` seconds.

    `on_line` sees each line of stdout and stderr as it comes. The child dies with us, and on a
    timeout its whole process group is killed. Raises ProcessError when the exit code is not in
    `ok` or the time is over, EnvironmentProblem when the program does not exist.
    """
    words = [os.fspath(word) for word in argv]
    out: list[str] = []
    err: list[str] = []
    with spawn(
        words,
        stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        cwd=cwd,
        pass_fds=pass_fds,
    ) as child:
        tail = _Tail()
        failures: list[BaseException] = []
        threads = [
            threading.Thread(target=_pump, args=(stream, into, lines, on_line, failures, tail), daemon=True)
            for stream, into, lines in ((child.stdout, out, tail.out), (child.stderr, err, tail.err))
        ]
        for thread in threads:
            thread.start()
        if stdin is not None and child.stdin is not None:
            feeder = threading.Thread(target=_feed, args=(child.stdin, stdin), daemon=True)
            feeder.start()
        if not _ended(child, timeout):
            kill_group(child)
            raise ProcessError(
                f"{Path(words[0]).name} did not finish within {timeout:.0f} s.",
                argv=words,
                exit_code=None,
                output=tail.text,
            )
        # What the program left in the background holds our pipes: without this we would wait for it.
        _signal_group(child, signal.SIGKILL)
        code = child.wait()
        end = time.monotonic() + KILL_GRACE_SECONDS
        for thread in threads:
            thread.join(timeout=max(0.0, end - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            # A daemon of its own session keeps them open; closing under a reader would block.
            child.stdout = child.stderr = None
    if failures:
        raise failures[0]
    if code not in ok:
        raise ProcessError(how_it_ended(words[0], code), argv=words, exit_code=code, output=tail.text)
    return Completed(tuple(words), code, "".join(out), "".join(err))


def interactive(argv: Argv) -> int:
    """Run a program at the person's own terminal, without a time limit. Returns its exit code."""
    return subprocess.run([os.fspath(word) for word in argv], check=False).returncode


@contextlib.contextmanager
def spawn(
    argv: Argv,
    *,
    stdin: int | IO[bytes] | None = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = subprocess.DEVNULL,
    stderr: int | IO[bytes] | None = subprocess.DEVNULL,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program that ends with this block, at the latest with this process.

    PDEATHSIG fires when the starting *thread* ends, so call it from one that outlives the child.
    """
    words = [os.fspath(word) for word in argv]
    full_env = {**os.environ, **env} if env is not None else None
    if cwd is not None and not cwd.is_dir():
        raise EnvironmentProblem(f"{words[0]} cannot run in {cwd}: there is no such directory.")
    # setpriv would report a missing program as its own failure.
    program = str((cwd or Path()) / words[0]) if "/" in words[0] else words[0]
    if shutil.which(program, path=(full_env or os.environ).get("PATH")) is None:
        raise EnvironmentProblem(f"{words[0]} is not installed, or not executable.")
    try:
        child = subprocess.Popen(
            [*_die_with_us(), *words],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=full_env,
            cwd=cwd,
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise EnvironmentProblem(f"{words[0]} is not installed.") from error
    try:
        yield child
    finally:
        kill_group(child)
        for stream in (child.stdin, child.stdout, child.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def detach(argv: Argv, *, log: Path, env: Mapping[str, str], cwd: Path) -> int:
    """Start a program that outlives this process and its terminal; what it says goes to `log`. Returns its
    pid. For work that can be killed at any moment: nobody waits for it. Raises OSError.
    """
    with log.open("ab") as out:
        child = subprocess.Popen(
            [os.fspath(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **env},
            cwd=cwd,
            start_new_session=True,
        )
    child.returncode = 0  # not ours to wait for: no warning when this object goes
    return child.pid


def kill_group(child: subprocess.Popen[bytes], *, grace: float = KILL_GRACE_SECONDS) -> None:
    """End a child and what it started: SIGTERM, then SIGKILL after `grace` seconds.

    The group is killed before its leader is reaped: until then its number cannot be anyone else's.
    """
    if child.returncode is not None:
        return
    _signal_group(child, signal.SIGTERM)
    _ended(child, grace)
    _signal_group(child, signal.SIGKILL)  # also for members that outlived their leader
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(timeout=grace)


def _signal_group(child: subprocess.Popen[bytes], signum: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signum)


def _ended(child: subprocess.Popen[bytes], timeout: float) -> bool:
    """Wait for the end of a child without reaping it; False after `timeout` seconds."""
    if child.returncode is not None:
        return True
    descriptor = os.pidfd_open(child.pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(max(0, int(timeout * 1000))))
    finally:
        os.close(descriptor)


def _die_with_us() -> list[str]:
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


_Lines = deque[tuple[int, str]]


class _Tail:
    """The last lines, as they came. Neither stream takes the room of the other's last words."""

    def __init__(self) -> None:
        self.counter = itertools.count()
        self.out: _Lines = deque(maxlen=TAIL_LINES)
        self.err: _Lines = deque(maxlen=TAIL_LINES)

    @property
    def text(self) -> str:
        out, err = list(self.out), list(self.err)
        err = err[-max(TAIL_LINES // 2, TAIL_LINES - len(out)) :]
        out = out[-(TAIL_LINES - len(err)) :]
        return "\n".join(line for _, line in sorted([*out, *err]))


def _pump(
    stream: IO[bytes] | None,
    into: list[str],
    lines: _Lines,
    on_line: Callable[[str], None] | None,
    failures: list[BaseException],
    tail: _Tail,
) -> None:
    if stream is None:
        return
    for raw in stream:
        line = raw.decode(errors="replace")
        into.append(line)
        lines.append((next(tail.counter), line.rstrip("\n")))
        if on_line is None or failures:
            continue
        try:
            on_line(line.rstrip("\r\n"))
        except BaseException as error:  # raised by run(); the pipe must be read on
            failures.append(error)


def _feed(stream: IO[bytes], data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError, ValueError), stream:
        stream.write(data)


def how_it_ended(program: str, code: int) -> str:
    """In words that a program failed: a negative exit code is a signal."""
    name = Path(program).name
    if code == 127:
        return f"{name} was not found (exit code 127)."
    if code < 0:
        return f"{name} was killed by {signal.Signals(-code).name}."
    return f"{name} failed with exit code {code}."
