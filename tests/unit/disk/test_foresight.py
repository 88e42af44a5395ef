"""Questions are answered as if each path had been looked at when it was asked for, in few looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.disk import ext4
from builder.disk.ext4 import Ext4Image
from builder.disk.foresight import ask
from builder.disk.mounted import MountedImage

FILES = {"/etc/a": b"b", "/etc/b": b"c", "/etc/c": b"", "/srv/x": b"in x", "/srv/y": b"in y"}


class Counted(Ext4Image):
    """A file system of a dictionary that counts how often it is looked into."""

    def __init__(self) -> None:
        self.looks = 0

    def look(self, files, directories):
        self.looks += 1
        names = sorted(path.rpartition("/")[2] for path in FILES if path.startswith("/srv/"))
        return {path: FILES.get(path) for path in files}, {
            path: names if path == "/srv" else None for path in directories
        }


def chain(files) -> list[bytes | None]:
    """Each look depends on the one before; absent and empty are told apart."""
    found = [files.read("/etc/missing")]
    path = "/etc/a"
    while content := files.read(path):
        found.append(content)
        path = f"/etc/{content.decode()}"
    found.append(files.read(path))
    found += [files.read(f"/srv/{name}") for name in files.listdir("/srv") or []]
    return [*found, None if files.listdir("/nowhere") is None else b"?"]


def test_what_depends_on_each_other_is_looked_up_round_by_round() -> None:
    root = Counted()
    assert ask(MountedImage({"/": root}), chain) == [None, b"b", b"c", b"", b"in x", b"in y", None]
    assert root.looks == 3


def test_a_chain_without_end_in_sight_is_followed_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.disk.foresight._MOST_ROUNDS", 1)
    root = Counted()
    assert ask(MountedImage({"/": root}), chain)[:4] == [None, b"b", b"c", b""]
    assert root.looks > 3


def test_other_file_systems_than_the_root_are_asked_themselves() -> None:
    class Plain:
        def read(self, path: str) -> bytes | None:
            return b"seed" if path == "/loader/random-seed" else None

        def listdir(self, path: str) -> list[str] | None:
            return ["loader"] if path == "/" else None

        def readlink(self, path: str) -> str | None:
            raise AssertionError(f"no link is asked for: {path}")

    image = MountedImage({"/": Counted(), "/boot/efi": Plain()}, links_cross=False)
    looked = ask(
        image, lambda files: (files.read("/boot/efi/loader/random-seed"), files.listdir("/boot/efi"))
    )
    assert looked == (b"seed", ["loader"])


def test_many_paths_cost_two_programs_and_one_for_each_link(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Types first, contents then; a link is followed to its end, one that leads nowhere is absent."""
    scripts: list[list[str]] = []
    stats = {
        '"/etc/a"': "Inode: 12   Type: regular    Mode:  0644\n",
        '"/etc/l"': 'Inode: 13   Type: symlink    Mode:  0777\nFast link dest: "a"\n',
        '"/etc/up"': 'Inode: 14   Type: symlink    Mode:  0777\nFast link dest: "up"\n',
        '"/etc"': "Inode: 15   Type: directory    Mode:  0755\n",
    }

    def debugfs(self: Ext4Image, commands: list[str]) -> list[str]:
        scripts.append(commands)
        answers = []
        for command in commands:
            program, _, rest = command.partition(" ")
            if program == "dump":
                Path(rest.split('" "')[1].rstrip('"')).write_bytes(b"content")
            answers.append({"stat": stats.get(rest, ""), "ls": "/12/100644/0/0/a/7/\n"}.get(program, ""))
        return answers

    monkeypatch.setattr(ext4, "_is_ext", lambda *_: True)
    monkeypatch.setattr(Ext4Image, "_debugfs", debugfs)
    files, directories = Ext4Image(tmp_path).look(
        ["/etc/a", "/etc/l", "/etc/none", "/etc"], ["/etc", "/etc/a"]
    )
    assert files == {"/etc/a": b"content", "/etc/l": b"content", "/etc/none": None, "/etc": None}
    assert directories == {"/etc": ["a"], "/etc/a": None}
    assert [[line.split()[0] for line in script] for script in scripts] == [
        ["stat"] * 4,
        ["stat"],
        ["stat"] * 2,
        ["dump", "dump", "ls"],
    ]
    assert Ext4Image(tmp_path).read("/etc/up") is None
