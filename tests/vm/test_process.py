"""builder/process.py with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from builder import process
from builder.errors import EnvironmentProblem
from builder.owner import Owner
from builder.process import ProcessError

ROOT = Path(__file__).resolve().parents[2]


def ended(pid: int, seconds: float = 5) -> bool:
    end = time.monotonic() + seconds
    while Owner.of(pid) is not None:
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_output_exit_code_and_lines() -> None:
    lines: list[str] = []
    done = process.run(
        ["sh", "-c", "echo out; echo err >&2; exit 3"], timeout=10, ok=(3,), on_line=lines.append
    )
    assert (done.exit_code, done.stdout, done.stderr) == (3, "out\n", "err\n")
    assert sorted(lines) == ["err", "out"]


def test_stdin_environment_and_directory(tmp_path: Path) -> None:
    done = process.run(
        ["sh", "-c", 'cat; echo "$A"; pwd'], timeout=10, stdin=b"in\n", env={"A": "b c"}, cwd=tmp_path
    )
    assert done.stdout == f"in\nb c\n{tmp_path}\n"


def test_much_output_on_both_sides_and_unread_stdin() -> None:
    script = "head -c 3000000 /dev/zero | tr '\\0' 'x'; head -c 3000000 /dev/zero | tr '\\0' 'y' >&2"
    done = process.run(["sh", "-c", script], timeout=30, stdin=b"z" * 3_000_000)
    assert (len(done.stdout), len(done.stderr)) == (3_000_000, 3_000_000)


def test_a_failure_can_be_pasted_and_shows_its_last_lines() -> None:
    with pytest.raises(ProcessError) as caught:
        process.run(["sh", "-c", "seq 1 100; echo 'it broke' >&2; exit 4"], timeout=10)
    error = caught.value
    assert error.message == "sh failed with exit code 4."
    assert error.details[0] == "$ sh -c 'seq 1 100; echo '\"'\"'it broke'\"'\"' >&2; exit 4'"
    assert "it broke" in error.details
    assert [line for line in error.details[1:] if line != "it broke"] == [str(n) for n in range(62, 101)]
    assert error.exit_code_of_process == 4


@pytest.mark.parametrize("loud", ["", " >&2"])
def test_one_stream_does_not_hide_the_last_words_of_the_other(loud: str) -> None:
    quiet = "" if loud else " >&2"
    with pytest.raises(ProcessError) as caught:
        process.run(["sh", "-c", f"seq 1 30{quiet}; seq 101 200{loud}; exit 4"], timeout=10)
    lines = [int(line) for line in caught.value.details[1:]]
    assert sorted(lines) == [*range(11, 31), *range(181, 201)]


def test_a_signal_is_named() -> None:
    with pytest.raises(ProcessError, match="killed by SIGKILL"):
        process.run(["sh", "-c", "kill -9 $$"], timeout=10)


@pytest.mark.parametrize("stubborn", ["", "trap '' TERM; "])
def test_a_timeout_ends_the_whole_group(
    tmp_path: Path, stubborn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process.kill_group, "__kwdefaults__", {"grace": 0.5})
    pids = tmp_path / "pids"
    # The leader ends at SIGTERM; its child may refuse to.
    script = (
        f"({stubborn}echo $(sh -c 'echo $PPID') > {pids}; while :; do sleep 0.1; done) & echo before; wait"
    )
    start = time.monotonic()
    with pytest.raises(ProcessError, match="did not finish within 1 s") as caught:
        process.run(["sh", "-c", script], timeout=1)
    assert time.monotonic() - start < 5
    assert "before" in caught.value.details
    assert caught.value.exit_code_of_process is None
    assert ended(int(pids.read_text()))


def test_what_stays_in_the_background_is_not_waited_for(tmp_path: Path) -> None:
    start = time.monotonic()
    done = process.run(["sh", "-c", f"sleep 60 & echo $! > {tmp_path}/pid; echo done"], timeout=30)
    assert time.monotonic() - start < 3
    assert done.stdout == "done\n"
    assert ended(int((tmp_path / "pid").read_text()))


def test_a_daemon_that_holds_the_pipes_does_not_hang_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "KILL_GRACE_SECONDS", 0.5)
    start = time.monotonic()
    done = process.run(
        ["sh", "-c", f"setsid sh -c 'echo $$ > {tmp_path}/pid; sleep 20' & sleep 0.3"], timeout=30
    )
    assert done.exit_code == 0
    assert time.monotonic() - start < 5
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_missing_programs_and_directories(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="no-such-program is not installed"):
        process.run(["no-such-program"], timeout=5)
    (tmp_path / "plain").write_text("x")
    with pytest.raises(EnvironmentProblem, match="not executable"):
        process.run([tmp_path / "plain"], timeout=5)
    with pytest.raises(EnvironmentProblem, match="no such directory"):
        process.run(["true"], timeout=5, cwd=tmp_path / "none")
    with pytest.raises(EnvironmentProblem, match="apt-get install nothing-pkg"):
        try:
            process.require("no-such-program", "nothing-pkg")
        except EnvironmentProblem as error:
            raise EnvironmentProblem(str(error.hint)) from error


def test_a_relative_program_is_looked_for_in_the_directory_it_runs_in(tmp_path: Path) -> None:
    script = tmp_path / "here.sh"
    script.write_text("#!/bin/sh\necho found\n")
    script.chmod(0o755)
    assert process.run(["./here.sh"], timeout=5, cwd=tmp_path).stdout == "found\n"


def test_a_failing_listener_is_reported_and_blocks_nobody() -> None:
    def listen(_line: str) -> None:
        raise ValueError("listener")

    start = time.monotonic()
    with pytest.raises(ValueError, match="listener"):
        process.run(["seq", "1", "100000"], timeout=20, on_line=listen)
    assert time.monotonic() - start < 5


def test_the_block_of_spawn_is_the_life_of_the_child() -> None:
    with process.spawn(["sleep", "60"]) as child:
        owner = Owner.of(child.pid)
        assert owner is not None
        assert owner.alive()
    assert not owner.alive()


def test_an_exception_in_the_block_ends_the_child_too() -> None:
    with pytest.raises(KeyboardInterrupt), process.spawn(["sleep", "60"]) as child:
        raise KeyboardInterrupt
    assert child.returncode is not None


def test_the_child_dies_with_us(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import pathlib, sys, time
        from builder import process
        with process.spawn(["sleep", "300"]) as child:
            while b"sleep" not in pathlib.Path(f"/proc/{child.pid}/cmdline").read_bytes()[:6]:
                time.sleep(0.01)
            print(child.pid, flush=True)
            time.sleep(300)
    """)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=ROOT) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert Owner.of(pid) is not None
        parent.send_signal(signal.SIGKILL)
        parent.wait(timeout=10)
    assert ended(pid)


def test_no_signal_changes_the_exit_code_while_python_ends() -> None:
    """The last objects go when Python's own handlers are gone already."""
    program = """
        import atexit, os, signal, sys
        from contextlib import suppress
        from builder.cancellation import SIGNALS, Interrupted, as_program, cancel_on_signals

        def press():
            for number in SIGNALS:
                os.kill(os.getpid(), number)

        class Last:
            def __del__(self, write=os.write, kill=os.kill, pid=os.getpid(), numbers=SIGNALS):
                for number in numbers:
                    kill(pid, number)
                write(1, b"at the very end")

        def main():
            global last
            last = Last()
            atexit.register(press)
            with suppress(Interrupted), cancel_on_signals():
                press()
            press()
            return 130

        sys.exit(as_program(main))
    """
    argv = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "at the very end", "")
