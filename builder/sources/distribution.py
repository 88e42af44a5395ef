"""The families a base can be bootstrapped of: whose packages, what proves them, what differs inside.

What stands here ends up inside images, so a change for a release that there is must raise `EPOCH` in
bootstrap.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Network = Literal["ifupdown", "netplan"]

_DEBIAN = (
    "linux-image-cloud-amd64",
    "systemd-sysv",
    "libpam-systemd",
    "libnss-myhostname",
    "udev",
    "dbus",
    "openssh-server",
    "sudo",
    "cloud-init",
    "cloud-guest-utils",
    "waagent",
    "e2fsprogs",
    "ca-certificates",
    "curl",
    "ifupdown",
    "isc-dhcp-client",
    "iproute2",
    "iputils-ping",
    "netbase",
    "kmod",
    "zstd",
    "procps",
    "less",
    "grub2-common",
    "grub-pc-bin",
    "grub-efi-amd64-bin",
)
_DEBIAN_ONLY = {
    *("linux-image-cloud-amd64", "libnss-myhostname", "waagent", "ifupdown", "isc-dhcp-client", "zstd"),
}
# The virtual kernel carries the drivers of Hyper-V and of QEMU; Ubuntu's kernels only recommend an
# initramfs, and bootstraps install no recommendations.
_UBUNTU = ("linux-image-virtual", "initramfs-tools", "walinuxagent")
_COMMON = tuple(package for package in _DEBIAN if package not in _DEBIAN_ONLY)
_UBUNTU_NETWORK = {
    "xenial": ("ifupdown", "isc-dhcp-client"),
    "bionic": ("netplan.io",),
    "focal": ("netplan.io",),
    "jammy": ("netplan.io", "zstd"),
}
# From here on name resolution is a package of its own.
_UBUNTU_NEWER = ("netplan.io", "systemd-resolved", "zstd")


@dataclass(frozen=True, slots=True)
class Distribution:
    """A family of releases. `components` are the parts of its archive that are used, `on_archive` the
    suites, beside the release itself, that a mirror of the archive has.
    """

    key: Literal["debian", "ubuntu"]
    name: str
    menu_entry: str
    keyring: Path
    keyring_hint: str
    components: tuple[str, ...]
    on_archive: tuple[str, ...]
    mirror_setting: str

    def packages(self, suite: str) -> tuple[str, ...]:
        """What a base of `suite` consists of, beside what is essential."""
        if self.key == "debian":
            return _DEBIAN
        return (*_UBUNTU, *_COMMON, *_UBUNTU_NETWORK.get(suite, _UBUNTU_NEWER))

    def network(self, suite: str) -> Network:
        """Who brings up the network."""
        return "ifupdown" if self.key == "debian" or suite == "xenial" else "netplan"


DEBIAN = Distribution(
    key="debian",
    name="Debian",
    menu_entry="Debian GNU/Linux",
    keyring=Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    keyring_hint="Install it: sudo apt-get install debian-archive-keyring",
    components=("main",),
    on_archive=("-updates",),  # security updates of Debian have an archive of their own
    mirror_setting="debian_mirror",
)
UBUNTU = Distribution(
    key="ubuntu",
    name="Ubuntu",
    menu_entry="Ubuntu",
    keyring=Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg"),
    keyring_hint="Install it: sudo apt-get install ubuntu-keyring (Ubuntu, and Debian from 13 on). "
    "On Debian 12 copy that file from an Ubuntu machine you trust.",
    components=("main", "universe"),
    on_archive=("-updates", "-security"),
    mirror_setting="ubuntu_mirror",
)


def distribution_of(key: Literal["debian", "ubuntu"]) -> Distribution:
    """The family that a recipe names."""
    return UBUNTU if key == "ubuntu" else DEBIAN
