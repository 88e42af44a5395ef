"""What "generalized" means, as named checks over the files of a finished image. Pure.

The list is design.md's. It looks at the disk itself, so it does not matter what a script claimed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Protocol


class ImageFiles(Protocol):
    """The root file system of an image, read only. Paths are absolute; links are followed within it."""

    def read(self, path: str) -> bytes | None:
        """A file's content; None when there is no such file."""

    def listdir(self, path: str) -> list[str] | None:
        """The names in a directory, without . and ..; None when there is no such directory."""


Check = Callable[[ImageFiles, str], Iterator[str]]
"""Given the files and the build user's name, yields one line per thing that should not be there."""

BUILD_KEY_COMMENT = b"goldsmith-build"
"""How the build's own key is marked; builder/vm/access.py makes it."""

# QEMU's own prefix: an address that starts so can only be a build machine's.
_MAC = re.compile(rb"52:54:00:[0-9a-f]{2}:[0-9a-f]{2}:[0-9a-f]{2}", re.IGNORECASE)
_KEY = re.compile(rb"^[ \t]*[^#\s].*$", re.MULTILINE)


def findings(files: ImageFiles, user: str) -> list[str]:
    """Everything that keeps the image from being generalized, as `check: what`. Empty means proved."""
    return [f"{name}: {what}" for name, check in CHECKS.items() for what in check(files, user)]


def _build_user(files: ImageFiles, user: str) -> Iterator[str]:
    for name in ("passwd", "shadow", "group", "gshadow"):
        for path in (f"/etc/{name}", f"/etc/{name}-"):
            for line in _lines(files, path):
                fields = line.split(":")
                members = ",".join(fields[2:]).split(",") if name in ("group", "gshadow") else []
                if fields[0] == user or user in members:
                    yield f"{path} names {user}"
                    break


def _home(files: ImageFiles, user: str) -> Iterator[str]:
    for path in (f"/home/{user}",):
        if files.listdir(path) is not None:
            yield f"{path} exists"
    for path in (f"/var/mail/{user}", f"/var/spool/mail/{user}", f"/var/spool/cron/crontabs/{user}"):
        if files.read(path) is not None:
            yield f"{path} exists"


def _authorized_keys(files: ImageFiles, user: str) -> Iterator[str]:
    accounts = set(_homes(files).values()) - {"root", user}
    for path, owner in _key_files(files):
        # An account that a customizer made may keep the keys it was given (see `remarks`).
        if owner not in accounts:
            yield f"{path} lets somebody in"
        elif BUILD_KEY_COMMENT in (files.read(path) or b""):
            yield f"{path} holds the build's key"


def remarks(files: ImageFiles, user: str) -> list[str]:
    """What is no fault but worth saying: accounts of the customizers' that carry keys."""
    accounts = set(_homes(files).values()) - {"root", user}
    return [f"{path} lets somebody in as {owner}" for path, owner in _key_files(files) if owner in accounts]


def _homes(files: ImageFiles) -> dict[str, str]:
    """Home directory -> account, as /etc/passwd has it."""
    entries = (line.split(":") for line in _lines(files, "/etc/passwd"))
    return {entry[5].rstrip("/") or "/": entry[0] for entry in entries if len(entry) > 5 and entry[5]}


def _key_files(files: ImageFiles) -> Iterator[tuple[str, str]]:
    """Files of keys with something in them, and whose home they are in ("" for nobody's)."""
    homes = _homes(files)
    found = {"/root", *(f"/home/{name}" for name in files.listdir("/home") or []), *homes}
    for home in sorted(found):
        for name in ("authorized_keys", "authorized_keys2"):
            path = f"{home.rstrip('/')}/.ssh/{name}"
            content = files.read(path)
            if content and _KEY.search(content):
                yield path, homes.get(home, "")


def _host_keys(files: ImageFiles, _user: str) -> Iterator[str]:
    for name in files.listdir("/etc/ssh") or []:
        if name.startswith("ssh_host_"):
            yield f"/etc/ssh/{name} exists"


def _machine_id(files: ImageFiles, _user: str) -> Iterator[str]:
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        content = files.read(path)
        # "uninitialized" is systemd's own word for: make one at the next boot.
        if content is not None and content.strip() not in (b"", b"uninitialized"):
            yield f"{path} is not empty"


