"""Installations that go wrong in a real machine: each is told for what it is, and leaves nothing running."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from harness import Cli, assert_nothing_left, qemu_processes
from media import Medium
from test_failing_build import write
from test_install import from_iso

from builder.deadline import Deadline
from builder.errors import BuildTimeoutError, ExitCode
from builder.events import EventBus
from builder.installer import install as installing
from builder.installer import kickstart
from builder.installer.answers import answers, boot_arguments
from builder.installer.failure import InstallationError, InstallationTimeoutError
from builder.installer.installation import Installation, Installed, Wanted
from builder.installer.media import read_medium, take_out
from builder.redact import Redactor
from builder.services import Services
from builder.settings import Home, Settings
from builder.vm.access import BuildAccess

pytestmark = [pytest.mark.timeout(3600), pytest.mark.long]

Run = Callable[..., Installed]


@pytest.fixture
def run(stand_in_dvd: Medium, home: Path, tmp_path: Path) -> Run:
    """Install with a kickstart that was changed, and other things that can be changed."""
    medium = read_medium(stand_in_dvd.path)
    take_out(medium, tmp_path / "kernel", tmp_path / "initrd")
    access = BuildAccess.generate()
    wanted = Wanted("V1", access.user, access.client_key.public, access.host_key.private, "", ())
    text = kickstart.render(medium.release, wanted, kickstart.Origin())

    def install(
        change: Callable[[str], str] = str, *, deadline: float = 1800, **changes: object
    ) -> Installed:
        redactor = Redactor()
        services = Services(
            home=Home(home),
            settings=Settings(),
            bus=EventBus(redactor),
            redactor=redactor,
            deadline=Deadline(deadline),
            base_dir=tmp_path,
            output_dir=tmp_path,
        )
        with answers(tmp_path / "answers.iso", change(text), access, None) as iso:
            installation = Installation(
                name=medium.release.name,
                family="anaconda",
                os_variant=medium.release.variant,
                kernel=tmp_path / "kernel",
                initrd=tmp_path / "initrd",
                command_line=boot_arguments(medium.label, medium.release.major, needs_network=False),
                medium=stand_in_dvd.path,
                answers=iso,
                generation="V1",
                disk_size=8 << 30,
                memory_mib=2048,
                cpus=2,
                time_limit=1500,
            )
            return installing.install(
                replace(installation, **changes),  # type: ignore[arg-type]
                tmp_path / "disk.raw",
                tmp_path,
                services,
            )

    return install


def check_bundle(error: InstallationError | BuildTimeoutError, *, running: bool = True) -> None:
    bundle = Path(error.bundle)
    assert "inst.ks=" in (bundle / "qemu-command.txt").read_text()
    assert "Linux version" in (bundle / "serial.log").read_text(errors="replace")
    assert error.message in (bundle / "failure.txt").read_text()
    if running:
        assert (bundle / "screenshot.png").read_bytes().startswith(b"\x89PNG")


def test_a_medium_that_is_not_found_ends_in_dracuts_shell(run: Run, home: Path) -> None:
    options = "inst.stage2=hd:LABEL=ANOTHER inst.ks=hd:LABEL=OEMDRV:/ks.cfg console=ttyS0,115200n8"
    with pytest.raises(
        InstallationError, match="did not find /dev/disk/by-label/ANOTHER and stopped"
    ) as caught:
        run(command_line=options)
    assert caught.value.exit_code == ExitCode.BUILD_FAILED
    assert "dracut:/#" not in caught.value.message
    assert any("dracut-initqueue timeout" in line for line in caught.value.details)
    check_bundle(caught.value)
    assert qemu_processes(home) == []


def test_a_kickstart_that_the_installer_refuses(run: Run) -> None:
    with pytest.raises(InstallationError, match=r"refused the kickstart: .*line \d+") as caught:
        run(lambda text: text.replace("zerombr\n", "zerombrr\n"))
    check_bundle(caught.value)


def test_an_error_on_the_way_comes_with_the_installers_own_words(run: Run) -> None:
    with pytest.raises(InstallationError, match="stopped: Kickstart insufficient: no language") as caught:
        run(lambda text: text.replace("lang en_US.UTF-8\n", ""))
    assert any("the installer stopped" in line for line in caught.value.details), "%onerror has run"
    check_bundle(caught.value)


def test_a_restart_is_no_end(run: Run) -> None:
    restart = "%pre --interpreter=/bin/bash\necho b >/proc/sysrq-trigger\n%end\n"
    with pytest.raises(
        InstallationError, match="restarted before it was done, while reading the answers"
    ) as caught:
        run(lambda text: text + restart)
    check_bundle(caught.value, running=False)


def test_its_own_limit_and_that_of_the_build(run: Run) -> None:
    with pytest.raises(
        InstallationTimeoutError, match=r"took longer than .* \(x-goldsmith.timeout\)"
    ) as caught:
        run(time_limit=12)
    assert caught.value.exit_code == ExitCode.TIMED_OUT
    check_bundle(caught.value)
    with pytest.raises(BuildTimeoutError, match="buildTimeoutInMinutes") as other:
        run(deadline=12)
    assert other.value.details[0].startswith("The installer was ")
    check_bundle(other.value)


def test_an_installer_that_stands_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installing, "STUCK_SECONDS", 20.0)
    with pytest.raises(InstallationError, match="stands while reading the answers") as caught:
        run(lambda text: text + "%pre\nsleep 3600\n%end\n")
    assert "screenshot" in (caught.value.hint or "")
    check_bundle(caught.value)


def test_an_empty_disk_is_no_installation(run: Run) -> None:
    own = "%pre --interpreter=/bin/bash\necho o >/proc/sysrq-trigger\nsleep 60\n%end\n"
    with pytest.raises(InstallationError, match="left an empty disk"):
        run(lambda text: text + own, marked=False)


@pytest.mark.usefixtures("no_leftovers")
def test_a_package_that_is_nowhere_fails_the_build(
    stand_in_dvd: Medium, cli: Cli, home: Path, tmp_path: Path
) -> None:
    value = from_iso("iso-nowhere", stand_in_dvd, packages=["no-such-package"])
    result = cli(write(tmp_path / "template.json", value), "--plain")
    assert result.code == ExitCode.BUILD_FAILED
    assert "the package no-such-package is neither on the medium nor in a repository" in result.text
    assert "serial.log" in [path.name for path in (home / "runs").glob("*/failure/serial.log")]
    assert [path for path in (home / "cache/bases").iterdir() if path.suffix == ".tmp"] == []


@pytest.mark.usefixtures("no_leftovers")
def test_ctrl_c_leaves_nothing_of_an_installation(
    stand_in_dvd: Medium, cli: Cli, home: Path, tmp_path: Path
) -> None:
    value = from_iso("iso-cancelled", stand_in_dvd, packages=["gdisk"])
    process = cli.start(write(tmp_path / "template.json", value), "--plain")
    end = time.monotonic() + 600
    while not qemu_processes(home):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.5)
    time.sleep(5)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == ExitCode.CANCELLED, said
    assert [path for path in (home / "cache/bases").iterdir() if path.suffix == ".tmp"] == []
    assert list(tmp_path.glob("*.iso")) == []
    assert_nothing_left(home)
