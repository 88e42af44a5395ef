"""The preseed: the answers to Debian's installer, which lie in its own initrd.

Source of the names: the Debian Installation Guide, appendix B, and the templates of its components.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from builder.installer.cpio import archive
from builder.installer.installation import MARKER, Wanted
from builder.installer.kickstart import CONSOLE, enter_script
from builder.installer.texts import Texts
from builder.sources import base_files
from builder.sources.distribution import DEBIAN
from builder.sources.mirrors import Mirrors, apt_proxies, find_mirrors
from provisioners.environment import posix_quote

if TYPE_CHECKING:
    from builder.services import Services

EPOCH = 1
"""Raised when the same answers are carried out differently; their text has a digest of its own."""
COMMAND_LINE = "priority=critical DEBIAN_FRONTEND=text net.ifnames=0 console=tty0 console=ttyS0,115200n8"
"""What the kernel is told. The console comes last: the installer shows itself on the last one."""
CODENAMES = {"11": "bullseye", "12": "bookworm", "13": "trixie"}
AGENTS = ("cloud-init", "waagent", "cloud-guest-utils")
_TEXTS = Texts("preseeds")
_LAST_SCRIPT = "usr/lib/finish-install.d/95goldsmith"
# Of what our own bases carry, what a system of Debian's installer has not anyway.
_FILES = (
    "etc/initramfs-tools/hooks/hypervisors",
    "etc/default/grub",
    "etc/network/interfaces",
    "etc/cloud/cloud.cfg.d/90_base.cfg",
    "etc/ssh/sshd_config.d/50-base.conf",
    "etc/systemd/system/walinuxagent.service.d/10-only-on-hyper-v.conf",
)
# QEMU's user network shows the host's own loopback there.
_HOST, _LOOPBACK = "10.0.2.2", ("localhost", "127.0.0.1", "[::1]")

Files = Mapping[str, tuple[str, int]]
"""Path in the initrd -> text, mode."""


@dataclass(frozen=True, slots=True)
class _Address:
    scheme: str
    host: str
    path: str

    @classmethod
    def of(cls, uri: str) -> _Address:
        parts = urlsplit(uri)
        return cls(parts.scheme, _seen_from_guest(parts.netloc), "/" + parts.path.strip("/"))


def digest() -> str:
    """Of everything the answers are made from."""
    whole = hashlib.sha256(f"{EPOCH}".encode())
    for codename in CODENAMES.values():
        whole.update(f"\0{_packages(codename)}\0{_base_files(codename)}".encode())
    _TEXTS.add_to(whole)
    return whole.hexdigest()


def render(version: str, wanted: Wanted, services: Services) -> Files:
    """What goes into the initrd of Debian `version`: preseed.cfg, and the scripts and files it names.

    Among them is the new system's host key, a secret.
    """
    codename = CODENAMES[version.partition(".")[0]]
    mirrors = find_mirrors(DEBIAN, codename, services.settings)
    packages = (*_packages(codename), *wanted.packages)
    facts: dict[str, object] = {
        "codename": codename,
        "generation": wanted.generation,
        "packages": packages,
        "proxy": _proxy(),
        **_sources(mirrors, codename),
    }
    settings = {"console": CONSOLE, "marker": MARKER, "agents": " ".join(AGENTS)}
    header = "".join(f"{name}={posix_quote(value)}\n" for name, value in settings.items())
    return {
        "preseed.cfg": (_TEXTS.render("debian.cfg.j2", facts), 0o644),
        "goldsmith/early.sh": (header + _TEXTS.read("early.sh"), 0o644),
        "goldsmith/late.sh": (header + _TEXTS.read("late.sh"), 0o644),
        "goldsmith/enter.sh": (enter_script(wanted.user), 0o644),
        "goldsmith/build-user.pub": (wanted.public_key + "\n", 0o644),
        "goldsmith/host_key": (wanted.host_private_key, 0o600),
        "goldsmith/host_key.pub": (wanted.host_public_key + "\n", 0o644),
        _LAST_SCRIPT: (_TEXTS.read("last.sh").replace("\n", "\n" + header, 1), 0o755),
        **{f"goldsmith/files/{name}": file for name, file in _base_files(codename).items()},
    }


def add_to(initrd: Path, files: Files) -> None:
    """Append them to the initrd as one more archive, of which the kernel unpacks any number."""
    initrd.chmod(0o600)  # a host key is in it now
    with initrd.open("ab") as file:
        file.write(bytes(-file.tell() % 4))
        file.write(archive({name: (text.encode(), mode) for name, (text, mode) in files.items()}))


def _packages(codename: str) -> tuple[str, ...]:
    """Those of our own bases; the installer chooses kernel and boot loader itself."""
    return tuple(name for name in DEBIAN.packages(codename) if not name.startswith(("linux-image", "grub")))


def _base_files(codename: str) -> dict[str, tuple[str, int]]:
    found = base_files.files_before(DEBIAN, "") | base_files.files_after(DEBIAN, codename, "")
    return {name: found[name] for name in _FILES}


def _sources(mirrors: Mirrors, codename: str) -> dict[str, Any]:
    """The mirror as the installer asks for it. None known: its own default, and all its services."""
    by_suite = {line.split()[2]: _Address.of(line.split()[1]) for line in reversed(mirrors.lines)}
    if codename not in by_suite:
        return {"mirror": None, "security": None, "services": ("security", "updates")}
    security = by_suite.get(f"{codename}-security")
    services = [name for name in ("security", "updates") if f"{codename}-{name}" in by_suite]
    return {"mirror": by_suite[codename], "security": security, "services": services}


def _proxy() -> str:
    found = apt_proxies().get("http_proxy", "")
    if not found:
        return ""
    parts = urlsplit(found)
    return parts._replace(netloc=_seen_from_guest(parts.netloc)).geturl()


def _seen_from_guest(place: str) -> str:
    host, colon, port = place.rpartition(":")
    if not colon or not port.isdigit():
        host, colon, port = place, "", ""
    return f"{_HOST if host in _LOOPBACK else host}{colon}{port}"
