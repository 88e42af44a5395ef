from __future__ import annotations

import pytest

from provisioners import deprovision, generalized
from provisioners.base import StepError
from provisioners.guest import CommandResult, GuestError, LinkLostError

CLEAN = {
    "/etc/passwd": b"root:x:0:0::/root:/bin/sh\nops:x:1001:1001::/home/ops:/bin/sh\npackers:x:5:5::/p:sh\n",
    "/etc/passwd-": b"root:x:0:0::/root:/bin/sh\n",
    "/etc/group": b"sudo:x:27:ops\npackers:x:5:\n",
    "/etc/machine-id": b"",
    "/etc/sudoers": b"root ALL=(ALL) ALL\n%sudo ALL=(ALL) ALL\n# packer was here\n",
    "/etc/sudoers.d/README": b"# nothing\n",
    "/etc/ssh/sshd_config": b"",
    "/etc/subuid": b"ops:100000:65536\n",
    "/etc/network/interfaces.d/eth0": b"auto eth0\n",
    "/home/ops/.ssh/authorized_keys": b"ssh-ed25519 AAAA ops@desk\n",
    "/root/.ssh/authorized_keys": b"# none\n\n",
    "/var/lib/cloud/seed/x": b"",
    "/var/lib/dhcp/dhclient.leases": b"",
    "/tmp/other": b"",
}

FAULTS = [
    ("no build user", "/etc/passwd", CLEAN["/etc/passwd"] + b"packer:x:1000:1000::/home/packer:sh\n"),
    ("no build user", "/etc/shadow-", b"packer:*:1::::::\n"),
    ("no build user", "/etc/group", b"sudo:x:27:ops,packer\n"),
    ("no build user", "/etc/gshadow", b"sudo:!:packer:ops\n"),
    ("no home of the build user", "/home/packer/x", b""),
    ("no home of the build user", "/var/mail/packer", b"mail"),
    ("no authorized_keys", "/root/.ssh/authorized_keys", b"ssh-ed25519 AAAA x\n"),
    ("no authorized_keys", "/home/gone/.ssh/authorized_keys", b"ssh-ed25519 AAAA x\n"),
    ("no authorized_keys", "/home/ops/.ssh/authorized_keys", b"ssh-ed25519 AAAA goldsmith-build\n"),
    ("no SSH host keys", "/etc/ssh/ssh_host_rsa_key.pub", b"x"),
    ("empty machine-id", "/etc/machine-id", b"0123\n"),
    ("empty machine-id", "/var/lib/dbus/machine-id", b"0123\n"),
    ("no cloud-init instance state", "/var/lib/cloud/instances/i-1/x", b""),
    ("no cloud-init instance state", "/var/log/cloud-init.log", b"x"),
    ("no shell history", "/root/.bash_history", b"ls"),
    ("no shell history", "/home/ops/.zsh_history", b"ls"),
    ("no DHCP leases", "/var/lib/dhcp/dhclient.eth0.leases", b"lease"),
    ("no sudoers entry", "/etc/sudoers.d/90-cloud-init-users", b"packer ALL=(ALL) NOPASSWD:ALL\n"),
    ("no sub-ids", "/etc/subgid", b"packer:100000:65536\n"),
    ("no random seed", "/var/lib/systemd/random-seed", b"\1"),
    ("no network file of the build machine", "/etc/netplan/50-cloud-init.yaml", b"{}"),
    (
        "no network file of the build machine",
        "/etc/systemd/network/a.network",
        b"MACAddress=52:54:00:AB:cd:01",
    ),
    ("no journal of the build machine", "/var/log/journal/0123/system.journal", b"x"),
    ("nothing of ours left", "/tmp/DeprovisioningScript.sh", b"x"),
    ("nothing of ours left", "/var/lib/waagent/ovf-env.xml", b"x"),
]


class Files:
    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def read(self, path: str) -> bytes | None:
        return self._files.get(path)

    def listdir(self, path: str) -> list[str] | None:
        under = {name[len(path) + 1 :].split("/")[0] for name in self._files if name.startswith(path + "/")}
        return sorted(under) or None


