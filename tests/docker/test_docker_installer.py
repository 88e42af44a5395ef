"""What an installation leaves to scripts of ours, in a system of its own (a copy of the container's,
entered by chroot): enter.sh with the real tools, configure.sh with doubles of Red Hat's, which log how they
are called.
"""

from __future__ import annotations

import shlex
import subprocess

import pytest

from builder.installer import kickstart
from builder.installer.installation import Wanted
from builder.installer.media import Release
from builder.vm.access import BuildAccess

TARGET = "/target"
RHEL8 = Release("rhel", "8.4")
RPMS = "sudo openssh-server chrony parted NetworkManager xfsprogs"
# rpm knows what is installed; dnf can get what stands in /available; both say so to /log.
DOUBLES = {
    "rpm": 'grep -qw -- "$2" /installed',
    "dnf": 'echo "dnf $*" >>/log; [ "$2" = install ] || exit 0\n'
    'grep -qw -- "$3" /available && echo "$3" >>/installed',
    "subscription-manager": 'echo "subscription-manager $*" >>/log\n'
    '[ "$1" != register ] || ! test -e /refused',
    "dracut": 'echo "dracut $*" >>/log',
    "grubby": 'echo "grubby $*" >>/log',
    "grub2-mkconfig": 'echo "grub2-mkconfig $*" >>/log',
    "systemctl": 'echo "systemctl $*" >>/log',
}
SETUP = f"""
set -e
rm -rf {TARGET}; mkdir -p {TARGET}/dev {TARGET}/tmp {TARGET}/root {TARGET}/answers
cp -a /bin /sbin /lib /lib64 /usr /etc /var {TARGET}/ 2>/dev/null || true
mknod -m 666 {TARGET}/dev/null c 1 3 2>/dev/null || : >{TARGET}/dev/null
chmod 1777 {TARGET}/tmp
"""


@pytest.fixture(scope="module")
def root(containers):
    """Runs a script as root in the container."""

    def run(script: str) -> str:
        return containers.inside("guest", "bash", "-c", script)

    run(SETUP)
    yield run
    run(f"rm -rf {TARGET}")


def put(root, path: str, text: str, mode: str = "644") -> None:
    root(f"printf %s {shlex.quote(text)} >{path} && chmod {mode} {path}")


def test_the_build_user_gets_in(root) -> None:
    access = BuildAccess.generate("builder")
    for name, text in {
        "enter.sh": kickstart.enter_script(access.user),
        "build-user.pub": access.client_key.public + "\n",
        "host_key": access.host_key.private,
        "host_key.pub": access.host_key.public + "\n",
    }.items():
        put(root, f"{TARGET}/answers/{name}", text)
    said = root(f"sh {TARGET}/answers/enter.sh {TARGET} 2>&1; echo exit $?")
    assert said.splitlines()[-1] == "exit 0", said
    home = f"{TARGET}/home/builder"
    assert root(f"cat {home}/.ssh/authorized_keys") == access.client_key.public + "\n"
    assert root(f"stat -c %a {home}/.ssh {home}/.ssh/authorized_keys").split() == ["700", "600"]
    assert root(f"chroot {TARGET} stat -c %U /home/builder/.ssh/authorized_keys") == "builder\n"
    assert root(f"chroot {TARGET} su builder -c 'sudo -n id -u'") == "0\n"
    assert root(f"chroot {TARGET} visudo -c -f /etc/sudoers.d/90-goldsmith").endswith("parsed OK\n")
    shown = root(f"chroot {TARGET} ssh-keygen -y -f /etc/ssh/ssh_host_ed25519_key").split()[:2]
    assert shown == access.host_key.public.split()[:2]
    again = root(
        f"sh {TARGET}/answers/enter.sh {TARGET} 2>&1; echo exit $?"
    )  # a user of that name is there now
    assert again.splitlines()[-1] == "exit 0", again


def configured(root, *, release: str = "8.4", registration: str = "no", available: str, packages=()):
    """Run configure.sh; what it said, and what it called."""
    wanted = Wanted("V1", "packer", "", "", "", packages)
    text = kickstart._configure(Release("rhel", release), wanted, kickstart.Origin(registration=registration))
    text = text.replace(f"console='{kickstart.CONSOLE}'", "console=/console")
    assert "console=/console" in text
    for name, body in DOUBLES.items():
        put(root, f"{TARGET}/usr/local/bin/{name}", f"#!/bin/sh\n{body}\n", "755")
    put(root, f"{TARGET}/installed", "\n".join(RPMS.split()) + "\n")
    put(root, f"{TARGET}/available", available + "\n")
    put(root, f"{TARGET}/configure.sh", text)
    root(f"cd {TARGET}; rm -rf log etc/sysconfig/network-scripts; mkdir -p etc/sysconfig/network-scripts")
    put(root, f"{TARGET}/etc/waagent.conf", "Provisioning.Agent=auto\n# ResourceDisk.Format=y\nOther=1\n")
    put(
        root, f"{TARGET}/etc/default/grub", 'GRUB_CMDLINE_LINUX="crashkernel=auto console=ttyS0 rhgb quiet"\n'
    )
    # /console is appended to, as a terminal is.
    root(f'sed -i \'s|>"$console"|>>"$console"|\' {TARGET}/configure.sh; rm -f {TARGET}/console')
    ended = root(
        f"PATH=/usr/local/bin:$PATH chroot {TARGET} bash /configure.sh >/dev/null 2>&1; echo $?"
    ).strip()
    said = root(f"cat {TARGET}/console").splitlines()
    return ended, said, root(f"cat {TARGET}/log").splitlines()


