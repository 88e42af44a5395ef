"""What OpenSSH on Windows does with a command: the default shell, CLIXML, encodings, access, setup."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest

from builder.events import EventBus, Note
from builder.redact import Redactor
from builder.vm import windows_ready
from builder.vm.access import BuildAccess, KeyPair
from builder.vm.errors import AuthenticationFailedError, HostKeyMismatchError
from builder.vm.ssh import SshGuest
from builder.vm.ssh_link import Endpoint
from builder.vm.windows_ready import await_windows
from provisioners.base import StepError
from provisioners.guest import GuestError, GuestTimeoutError
from provisioners.powershell import PowerShellProvisioner
from templates.model import PowerShellStep

from .recorder import Recorder
from .windows_double import RESTART, Said, WindowsDouble

Open = Callable[..., tuple[WindowsDouble, SshGuest]]
CLIXML = (
    b'#< CLIXML\r\n<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">'
    b'<Obj S="progress" RefId="0"><TN RefId="0"><T>System.Management.Automation.PSCustomObject</T></TN>'
    b'<MS><I64 N="SourceId">1</I64></MS></Obj>'
    b'<S S="Error">throw : it&apos;s &lt;gone&gt;_x000D__x000A_</S>'
    b'<S S="Error">At line:1 char:1_x000D__x000A_</S><S S="warning">low</S></Objs>'
)


@pytest.fixture
def open_windows() -> Iterator[Open]:
    doubles: list[WindowsDouble] = []
    guests: list[SshGuest] = []

    def make(access: BuildAccess | None = None, client: BuildAccess | None = None, **options):
        double = WindowsDouble(access or BuildAccess.generate(), **options)
        doubles.append(double)
        own = client or double.access
        guests.append(SshGuest(Endpoint("127.0.0.1", double.port), own, os_type="Windows"))
        return double, guests[-1]

    yield make
    for guest in guests:
        guest.disconnect()
    for double in doubles:
        double.close()


def powershell(*inline: str, **extra) -> PowerShellProvisioner:
    return PowerShellProvisioner(PowerShellStep(type="PowerShell", inline=list(inline), **extra), None)


@pytest.mark.parametrize("shell", ["cmd", "powershell"])
@pytest.mark.parametrize(("code", "valid"), [(0, [0]), (3010, [0, 3010])])
def test_exit_codes_arrive_whole_by_either_shell(shell, code, valid, open_windows: Open) -> None:
    double, windows = open_windows(shell=shell)
    windows.connect(timeout=20)
    double.answer = lambda line: 0 if "cmd.exe" in line else code
    powershell("x", valid_exit_codes=valid).apply(windows, Recorder().context())
    assert double.files == {}
    double.answer = lambda line: 0 if "cmd.exe" in line else 7
    with pytest.raises(StepError, match="exit code 7"):
        powershell("x", valid_exit_codes=valid).apply(windows, Recorder().context())


def test_the_shell_is_asked_for_once_per_connection(open_windows: Open) -> None:
    double, windows = open_windows()
    windows.connect(timeout=20)
    for _ in range(2):
        windows.run(["whoami"], timeout=20)
    double.shell = "powershell"
    windows.reconnect(timeout=20)
    windows.run(["C:\\Program Files\\x.exe", "it's", "-a"], timeout=20)
    assert [command.decode() for command in double.commands] == [
        "echo goldsmith-$PID", "whoami", "whoami", "echo goldsmith-$PID",
        "& 'C:\\Program Files\\x.exe' 'it''s' -a; exit $LASTEXITCODE",
    ]  # fmt: skip


def test_another_shell_is_refused_with_what_to_do(open_windows: Open) -> None:
    _, windows = open_windows(shell="bash")
    windows.connect(timeout=20)
    with pytest.raises(GuestError, match=r"neither cmd\.exe nor PowerShell") as caught:
        windows.run(["whoami"], timeout=20)
    assert "DefaultShell" in (caught.value.hint or "")


def test_a_command_that_windows_would_cut_off_is_never_sent(open_windows: Open) -> None:
    double, windows = open_windows()
    windows.connect(timeout=20)
    with pytest.raises(GuestError, match="too long for Windows"):
        windows.run(["echo", "x" * 8200], timeout=20)
    assert double.texts() == []


@pytest.mark.parametrize("cut", [len(CLIXML), 40, 200])
def test_clixml_becomes_words(cut, open_windows: Open) -> None:
    double, windows = open_windows()
    windows.connect(timeout=20)
    recorder = Recorder()
    double.answer = lambda line: 0 if "cmd.exe" in line else Said(1, b"out\xc3\xa9\r\n", CLIXML[:cut])
    with pytest.raises(StepError) as caught:
        powershell("x").apply(windows, recorder.context())
    assert "out\u00e9" in recorder.stdout
    if cut == len(CLIXML):
        assert recorder.stderr == ["throw : it's <gone>", "At line:1 char:1", "WARNING: low"]
        assert "throw : it's <gone>" in caught.value.tail
    assert not any("#< CLIXML" in line for line in recorder.stderr)


def test_a_declared_account_with_a_password(open_windows: Open) -> None:
    server = replace(BuildAccess.generate("Administrator"), password="opens-the-door")
    made, none = BuildAccess.generate("Administrator"), KeyPair("", "")
    client = replace(made, declared=True, password="opens-the-door", client_key=none)
    _, windows = open_windows(server, client)
    windows.connect(timeout=20)
    assert windows.boot_id(timeout=20) == "100"
    windows.reconnect(timeout=20)
    assert "opens-the-door" not in repr(client)


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_a_declared_account_with_a_key_of_any_kind(kind, open_windows: Open) -> None:
    key: paramiko.PKey
    if kind == "rsa":
        key = paramiko.RSAKey.generate(2048)
    elif kind == "ecdsa":
        key = paramiko.ECDSAKey.generate()
    else:
        key = paramiko.Ed25519Key(file_obj=io.StringIO(KeyPair.generate("x").private))
    text = io.StringIO()
    if kind == "ed25519":
        pair = KeyPair.generate("x")
    else:
        key.write_private_key(text)
        pair = KeyPair(text.getvalue(), f"{key.get_name()} {key.get_base64()}")
    server = BuildAccess("admin", pair, KeyPair.generate("image"))
    client = replace(BuildAccess.generate("admin"), declared=True, client_key=pair)
    _, windows = open_windows(server, client)
    windows.connect(timeout=20)
    assert windows.connected


def test_the_host_key_of_a_declared_account_is_kept_to(open_windows: Open) -> None:
    server = BuildAccess.generate("admin")
    client = replace(BuildAccess.generate("admin"), declared=True, client_key=server.client_key)
    double, windows = open_windows(server, client)
    windows.connect(timeout=20)
    double.host_keys = [paramiko.Ed25519Key(file_obj=io.StringIO(BuildAccess.generate().host_key.private))]
    with pytest.raises(HostKeyMismatchError, match="than before"):
        windows.reconnect(timeout=20)
    # The key of our own seed is as good: Windows Setup put it there meanwhile.
    double.host_keys = [paramiko.Ed25519Key(file_obj=io.StringIO(client.host_key.private))]
    windows.reconnect(timeout=20)


def test_a_wrong_password_names_where_it_came_from(open_windows: Open, monkeypatch) -> None:
    monkeypatch.setattr("builder.vm.ssh_link.AUTH_GRACE_SECONDS", 0.5)
    server = replace(BuildAccess.generate("admin"), password="right-one")
    client = replace(BuildAccess.generate("admin"), declared=True, password="wrong-one")
    _, windows = open_windows(server, client)
    with pytest.raises(AuthenticationFailedError, match="account 'admin'") as caught:
        windows.connect(timeout=20)
    assert "x-goldsmith.access" in (caught.value.hint or "")


def bus_and_notes() -> tuple[EventBus, list[str]]:
    bus, notes = EventBus(Redactor()), []
    bus.add_sink(lambda event: notes.append(event.event.message) if isinstance(event.event, Note) else None)
    return bus, notes


def filetime(unix: float) -> int:
    return int((unix + 11_644_473_600) * 10_000_000)


def test_windows_setup_is_waited_for(open_windows: Open, monkeypatch) -> None:
    monkeypatch.setattr(windows_ready, "_POLL_SECONDS", 0.05)
    double, windows = open_windows()
    windows.connect(timeout=20)
    double.clock = filetime(time.time())
    double.states = ["IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE"] * 2 + ["IMAGE_STATE_COMPLETE"]
    bus, notes = bus_and_notes()
    await_windows(windows, 30, bus)
    assert len(double.texts()) == 3
    assert notes == []


def test_a_clock_that_is_wrong_is_set(open_windows: Open) -> None:
    double, windows = open_windows()
    windows.connect(timeout=20)
    double.clock = filetime(time.time() - 8 * 3600)
    bus, notes = bus_and_notes()
    await_windows(windows, 30, bus)
    (said,) = notes
    assert said.startswith("The guest's clock was -288")
    setting = double.texts()[-1]
    assert abs(int(setting.split("FromFileTimeUtc(")[1].split(")")[0]) - filetime(time.time())) < 300_000_000


def test_windows_setup_that_waits_for_somebody(open_windows: Open, monkeypatch) -> None:
    monkeypatch.setattr(windows_ready, "_POLL_SECONDS", 0.05)
    double, windows = open_windows()
    windows.connect(timeout=20)
    double.states = ["IMAGE_STATE_UNDEPLOYABLE"]
    with pytest.raises(GuestTimeoutError, match="Windows Setup is not over") as caught:
        await_windows(windows, 1, bus_and_notes()[0])
    assert caught.value.details == ("its ImageState: IMAGE_STATE_UNDEPLOYABLE",)


def test_windows_setup_restarts_on_its_way(open_windows: Open, monkeypatch) -> None:
    monkeypatch.setattr(windows_ready, "_POLL_SECONDS", 0.2)
    double, windows = open_windows()
    windows.connect(timeout=20)
    double.clock = filetime(time.time())
    double.states = ["IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE", RESTART, "IMAGE_STATE_COMPLETE"]
    bus, _ = bus_and_notes()
    await_windows(windows, 30, bus)
    assert double.states == ["IMAGE_STATE_COMPLETE"]
    assert double.connections == 2


def test_generalizing_is_started_as_the_system(open_windows: Open) -> None:
    from provisioners import deprovision

    double, windows = open_windows()
    windows.connect(timeout=20)
    assert deprovision.start(windows, user="packer", timeout=20) is True  # nobody laid a script there
    assert double.stored["/C:/DeprovisioningScript.ps1"].decode() == deprovision.WINDOWS_DEFAULT
    runner = double.stored["/C:/Windows/Temp/goldsmith-deprovision.ps1"].decode()
    assert runner.startswith("$buildUser = 'packer'\n$removeUser = $true\n")
    (task,) = double.texts()
    assert "-UserId 'SYSTEM'" in task
    assert "Start-ScheduledTask -TaskName 'goldsmith-deprovision'" in task


def test_an_override_of_the_deprovision_script_stays(open_windows: Open) -> None:
    from provisioners import deprovision

    double, windows = open_windows()
    windows.connect(timeout=20)
    own = b"& 'C:\\own.exe'\r\nexit 0\r\n"
    windows.put(own, "C:/DeprovisioningScript.ps1", timeout=20)
    assert deprovision.start(windows, user="admin", timeout=20, remove_user=False) is False
    assert double.files["/C:/DeprovisioningScript.ps1"] == own
    runner = double.files["/C:/Windows/Temp/goldsmith-deprovision.ps1"].decode()
    assert "$removeUser = $false\n" in runner
    double.answer = lambda _line: Said(1, b"", b"Access is denied.\r\n")
    with pytest.raises(StepError, match=r"could not be started \(exit code 1\)") as caught:
        deprovision.start(windows, user="admin", timeout=20)
    assert "administrator" in (caught.value.hint or "")


def test_files_go_by_drive(open_windows: Open, tmp_path: Path) -> None:
    double, windows = open_windows()
    windows.connect(timeout=20)
    (tmp_path / "a").write_bytes(b"abc")
    windows.put(tmp_path / "a", "D:\\Temp\\a b.txt", timeout=20)
    assert double.files == {"/D:/Temp/a b.txt": b"abc"}
    assert windows.get("D:/Temp/a b.txt", timeout=20) == b"abc"
    with pytest.raises(GuestError, match="Could not read"):
        windows.get("D:/no", timeout=20)
