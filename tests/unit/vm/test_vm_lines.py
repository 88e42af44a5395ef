import itertools
import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.vm.lines import MAX_LINE, LineSplitter
from builder.vm.ssh import command_line


def split(*chunks: bytes) -> list[str]:
    splitter = LineSplitter()
    return [line for chunk in chunks for line in splitter.feed(chunk)] + splitter.finish()


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ((b"a\nb\n",), ["a", "b"]),
        ((b"a", b"b\nc"), ["ab", "c"]),
        ((b"dos\r\nline\r", b"\n"), ["dos", "line"]),
        ((b"10%\r50%\r", b"100%\r\n"), ["100%"]),
        ((b"10%\r50%\r",), ["50%"]),
        ((b"\n\n",), ["", ""]),
        ((b"\xff ok\n",), ["\ufffd ok"]),
        (("ü".encode()[:1], "ü".encode()[1:] + b"\n"), ["ü"]),
        ((b"cut \xc3",), ["cut \ufffd"]),
        ((), []),
    ],
)
def test_lines(chunks, lines):
    assert split(*chunks) == lines


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=4))
def test_cutting_the_stream_anywhere_changes_nothing(data, cuts):
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    chunks = [data[a:b] for a, b in itertools.pairwise(places)]
    assert split(*chunks) == split(data)


def test_a_line_without_end_comes_in_pieces_and_is_not_kept():
    splitter = LineSplitter()
    pieces = [line for _ in range(64) for line in splitter.feed(b"x" * 4096)]
    assert pieces
    assert max(map(len, pieces)) == MAX_LINE
    assert sum(map(len, pieces + splitter.finish())) == 64 * 4096


def test_an_endless_progress_bar_is_not_kept_either():
    splitter = LineSplitter()
    for number in range(100_000):
        assert splitter.feed(b"%d%%\r" % number) == []
    assert splitter.finish() == ["99999%"]


@pytest.mark.parametrize("argv", [["echo", "a b", "it's", "$HOME", "new\nline", "*", ""], ["true"]])
def test_linux_command_line_is_what_a_shell_takes_apart_again(argv):
    line = command_line(argv, "Linux")
    assert line.endswith("; exit $?")
    assert shlex.split(line.removesuffix("; exit $?")) == argv


def test_windows_command_line_is_createprocess_quoting():
    argv = ["powershell", "-Command", 'say "hi"', "C:\\with space\\", ""]
    assert command_line(argv, "Windows") == r'powershell -Command "say \"hi\"" "C:\with space\\" ""'
    assert command_line(argv, "Windows") == subprocess.list2cmdline(argv)