def test_a_system_that_finds_everything(root) -> None:
    ended, said, calls = configured(root, available=" ".join((*kickstart.AGENTS, "vim")), packages=("vim",))
    assert (ended, said) == (
        "0",
        [
            "GOLDSMITH: installed",
            "GOLDSMITH: has cloud-init",
            "GOLDSMITH: has WALinuxAgent",
            "GOLDSMITH: configured",
        ],
    )
    assert "dnf -y install vim" in calls
    assert "dracut --force --regenerate-all" in calls
    assert any(call.startswith("grubby --update-kernel=ALL --remove-args=rhgb quiet") for call in calls)
    assert root(f"cat {TARGET}/etc/waagent.conf").splitlines() == [
        "Other=1",
        "Provisioning.Agent=cloud-init",
        "Provisioning.UseCloudInit=y",
        "ResourceDisk.Format=n",
        "ResourceDisk.EnableSwap=n",
    ]
    assert root(f"head -n 1 {TARGET}/etc/default/grub") == 'GRUB_CMDLINE_LINUX="console=ttyS0 "\n'
    assert "NoCloud" in root(f"cat {TARGET}/etc/cloud/cloud.cfg.d/91-azure_datasource.cfg")
    assert root(f"ls {TARGET}/etc/sysconfig/network-scripts") == "ifcfg-eth0\n"
    assert root(f"ls -A {TARGET}/root/.goldsmith 2>/dev/null") == ""
    assert not any("subscription-manager" in call for call in calls)


def test_a_system_that_finds_nothing(root) -> None:
    ended, said, _ = configured(root, release="9.4", available="nothing")
    assert ended == "0"
    assert (
        said[1]
        == f"GOLDSMITH: warning not to be had from the medium or a repository: {' '.join(kickstart.AGENTS)}"
    )
    assert said[2].startswith("GOLDSMITH: warning neither cloud-init nor WALinuxAgent")
    assert said[-1] == "GOLDSMITH: configured"
    assert root(f"ls {TARGET}/etc/sysconfig/network-scripts") == ""


def test_a_package_somebody_asked_for_is_missing(root) -> None:
    ended, said, _ = configured(root, available="nothing", packages=("no-such",))
    assert ended == "1"
    assert said[-1].startswith("GOLDSMITH: failed the package no-such is neither on the medium nor")


def subscription(root) -> None:
    root(
        f"mkdir -p {TARGET}/root/.goldsmith; printf 'org-1\\nkey-1\\n' >{TARGET}/root/.goldsmith/subscription"
    )


def test_registered_first_and_given_back_last(root) -> None:
    subscription(root)
    ended, said, calls = configured(root, registration="post", available=" ".join(kickstart.AGENTS))
    assert (ended, said[-1]) == ("0", "GOLDSMITH: configured")
    assert calls[0] == "subscription-manager register --org=org-1 --activationkey=key-1"
    given_back = calls.index("subscription-manager unregister")
    assert given_back > max(n for n, call in enumerate(calls) if call.startswith("dnf -y install"))
    assert calls.count("subscription-manager unregister") == 1
    assert root(f"grep -rls key-1 {TARGET}/root {TARGET}/etc {TARGET}/var") == ""


def test_given_back_also_after_a_failure(root) -> None:
    subscription(root)
    ended, said, calls = configured(root, registration="post", available="nothing", packages=("no-such",))
    assert ended == "1" and said[-1].startswith("GOLDSMITH: failed")
    assert "subscription-manager unregister" in calls
    assert root(f"ls -A {TARGET}/root/.goldsmith 2>/dev/null") == ""


def test_a_subscription_that_is_refused(root) -> None:
    subscription(root)
    root(f": >{TARGET}/refused")
    ended, said, _ = configured(root, registration="post", available="nothing")
    root(f"rm {TARGET}/refused")
    assert ended == "1"
    assert said[-1].startswith("GOLDSMITH: failed the subscription was refused")
    assert not any("key-1" in line for line in said)


@pytest.mark.parametrize(
    ("shell", "text"),
    [
        ("sh", kickstart.enter_script("packer")),
        (
            "bash",
            kickstart._configure(Release("rhel", "8.4"), Wanted("V1", "p", "", "", ""), kickstart.Origin()),
        ),
    ],
)
def test_shellcheck_has_nothing_to_say(shell, text) -> None:
    done = subprocess.run(
        ["shellcheck", "-s", shell, "-"], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == ""
