"""PowerShell, WindowsRestart and File as a Windows guest would receive them, over real SSH."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from builder.vm.access import BuildAccess
from builder.vm.ssh import SshGuest
from builder.vm.ssh_link import Endpoint
from provisioners.base import RestartedError, StepError, StepTimeoutError
from provisioners.powershell import PowerShellProvisioner
from provisioners.restart import WindowsRestartProvisioner
from templates.model import PowerShellStep, WindowsRestartStep

from .recorder import Recorder
from .windows_double import WindowsDouble


@pytest.fixture
def double() -> Iterator[WindowsDouble]:
    server = WindowsDouble(BuildAccess.generate())
    yield server
    server.close()


@pytest.fixture
def windows(double: WindowsDouble) -> Iterator[SshGuest]:
    guest = SshGuest(Endpoint("127.0.0.1", double.port), double.access, os_type="Windows")
    guest.connect(timeout=20)
    yield guest
    guest.disconnect()


def powershell(*inline: str, **extra) -> PowerShellProvisioner:
    return PowerShellProvisioner(PowerShellStep(type="PowerShell", inline=list(inline), **extra), None)


def test_exact_bytes_of_a_powershell_step(double, windows) -> None:
    recorder = Recorder()
    powershell("$a = 1", "Write-Host $a").apply(windows, recorder.context(secrets={"TOKEN": "hidden-value"}))
    script, environment = sorted(double.stored, key=len)
    assert double.files == {}, "everything is deleted afterwards"
    assert script.startswith("/C:/Windows/Temp/goldsmith-")
    assert double.stored[script] == b"$a = 1\nWrite-Host $a\n"
    assert b"SetEnvironmentVariable('TOKEN', 'hidden-value')" in double.stored[environment]
    run, delete = double.texts()
    assert run == (
        "$ProgressPreference = 'SilentlyContinue'\n"
        "try { [Console]::OutputEncoding = New-Object System.Text.UTF8Encoding $false } catch { }\n"
        f". '{environment[1:]}'\nRemove-Item -Force -LiteralPath '{environment[1:]}'\n"
        f"& '{script[1:]}'\nexit $LASTEXITCODE\n"
    )
    backslashed = script[1:].replace("/", "\\")
    assert delete == f"cmd.exe /c del /f /q {backslashed} {environment[1:].replace('/', chr(92))}"
    sent = b"\n".join(double.commands)
    assert b"powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand " in sent
    assert b"hidden" not in sent
    assert "hidden" not in run


@pytest.mark.parametrize(
    ("code", "valid", "passes"), [(0, [0], True), (3010, [0, 3010], True), (1, [0], False)]
)
def test_exit_codes(code, valid, passes, double, windows) -> None:
    double.answer = lambda line: 0 if line.startswith("cmd.exe") else code
    step = powershell("x", valid_exit_codes=valid)
    if passes:
        step.apply(windows, Recorder().context())
        return
    with pytest.raises(StepError) as caught:
        step.apply(windows, Recorder().context())
    assert caught.value.exit_code_of_step == code


def test_elevated_as_system(double, windows) -> None:
    step = powershell("x", run_elevated=True, run_as_system=True)
    step.apply(windows, Recorder().context(secrets={"TOKEN": "hidden-value"}))
    task, delete = double.texts()
    outer = next(path for path in double.stored if path.endswith("-run.ps1"))
    assert "-UserId 'SYSTEM' -LogonType ServiceAccount -RunLevel Highest" in task
    assert outer[1:].replace("/", "\\") in task
    assert b"exit $LASTEXITCODE" in double.stored[outer]
    assert "-run.ps1" in delete
    assert "hidden" not in task


def test_a_script_that_restarts_is_told_apart(double, windows) -> None:
    def restart(line: str) -> int | None:
        if line.startswith("cmd.exe"):
            return 0
        double.boot += 1
        return None

    double.answer = restart
    with pytest.raises(RestartedError, match="restarted the guest"):
        powershell("Restart-Computer").apply(windows, Recorder().context())


def test_restart_flow(double, windows) -> None:
    """The link drops, the first reconnection finds the old boot, the check command fails once."""
    checks = iter([1, 0])

    def answer(line: str) -> int | None:
        if "shutdown" in line:
            double.boot += 1
            return None
        return next(checks)

    double.answer = answer
    step = WindowsRestartStep(type="WindowsRestart", restart_check_command="sc query winrm")
    WindowsRestartProvisioner(step, None).apply(windows, Recorder().context())
    restart, *checked = double.texts()
    assert '\'/d /s /c "shutdown /r /f /t 0 /c "packer restart""\'' in restart
    assert len(checked) == 2
    assert all("sc query winrm" in line for line in checked)


def test_restart_that_never_comes(double, windows) -> None:
    step = WindowsRestartStep(type="WindowsRestart", restart_timeout="3s")
    with pytest.raises(StepTimeoutError, match="Timeout waiting for machine to restart"):
        WindowsRestartProvisioner(step, None).apply(windows, Recorder().context())


def test_file_is_compared(double, windows) -> None:
    from provisioners.file import FileProvisioner
    from templates.model import FileStep

    from .recorder import content

    data = b"x" * 100_000
    step = FileStep(type="File", source_uri="x", destination="C:\\Temp\\a.bin")
    with pytest.raises(StepError, match="whole"):  # the double tells no hash
        FileProvisioner(step, content(data)).apply(windows, Recorder().context())
    stored = double.files["/C:/Temp/a.bin"]
    assert hashlib.sha256(stored).digest() == hashlib.sha256(data).digest()