def test_a_clean_image_has_no_findings() -> None:
    assert generalized.findings(Files(CLEAN), "packer") == []
    assert generalized.remarks(Files(CLEAN), "packer") == [
        "/home/ops/.ssh/authorized_keys lets somebody in as ops"
    ]


@pytest.mark.parametrize(("check", "path", "content"), FAULTS)
def test_each_fault_is_found(check: str, path: str, content: bytes) -> None:
    found = generalized.findings(Files({**CLEAN, path: content}), "packer")
    assert [line.split(":")[0] for line in found] == [check]
    assert path.startswith(found[0].split()[len(check.split())].split()[0])


def test_every_check_has_a_fault() -> None:
    assert {check for check, _, _ in FAULTS} == set(generalized.CHECKS)


def test_report() -> None:
    text = (
        "[  1.0] boot\r\n\x1b[0mWARNING! x\r\n\r\nGOLDSMITH-DEPROVISION exit=7\r\nGOLDSMITH-SCRUB exit=0\r\n"
    )
    report = deprovision.parse_report(text)
    assert (report.deprovision_exit, report.scrub_exit) == (7, 0)
    assert report.log[1] == "WARNING! x"
    cut = deprovision.parse_report("GOLDSMITH-DEPROVISION ex")
    assert (cut.deprovision_exit, cut.scrub_exit) == (None, None)
    assert deprovision.parse_report("GOLDSMITH-SCRUB exit=12\nGOLDSMITH-SCRUB exit=").scrub_exit == 12


@pytest.mark.parametrize("user", ["root", "", "a b", "x'; rm -rf /", "../etc", "a/b", "x" * 40])
def test_odd_users_are_refused(user: str) -> None:
    with pytest.raises(ValueError, match="build user"):
        deprovision.linux_runner(user)


def test_runners_carry_their_settings() -> None:
    runner = deprovision.linux_runner("pack.er")
    assert runner.startswith("build_user='pack.er'\nuser_re='pack\\.er'\n")
    assert runner.rstrip().endswith('"${1:-main}"')
    windows = deprovision.windows_runner("packer")
    assert windows.startswith(
        "$buildUser = 'packer'\n$removeUser = $true\n$script = 'C:\\DeprovisioningScript.ps1'\n"
    )
    assert "$removeUser = $false\n" in deprovision.windows_runner("packer", remove_user=False)
    assert deprovision.default_script("Linux")[0] == "/tmp/DeprovisioningScript.sh"
    assert "-deprovision+user" in deprovision.default_script("Linux")[1]
    assert "/oobe /generalize /quiet /quit" in deprovision.default_script("Windows")[1]


@pytest.mark.parametrize("said", ["", "GOLDSMITH-DEPROVISION script missing"])
def test_start_launches_by_stdin_and_tells_whether_the_script_was_gone(linux, said: str) -> None:
    linux.answers = [CommandResult(0, stdout=said)]
    assert deprovision.start(linux, user="packer", timeout=10) is bool(said)
    ((argv, stdin),) = linux.runs
    assert (argv[:4], argv[-1]) == (["sudo", "-n", "sh", "-c"], "launch")
    assert stdin == deprovision.linux_runner("packer").encode()


def test_start_is_taken_for_granted_when_the_link_ends_and_refused_without_sudo(linux) -> None:
    linux.answers = [LinkLostError("gone"), CommandResult(1, ("sudo: a password is required",))]
    assert not deprovision.start(linux, user="packer", timeout=10)
    with pytest.raises(StepError, match="could not be started"):
        deprovision.start(linux, user="packer", timeout=10)


def test_start_on_windows_puts_back_what_a_customizer_removed(windows, monkeypatch) -> None:
    def gone(*_, **__):
        raise GuestError("no such file")

    with monkeypatch.context() as patched:
        patched.setattr(windows, "get", gone)
        assert deprovision.start(windows, user="packer", timeout=10)
    assert windows.files[deprovision.WINDOWS_PATH] == deprovision.WINDOWS_DEFAULT.encode()
    assert "'SYSTEM'" in windows.encoded(0)
    assert not deprovision.start(windows, user="packer", timeout=10)
