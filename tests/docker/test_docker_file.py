"""File against a real sshd."""

from __future__ import annotations

import os

import pytest

from provisioners.base import StepError
from provisioners.file import FileProvisioner
from templates.model import FileStep

from .recorder import content


def file(destination: str, data: bytes = b"hello\n") -> FileProvisioner:
    step = FileStep(type="File", source_uri="x", destination=destination)
    return FileProvisioner(step, content(data, "x"))


@pytest.mark.parametrize("size", [0, 1, 32 * 1024, 3_000_001])
def test_arrives_whole(size, guest, recorder) -> None:
    data = os.urandom(size)
    file("/tmp/a file's name", data).apply(guest, recorder.context())
    assert guest.get("/tmp/a file's name", timeout=30) == data
    owner = guest.run(["stat", "-c", "%U %a", "/tmp/a file's name"], timeout=30).stdout
    assert owner == "packer 644\n"


def test_replaces_what_is_there(guest, recorder) -> None:
    file("/tmp/twice", b"a longer first text\n").apply(guest, recorder.context())
    file("/tmp/twice", b"second\n").apply(guest, recorder.context())
    assert guest.get("/tmp/twice", timeout=30) == b"second\n"


def test_missing_directory_is_named(guest, recorder) -> None:
    with pytest.raises(StepError, match="/tmp/no/such does not exist"):
        file("/tmp/no/such/index.html").apply(guest, recorder.context())


def test_permission_denied_gives_aibs_rule(guest, recorder) -> None:
    with pytest.raises(StepError, match="cannot write /etc/index") as caught:
        file("/etc/index.html").apply(guest, recorder.context())
    assert "sudo cp" in (caught.value.hint or "")
    assert guest.run(["test", "-e", "/etc/index.html"], timeout=30).exit_code == 1


def test_directory_as_destination(guest, recorder) -> None:
    with pytest.raises(StepError, match="is a directory"):
        file("/tmp").apply(guest, recorder.context())
    with pytest.raises(StepError, match="not a full path"):
        file("/tmp/").apply(guest, recorder.context())


def test_full_disk_is_not_a_success(connect, recorder) -> None:
    """/dev/full takes everything and keeps nothing."""
    guest = connect("guest")
    with pytest.raises(StepError):
        file("/dev/full", b"x" * 100000).apply(guest, recorder.context())
