from __future__ import annotations

import pytest

from provisioners.base import ConnectionLostError, FrozenContent, RestartedError, StepError, StepTimeoutError
from provisioners.environment import posix_quote, powershell_quote
from provisioners.guest import CommandResult, GuestError, GuestTimeoutError, LinkLostError
from provisioners.shell import ShellProvisioner, inline_script, interpreter
from templates.errors import ExitCode
from templates.model import ShellStep


def shell(*inline: str, **extra) -> ShellProvisioner:
    return ShellProvisioner(ShellStep(type="Shell", inline=list(inline), **extra), None)


def by_uri(data: bytes = b"#!/bin/bash\n") -> ShellProvisioner:
    return ShellProvisioner(ShellStep(type="Shell", script_uri="x"), FrozenContent("x", data, "abc"))


def test_inline_script() -> None:
    assert inline_script(["a=1", "echo $a"]) == b"#!/bin/sh -e\na=1\necho $a\n"
    assert inline_script(["#!/bin/bash", "x"]) == b"#!/bin/bash\nx\n"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (b"#!/bin/sh -e\nx", ["/bin/sh", "-e"]),
        (b"#! /usr/bin/env -S python3 -u\r\n", ["/usr/bin/env", "-S python3 -u"]),
        (b"echo", ["/bin/sh"]),
        (b"#!\n", ["/bin/sh"]),
        (b"\x7fELF\xff", ["/bin/sh"]),
    ],
)
def test_interpreter(script: bytes, words: list[str]) -> None:
    assert interpreter(script) == words


def test_secrets_go_by_stdin_never_by_argv(linux, context) -> None:
    shell("x").apply(linux, context(secrets={"TOKEN": "it's\nhidden"}))
    argv, stdin = linux.runs[0]
    assert argv[:3] == ["sh", "-s", "--"]
    assert "hidden" not in " ".join(argv)
    assert b"export TOKEN='it'\\''s\nhidden'\n" in (stdin or b"")
    assert b"export PACKER_BUILDER_TYPE='qemu'\n" in (stdin or b"")


def test_script_uri_goes_through_sudo(linux, context) -> None:
    by_uri().apply(linux, context())
    assert linux.runs[0][0][:4] == ["sudo", "-n", "-E", "sh"]
    linux.user = "root"
    by_uri().apply(linux, context())
    assert linux.runs[1][0][0] == "sh"


def test_restart_and_lost_link_are_told_apart(linux, context) -> None:
    linux.boots = ["boot-1", "boot-2"]
    linux.answers = [LinkLostError("gone")]
    with pytest.raises(RestartedError) as caught:
        shell("reboot").apply(linux, context())
    assert "x-LinuxRestart" in (caught.value.hint or "")
    linux.answers = [LinkLostError("gone")]
    with pytest.raises(ConnectionLostError):
        shell("x").apply(linux, context())


def test_a_missing_exit_status_is_a_lost_link(linux, context) -> None:
    linux.answers = [CommandResult(-1, ("last",))]
    with pytest.raises(ConnectionLostError) as caught:
        shell("x").apply(linux, context())
    assert caught.value.tail == ("last",)


def test_a_step_waits_for_a_guest_the_step_before_restarted(linux, context) -> None:
    linux.boots = [GuestError("no connection"), "boot-2"]
    shell("x").apply(linux, context())
    assert linux.reconnects == 1


def test_time_over_is_a_time_out(linux, context) -> None:
    linux.answers = [GuestTimeoutError("slow")]
    with pytest.raises(StepTimeoutError) as caught:
        shell("x").apply(linux, context())
    assert caught.value.exit_code == ExitCode.TIMED_OUT


def test_wrong_guest_and_wrong_names(linux, windows, context) -> None:
    with pytest.raises(StepError, match="Linux"):
        shell("x").apply(windows, context())
    for name in ("A B", "1A", "A;rm", "é"):
        with pytest.raises(StepError, match="environment variable"):
            shell("x").apply(linux, context(env={name: "x"}))
    with pytest.raises(StepError, match="NUL"):
        shell("x").apply(linux, context(env={"A": "\0"}))
    assert linux.files == {}


def test_inputs_name_no_secret_values() -> None:
    step = ShellStep.model_validate(
        {
            "type": "Shell",
            "inline": ["x"],
            "x-goldsmith": {"env": {"A": "1"}, "secrets": {"T": {"env": "TOK"}}},
        }
    )
    assert ShellProvisioner(step, None).inputs() == {
        "inline": "#!/bin/sh -e\nx\n",
        "env.A": "1",
        "secrets": "T",
    }
    assert by_uri().inputs() == {"script": "abc"}


def test_quoting() -> None:
    assert posix_quote("a'b") == "'a'\\''b'"
    assert powershell_quote("a'b\u2019") == "'a''b\u2019\u2019'"
