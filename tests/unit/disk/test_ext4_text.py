"""What is said to debugfs and understood of it; tests/vm/test_ext4.py asks the real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.disk.ext4 import Entry, Ext4Image, _entries, _quote, _split
from builder.disk.filesystem import find_root
from builder.disk.view import UnsupportedFilesystem


@pytest.mark.parametrize(
    ("path", "argument"), [("/etc", '"/etc"'), ("/a b", '"/a b"'), ('/a"b', '"/a""b"'), ("/<5>", '"/<5>"')]
)
def test_arguments_are_quoted(path: str, argument: str) -> None:
    assert _quote(path) == argument


@pytest.mark.parametrize("path", ["/a\nrm /b", "/a\rb", "/a\0b"])
def test_a_path_cannot_smuggle_a_command(path: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        _quote(path)


def test_entries_with_odd_names_are_read() -> None:
    text = "/2/040755/0/0/.//\n/12/100644/1000/100/a\nb/7/\n/13/120777/0/0/x y/8/\n\n"
    assert list(_entries(text)) == [
        Entry(".", 2, 0o040755, 0, 0, 0),
        Entry("a\nb", 12, 0o100644, 1000, 100, 7),
        Entry("x y", 13, 0o120777, 0, 0, 8),
    ]


def test_the_answers_are_told_apart() -> None:
    output = 'debugfs: stat "/a"\nInode: 1\ndebugfs: stat "/b"\ndebugfs: cat "/c"\nhi\n'
    assert _split(output, ['stat "/a"', 'stat "/b"', 'cat "/c"']) == ["Inode: 1\n", "", "hi\n"]


def test_other_file_systems_are_named(tmp_path: Path) -> None:
    from disk.test_partitions import LINUX, gpt

    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.write(gpt((LINUX, 2048, 4095, ""), (LINUX, 4096, 8191, "")))
        file.seek(2048 * 512)
        file.write(b"LUKS\xba\xbe")
        file.truncate(8192 * 512)
    with pytest.raises(UnsupportedFilesystem) as caught:
        find_root(disk)
    assert caught.value.details == ("partition 1: LUKS", "partition 2: no known file system")
    with pytest.raises(UnsupportedFilesystem):
        Ext4Image(disk, 2048 * 512)
