"""The deprovision runner at work in a container: everything but the power switch is real."""

from __future__ import annotations

import subprocess
import time

from provisioners import deprovision, generalized

SETUP = r"""
set -e
useradd -m -G sudo,mail ops; mkdir -p /home/ops/.ssh
usermod -a -G mail,adm packer
cd /home/ops/.ssh
echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOPSOPSOPSOPSOPSOPSOPSOPSOPSOPSOPSOPSOPSOPS ops' >authorized_keys
cat /home/packer/.ssh/authorized_keys >>authorized_keys
mkdir -p /home/empty/.ssh; : >/home/empty/.ssh/authorized_keys
mkdir -p /root/.ssh; cd /root/.ssh
sed 's/^/no-pty,command="echo Please login as the user" /' /home/packer/.ssh/authorized_keys >authorized_keys
echo 0123456789abcdef0123456789abcdef >/etc/machine-id
mkdir -p /var/lib/dbus; cp /etc/machine-id /var/lib/dbus/machine-id
mkdir -p /var/lib/cloud/instances/i-1 /var/lib/cloud/data /var/log/journal/0123 /var/lib/dhcp /etc/netplan
echo x >/var/lib/cloud/data/instance-id; ln -s instances/i-1 /var/lib/cloud/instance
echo x >/var/log/cloud-init.log; echo x >/var/log/journal/0123/system.journal
echo lease >/var/lib/dhcp/dhclient.leases; echo 'network: {}' >/etc/netplan/50-cloud-init.yaml
mkdir -p /etc/network/interfaces.d; echo '# 52:54:00:12:34:56' >/etc/network/interfaces.d/build
echo ls >/root/.bash_history; echo ls >/home/ops/.bash_history
mkdir -p /var/lib/systemd /var/mail; echo seed >/var/lib/systemd/random-seed; echo mail >/var/mail/packer
printf 'Defaults env_keep += "X"\npacker ALL=(ALL) NOPASSWD: ALL\n' >/etc/sudoers.d/site
touch /tmp/script_1.sh /tmp/keep-me
"""


class ContainerFiles:
    """ImageFiles over `docker exec`."""

    def __init__(self, containers, service: str = "generalized") -> None:
        self._inside = containers.inside
        self._service = service

    def read(self, path: str) -> bytes | None:
        text = self._inside(self._service, "sh", "-c", 'test -f "$1" && { echo :; cat "$1"; }', "sh", path)
        return text[2:].encode() if text else None

    def listdir(self, path: str) -> list[str] | None:
        text = self._inside(self._service, "sh", "-c", 'test -d "$1" && { echo :; ls -A "$1"; }', "sh", path)
        return text.split("\n")[1:-1] if text else None


def test_an_override_replaces_the_script_but_not_the_scrub(containers, connect) -> None:
    guest = connect("generalized")
    files = ContainerFiles(containers)
    assert guest.run(["sudo", "bash", "-c", SETUP], timeout=60).exit_code == 0
    before = {line.split(":")[0] for line in generalized.findings(files, "packer")}
    assert before == set(generalized.CHECKS)  # every check sees its fault

    override = (
        "#!/bin/bash\necho override by $(id -un)\ntest -f /var/lib/waagent/ovf-env.xml || exit 3\nexit 7\n"
    )
    guest.put(override.encode(), deprovision.LINUX_PATH, timeout=30, mode=0o755)
    guest.run(["sh", "-c", "nohup sleep 600 >/dev/null 2>&1 &"], timeout=30)
    runner = deprovision.linux_runner("packer", power_off=False, report_device="/report")
    prepare = ["sudo", "sh", "-c", ": >/report; cat >/runner.sh"]
    assert guest.run(prepare, timeout=30, stdin=runner.encode()).exit_code == 0
    report = containers.inside("generalized", "sh", "-c", "setsid sh /runner.sh; cat /report")

    parsed = deprovision.parse_report(report)
    assert "override by root" in parsed.log
    assert (parsed.deprovision_exit, parsed.scrub_exit) == (7, 0), report
    assert generalized.findings(files, "packer") == []
    assert generalized.remarks(files, "packer") == ["/home/ops/.ssh/authorized_keys lets somebody in as ops"]
    assert "AAAAC3NzaC1lZDI1NTE5AAAAIOPS" in (files.read("/home/ops/.ssh/authorized_keys") or b"").decode()
    assert files.listdir("/home/empty/.ssh") == [], "as cloud-init leaves one to root"
    assert files.read("/etc/sudoers.d/site") == b'Defaults env_keep += "X"\n'
    assert files.read("/etc/sudoers.d/90-cloud-init-users") is None
    assert b"ops" in (files.read("/etc/group") or b"")
    assert b"packer" not in (files.read("/etc/group") or b"")
    assert files.read("/tmp/keep-me") == b""
    assert files.read("/etc/machine-id") == b""
    shadow = containers.inside("generalized", "stat", "-c", "%a %U:%G", "/etc/shadow")
    assert shadow == "640 root:shadow\n"
    processes = containers.inside("generalized", "ps", "-eo", "uid")
    assert "1000" not in processes.split()


WAAGENT = """#!/bin/sh
echo "$0 $*" >>/waagent.log
"""


def test_aibs_default_asks_waagent_for_no_version_and_replaces_a_script_that_is_gone(
    containers, connect, monkeypatch
) -> None:
    guest = connect("defaulted")
    install = ": >/report; cat >/usr/sbin/waagent; chmod 755 /usr/sbin/waagent"
    assert guest.run(["sudo", "sh", "-c", install], timeout=30, stdin=WAAGENT.encode()).exit_code == 0
    real = deprovision.linux_runner
    monkeypatch.setattr(
        deprovision, "linux_runner", lambda user: real(user, power_off=False, report_device="/report")
    )
    assert deprovision.start(guest, user="packer", timeout=30)
    until, report = time.monotonic() + 30, ""
    while deprovision.SCRUB_MARK not in report and time.monotonic() < until:
        report = containers.inside("defaulted", "cat", "/report")
    parsed = deprovision.parse_report(report)
    assert (parsed.deprovision_exit, parsed.scrub_exit) == (0, 0), report
    assert "WAAGENT=/usr/sbin/waagent" in parsed.log
    assert any(line.startswith("--- AIB's default: waagent is looked up") for line in parsed.log)
    log = ["sh", "-c", "cat /waagent.log; rm /waagent.log"]
    assert containers.inside("defaulted", *log) == "/usr/sbin/waagent -force -deprovision+user\n"
    assert generalized.findings(ContainerFiles(containers, "defaulted"), "packer") == []

    # Another waagent on the PATH: the script itself has to find out which one works.
    again = f"""cp /usr/sbin/waagent /usr/local/sbin/
cat >{deprovision.LINUX_PATH} <<'EOF'
{deprovision.LINUX_DEFAULT}EOF
cat >/runner.sh <<'RUNNER'
{deprovision.linux_runner("packer")}RUNNER
sh /runner.sh"""
    containers.inside("defaulted", "bash", "-c", again)
    assert containers.inside("defaulted", *log) == (
        "/usr/local/sbin/waagent -version\n/usr/local/sbin/waagent -force -deprovision+user\n"
    )


def test_runner_is_clean_shell() -> None:
    """shellcheck, if there is one, has nothing to say beyond the variables Python sets."""
    runner = deprovision.linux_runner("packer")
    for shell in ("dash", "bash"):
        done = subprocess.run(
            [shell, "-n"], input=runner, text=True, capture_output=True, timeout=30, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