def _cloud_init(files: ImageFiles, _user: str) -> Iterator[str]:
    for name in ("instance", "instances", "data", "sem"):
        path = f"/var/lib/cloud/{name}"
        if files.listdir(path):
            yield f"{path} has entries"
    for name in files.listdir("/var/log") or []:
        if name.startswith("cloud-init"):
            yield f"/var/log/{name} exists"


def _shell_history(files: ImageFiles, _user: str) -> Iterator[str]:
    for home in ["/root", *(f"/home/{name}" for name in files.listdir("/home") or [])]:
        for name in files.listdir(home) or []:
            if name.startswith(".") and name.endswith("_history"):
                yield f"{home}/{name} exists"


def _dhcp_leases(files: ImageFiles, _user: str) -> Iterator[str]:
    for directory in ("/var/lib/dhcp", "/var/lib/dhclient", "/var/lib/dhcpcd", "/var/lib/NetworkManager"):
        for name in files.listdir(directory) or []:
            if "lease" in name and files.read(f"{directory}/{name}"):
                yield f"{directory}/{name} exists"


def _sudoers(files: ImageFiles, user: str) -> Iterator[str]:
    paths = ["/etc/sudoers", *(f"/etc/sudoers.d/{name}" for name in files.listdir("/etc/sudoers.d") or [])]
    for path in paths:
        if any(line.split()[:1] == [user] for line in _lines(files, path)):
            yield f"{path} has a rule for {user}"


def _sub_ids(files: ImageFiles, user: str) -> Iterator[str]:
    for path in ("/etc/subuid", "/etc/subgid", "/etc/subuid-", "/etc/subgid-"):
        if any(line.split(":")[0] == user for line in _lines(files, path)):
            yield f"{path} has a range for {user}"


def _random_seed(files: ImageFiles, _user: str) -> Iterator[str]:
    places = (
        "/var/lib/systemd/random-seed",
        "/var/lib/systemd/credential.secret",
        "/var/lib/urandom/random-seed",
        "/var/lib/random-seed",
        "/boot/efi/loader/random-seed",
        "/boot/loader/random-seed",
    )
    for path in places:
        if files.read(path):
            yield f"{path} exists"


def _network_files(files: ImageFiles, _user: str) -> Iterator[str]:
    directories = (
        "/etc/network/interfaces.d",
        "/etc/netplan",
        "/etc/systemd/network",
        "/etc/udev/rules.d",
        "/etc/sysconfig/network-scripts",
        "/etc/NetworkManager/system-connections",
    )
    for directory in directories:
        for name in files.listdir(directory) or []:
            content = files.read(f"{directory}/{name}")
            if content and _MAC.search(content):
                yield f"{directory}/{name} names the build machine's network card"
            elif "50-cloud-init" in name or name.endswith("-persistent-net.rules"):
                yield f"{directory}/{name} was written for the build machine"


def _leftovers(files: ImageFiles, _user: str) -> Iterator[str]:
    for directory in ("/tmp", "/var/tmp"):  # noqa: S108 - the image's, not ours
        for name in files.listdir(directory) or []:
            if name == "DeprovisioningScript.sh" or name.startswith(("script_", "goldsmith-")):
                yield f"{directory}/{name} exists"
    if files.read("/var/lib/waagent/ovf-env.xml") is not None:
        yield "/var/lib/waagent/ovf-env.xml exists"


def _journal(files: ImageFiles, _user: str) -> Iterator[str]:
    for name in files.listdir("/var/log/journal") or []:
        yield f"/var/log/journal/{name} is the build machine's"


CHECKS: dict[str, Check] = {
    "no build user": _build_user,
    "no home of the build user": _home,
    "no authorized_keys": _authorized_keys,
    "no SSH host keys": _host_keys,
    "empty machine-id": _machine_id,
    "no cloud-init instance state": _cloud_init,
    "no shell history": _shell_history,
    "no DHCP leases": _dhcp_leases,
    "no sudoers entry": _sudoers,
    "no sub-ids": _sub_ids,
    "no random seed": _random_seed,
    "no network file of the build machine": _network_files,
    "no journal of the build machine": _journal,
    "nothing of ours left": _leftovers,
}


def _lines(files: ImageFiles, path: str) -> list[str]:
    return (files.read(path) or b"").decode(errors="replace").splitlines()
