"""What is made of what xfs_repair says, in the real one's words; tests/vm/test_xfs.py asks that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder import process
from builder.disk import xfs_repair
from builder.disk.view import UnsupportedFilesystem
from builder.errors import BuildError

GOOD = """\
Phase 1 - find and verify superblock...
Phase 2 - using internal log
        - zero log...
Phase 3 - for each AG...
        - scan (but don't clear) agi unlinked lists...
No modify flag set, skipping phase 5
"""
ORPHAN = """\
agi unlinked bucket 9 is 137 in ag 0 (inode=137)
Would clear next_unlinked in inode 137
disconnected inode 137, would move to lost+found
would have reset inode 137 nlinks from 0 to 1
"""
DAMAGE = 'would have junked entry "far" in directory inode 128\n'


class Programs:
    """Answers to one program after the other, and what was run."""

    def __init__(self, *answers: tuple[int, str]) -> None:
        self.answers, self.ran = list(answers), list[list[str]]()
        self.written = False

    def run(self, argv: list[object], **_: object) -> process.Completed:
        self.ran.append([Path(str(argv[0])).name, *map(str, argv[1:-1])])
        code, text = self.answers.pop(0)
        return process.Completed((), code, text, "Cannot get host filesystem geometry.\n")

    def write_back(self) -> None:
        self.written = True

    path = Path("copy")


def settled(monkeypatch: pytest.MonkeyPatch, orphans: list[int], *answers: tuple[int, str]) -> Programs:
    programs = Programs(*answers)

    @contextmanager
    def apart(*_: object) -> Iterator[Programs]:
        yield programs

    class Volume:
        def __init__(self, *_: object) -> None: ...

        def orphans(self) -> list[int]:
            return orphans

    monkeypatch.setattr(process, "run", programs.run)
    monkeypatch.setattr(process, "require", lambda program, _: program)
    monkeypatch.setattr(xfs_repair, "apart", apart)
    monkeypatch.setattr(xfs_repair, "XfsVolume", Volume)
    xfs_repair.settle(Path("disk"), 0, 1)
    return programs


def test_a_clean_one_is_only_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    programs = settled(monkeypatch, [], (0, GOOD))
    assert programs.ran == [["xfs_repair", "-n"]]
    assert not programs.written


def test_what_was_deleted_while_open_is_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    programs = settled(monkeypatch, [137, 140], (1, GOOD + ORPHAN), (0, ""), (0, ""), (0, GOOD))
    free = ["-c", "inode 137", "-c", "write core.mode 0", "-c", "inode 140", "-c", "write core.mode 0"]
    assert programs.ran == [
        ["xfs_repair", "-n"],
        ["xfs_db", "-x", *free],
        ["xfs_repair"],
        ["xfs_repair", "-n"],
    ]
    assert programs.written


@pytest.mark.parametrize(
    ("orphans", "answers", "error", "message"),
    [
        ([137], [(1, GOOD + ORPHAN + DAMAGE)], BuildError, "is damaged"),
        ([], [(1, GOOD + ORPHAN)], BuildError, "is damaged"),
        ([], [(1, GOOD)], BuildError, "is damaged"),
        ([137], [(1, GOOD + ORPHAN), (0, ""), (1, "")], BuildError, "is damaged"),
        ([137], [(1, GOOD + ORPHAN), (0, ""), (0, ""), (1, DAMAGE)], BuildError, "is damaged"),
        (
            [],
            [(1, "ALERT: The filesystem has valuable metadata changes in a log which is being\n")],
            xfs_repair.LogWaits,
            "was not unmounted",
        ),
        (
            [],
            [(1, "Superblock has unknown compat/rocompat/incompat features (0x0/0x0/0x40000000).\n")],
            UnsupportedFilesystem,
            "newer than the xfsprogs",
        ),
    ],
)
def test_anything_else_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
    orphans: list[int],
    answers: list[tuple[int, str]],
    error: type[BuildError],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        settled(monkeypatch, orphans, *answers)
