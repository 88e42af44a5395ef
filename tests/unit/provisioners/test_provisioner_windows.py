from __future__ import annotations

import hashlib

import pytest

from provisioners import powershell_text, restart
from provisioners.base import BadStepError, FrozenContent, StepError, StepTimeoutError
from provisioners.file import FileProvisioner
from provisioners.guest import CommandResult, GuestError, LinkLostError
from provisioners.powershell import PowerShellProvisioner
from provisioners.registry import UnknownStepTypeError, create, known_types
from provisioners.restart import LinuxRestartProvisioner, WindowsRestartProvisioner
from provisioners.windows_update import WindowsUpdateProvisioner
from templates.errors import ExitCode
from templates.model import (
    ExtensionStep,
    FileStep,
    LinuxRestartStep,
    PowerShellStep,
    WindowsRestartStep,
    WindowsUpdateStep,
)


def powershell(*inline: str, **extra) -> PowerShellProvisioner:
    return PowerShellProvisioner(PowerShellStep(type="PowerShell", inline=list(inline), **extra), None)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch) -> None:
    monkeypatch.setattr(restart.time, "sleep", lambda _seconds: None)


def test_windows_script_runs_encoded_with_its_environment_in_a_file(windows, context) -> None:
    windows.answers = [CommandResult(3)]
    with pytest.raises(StepError) as caught:
        powershell("Write-Host 'é'", "exit 3").apply(windows, context(secrets={"T": "it's"}))
    assert caught.value.exit_code_of_step == 3
    script, environment = sorted(windows.files, key=len)
    assert windows.files[script] == "\ufeffWrite-Host 'é'\nexit 3\n".encode()
    assert b"SetEnvironmentVariable('T', 'it''s')" in windows.files[environment]
    argv = windows.runs[0][0]
    assert argv[:5] == ["powershell.exe", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass"]
    assert windows.encoded(0) == (
        "$ProgressPreference = 'SilentlyContinue'\n"
        "try { [Console]::OutputEncoding = New-Object System.Text.UTF8Encoding $false } catch { }\n"
        f". '{environment}'\nRemove-Item -Force -LiteralPath '{environment}'\n"
        f"& '{script}'\nexit $LASTEXITCODE\n"
    )
    deleted = windows.runs[1][0]
    assert deleted[:5] == ["cmd.exe", "/c", "del", "/f", "/q"]
    assert script.replace("/", "\\") in deleted
    assert environment.replace("/", "\\") in deleted


def test_valid_exit_codes(windows, context) -> None:
    windows.answers = [CommandResult(3010)]
    powershell("x", valid_exit_codes=[0, 3010]).apply(windows, context())
    windows.answers = [CommandResult(0)]
    with pytest.raises(StepError):
        powershell("x", valid_exit_codes=[3010]).apply(windows, context())


@pytest.mark.parametrize(("as_system", "who"), [(True, "'SYSTEM' -LogonType ServiceAccount"), (False, "S4U")])
def test_elevated_goes_by_a_scheduled_task(as_system, who, windows, context) -> None:
    step = powershell("x", run_elevated=True, run_as_system=as_system)
    step.apply(windows, context(secrets={"T": "hidden-value"}))
    task = windows.encoded(0)
    assert who in task
    assert "hidden-value" not in task
    assert "Register-ScheduledTask" in task
    assert task.endswith("exit $code\n")
    runner = next(name for name in windows.files if name.endswith("-run.ps1"))
    assert runner.replace("/", "\\") in task
    assert any("-run.ps1" in word for word in windows.runs[1][0])


def test_command_line_fits_cmd(windows, context) -> None:
    """cmd.exe takes 8191 characters."""
    powershell("x", run_elevated=True).apply(windows, context())
    assert sum(len(word) + 1 for word in windows.runs[0][0]) < 8191


def test_run_as_system_needs_run_elevated() -> None:
    with pytest.raises(StepError, match="runElevated"):
        powershell("x", run_as_system=True)


def test_pwsh_on_linux(linux, context) -> None:
    powershell("x").apply(linux, context(secrets={"T": "hidden"}))
    argv, stdin = linux.runs[0]
    assert argv[:3] == ["sh", "-s", "--"]
    assert argv[4] == "pwsh"
    assert "-ExecutionPolicy" not in argv
    assert b"hidden" in (stdin or b"")
    linux.answers = [CommandResult(127), CommandResult(1)]
    with pytest.raises(StepError, match="not installed"):
        powershell("x").apply(linux, context())


def windows_restart(**extra) -> WindowsRestartProvisioner:
    return WindowsRestartProvisioner(WindowsRestartStep(type="WindowsRestart", **extra), None)


@pytest.mark.parametrize(
    "answer", [CommandResult(0), CommandResult(1115), CommandResult(1190), LinkLostError("x")]
)
def test_windows_restart_is_proved_by_a_new_boot(answer, windows, context) -> None:
    windows.answers = [answer]
    windows.boots = ["boot-1", "boot-1", "boot-1", GuestError("refused"), "boot-2"]
    windows_restart().apply(windows, context())
    assert windows.reconnects == 3
    assert '/c "shutdown /r /f /t 0 /c "packer restart""' in windows.encoded(0)


def test_windows_restart_refused(windows, context) -> None:
    windows.answers = [CommandResult(5, ("Access is denied.",))]
    with pytest.raises(StepError, match="exit code 5"):
        windows_restart().apply(windows, context())


def test_restart_check_command_is_repeated(windows, context) -> None:
    windows.boots = ["boot-1", "boot-1", "boot-2"]
    windows.answers = [CommandResult(0), CommandResult(1), LinkLostError("x"), CommandResult(0)]
    windows_restart(restart_check_command="sc query x").apply(windows, context())
    assert len(windows.runs) == 4


@pytest.mark.parametrize("kind", ["Linux", "Windows"])
def test_restart_that_never_comes(kind, linux, windows, context) -> None:
    guest = linux if kind == "Linux" else windows
    step = (
        LinuxRestartProvisioner(LinuxRestartStep(type="x-LinuxRestart", restart_timeout="50ms"), None)
        if kind == "Linux"
        else windows_restart(restart_timeout="50ms")
    )
    with pytest.raises(StepTimeoutError, match=r"^Timeout waiting for machine to restart\.$"):
        step.apply(guest, context())


def test_linux_restart(linux, context) -> None:
    linux.boots = ["boot-1", "boot-1", "boot-2"]
    linux.answers = [CommandResult(255)]
    LinuxRestartProvisioner(LinuxRestartStep(type="x-LinuxRestart"), None).apply(linux, context())
    assert linux.runs[0][0][:3] == ["sudo", "-n", "-E"]
    linux.answers = [CommandResult(1), CommandResult(1)]
    with pytest.raises(StepError, match="without a password"):
        LinuxRestartProvisioner(LinuxRestartStep(type="x-LinuxRestart"), None).apply(linux, context())


def test_file_on_windows(windows, context) -> None:
    data = b"hello"
    digest = hashlib.sha256(data).hexdigest()
    step = FileStep(type="File", source_uri="x", destination="C:\\it's\\a.txt")
    windows.answers = [CommandResult(0), CommandResult(0, (), digest.upper() + "\r\n")]
    FileProvisioner(step, FrozenContent("x", data, digest)).apply(windows, context())
    assert windows.files == {"C:/it's/a.txt": data}
    assert "'C:/it''s'" in windows.encoded(0)


def test_file_that_did_not_arrive_whole(linux, context) -> None:
    step = FileStep(type="File", source_uri="x", destination="/tmp/x")
    linux.answers = [CommandResult(0), CommandResult(0, (), "4\n")]
    with pytest.raises(StepError, match="whole"):
        FileProvisioner(step, FrozenContent("x", b"hello", "abc")).apply(linux, context())
    linux.answers = [CommandResult(0), CommandResult(0, (), "5\n")]
    FileProvisioner(step, FrozenContent("x", b"hello", "abc")).apply(linux, context())


@pytest.mark.parametrize("destination", ["", "x", "tmp/x", "/", "/tmp/", "C:x", "C:\\tmp\\", "\\tmp\\x"])
def test_a_destination_that_is_no_full_path_is_refused_before_anything_boots(destination: str) -> None:
    step = FileStep(type="File", source_uri="x", destination=destination)
    with pytest.raises(BadStepError, match="not a full path with a file name") as caught:
        FileProvisioner(step, FrozenContent("x", b"hello", "abc"))
    assert caught.value.exit_code == ExitCode.BAD_TEMPLATE


@pytest.mark.parametrize(("guest", "destination"), [("linux", "C:/tmp/x"), ("windows", "/tmp/x")])
def test_a_full_path_of_the_other_system_is_none(
    guest: str, destination: str, context, request: pytest.FixtureRequest
) -> None:
    step = FileStep(type="File", source_uri="x", destination=destination)
    with pytest.raises(StepError, match="not a full path"):
        FileProvisioner(step, FrozenContent("x", b"hello", "abc")).apply(
            request.getfixturevalue(guest), context()
        )


def test_create_finds_by_type() -> None:
    assert {"Shell", "File", "PowerShell", "WindowsRestart", "x-LinuxRestart"} <= set(known_types())
    assert isinstance(create(LinuxRestartStep(type="x-LinuxRestart")), LinuxRestartProvisioner)
    assert isinstance(create(WindowsUpdateStep(type="WindowsUpdate")), WindowsUpdateProvisioner)
    with pytest.raises(UnknownStepTypeError, match="x-Ansible") as caught:
        create(ExtensionStep(type="x-Ansible"))
    assert "Shell" in caught.value.details[0]


def test_command_is_base64_of_utf16() -> None:
    assert powershell_text.command("exit 0")[-1] == "ZQB4AGkAdAAgADAA"
