"""The kickstart: ours for each release of Red Hat's family, or a user's own, both read by pykickstart first.

pykickstart is what Anaconda itself reads a kickstart with, and has a grammar for each release.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from builder.errors import PreflightError
from builder.installer.installation import HAS_CLOUD_INIT, MARKER, Wanted
from builder.installer.texts import Texts
from provisioners.environment import posix_quote

if TYPE_CHECKING:
    from builder.installer.media import Release

EPOCH = 1
"""Raised when the same kickstart is carried out differently; its text has a digest of its own."""
LABEL = "OEMDRV"
CONSOLE = "/dev/ttyS0"
KERNEL_ARGUMENTS = "console=tty1 console=ttyS0,115200n8 earlyprintk=ttyS0 net.ifnames=0 rootdelay=300"
"""Of the installed system (aib-behaviour, section 9)."""
AGENTS = ("cloud-init", "WALinuxAgent", "cloud-utils-growpart", "gdisk", "hyperv-daemons")
"""What Azure wants in a guest. Missing ones are a warning: not every medium has them."""
_NEEDED = ("chrony", "sudo", "parted", "openssh-server", "NetworkManager", "xfsprogs")
_TEXTS = Texts("kickstarts")
_LAST_WITH_NETWORK_SCRIPTS = 8
_INCLUDED = "/tmp/goldsmith-rhsm.ks"  # noqa: S108 - in the installer's memory
_MOUNTED = "/tmp/goldsmith"  # noqa: S108 - likewise
_ENTRY = """\
%post --nochroot --erroronfail
mkdir -p /tmp/goldsmith && mount -o ro -L OEMDRV /tmp/goldsmith && sh /tmp/goldsmith/enter.sh /mnt/sysimage
%end"""

Registration = Literal["no", "post", "rhsm"]


class KickstartError(PreflightError):
    """A kickstart that the installer would refuse, or that leads nowhere."""

    code = "BadKickstart"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the installer takes packages from: the medium (`cdrom`), Red Hat's network (`cdn`), or an
    address. `registration`: how the system is registered meanwhile.
    """

    source: str = "cdrom"
    repositories: tuple[str, ...] = ()
    registration: Registration = "no"


@dataclass(frozen=True, slots=True)
class OwnKickstart:
    """A user's kickstart that was read. `remarks` are warnings; `lets_us_in` whether it runs enter.sh."""

    remarks: tuple[str, ...]
    lets_us_in: bool
    has_cloud_init: bool


def digest() -> str:
    """Of everything a kickstart of ours is made from."""
    whole = hashlib.sha256(str(EPOCH).encode())
    _TEXTS.add_to(whole)
    return whole.hexdigest()


def render(release: Release, wanted: Wanted, origin: Origin) -> str:
    """Our kickstart for `release`. It holds no secret. Raises KickstartError when it is not accepted."""
    facts: dict[str, object] = {
        "name": release.name,
        "generation": wanted.generation,
        "packages": (*_NEEDED, *AGENTS, *wanted.packages),
        "source": origin.source,
        "repositories": origin.repositories,
        "registration": origin.registration,
        "kernel_arguments": KERNEL_ARGUMENTS,
        "marker": MARKER,
        "console": CONSOLE,
        "label": LABEL,
        "mounted": _MOUNTED,
        "included": _INCLUDED,
        "configure": _configure(release, wanted, origin),
    }
    text = _TEXTS.render(f"el{release.major}.ks.j2", facts)
    parse(text, release, f"the kickstart of {release.name}")
    return text


def enter_script(user: str) -> str:
    """What lets `user` into the new system; it lies beside the kickstart."""
    return f"user={posix_quote(user)}\n{_TEXTS.read('enter.sh')}"


def parse(text: str, release: Release, where: str) -> tuple[Any, tuple[str, ...]]:
    """What pykickstart makes of `text`, and its warnings. Nothing is fetched or included.

    Raises KickstartError with `where` and the line.
    """
    from pykickstart.errors import KickstartError as Refused

    try:
        return _understood(text, release.major)
    except Refused as error:
        line = f":{error.lineno}" if error.lineno else ""
        raise KickstartError(
            f"{where}{line}: {' '.join(str(error.message).split())}",
            details=_quoted(text, error.lineno),
            hint=f"It is read as the installer of {release.name} reads it.",
        ) from None


@lru_cache(maxsize=16)
def _understood(text: str, major: int) -> tuple[Any, tuple[str, ...]]:
    """A build asks several times; to build the grammar of a release takes longer than to read."""
    from pykickstart.parser import KickstartParser
    from pykickstart.version import makeVersion

    handler = makeVersion(f"RHEL{major}")
    parser = KickstartParser(handler, followIncludes=False, missingIncludeIsFatal=False)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        parser.readKickstartFromString(text)
    return handler, tuple(" ".join(str(one.message).split()) for one in said)


def check_own(text: str, release: Release, where: str) -> OwnKickstart:
    """Read a user's kickstart, which is used as it is. Raises KickstartError for what cannot work."""
    handler, remarks = parse(text, release, where)
    lets_us_in = LABEL in text and "enter.sh" in text
    has_cloud_init = HAS_CLOUD_INIT in _packages(handler)
    if not re.search(r"^\s*(poweroff|shutdown)\b", text, re.MULTILINE):
        raise KickstartError(
            f"{where} does not end with 'poweroff': nobody could tell when the installation is over.",
            hint="Add the line: poweroff",
        )
    if not lets_us_in and not has_cloud_init:
        raise KickstartError(
            f"{where} leaves no way into the new system: it neither installs cloud-init nor runs enter.sh.",
            details=tuple(_ENTRY.splitlines()),
            hint="Add cloud-init to %packages, or these lines, which make the build user.",
        )
    if "sshd" in (handler.services.disabled or ()):
        raise KickstartError(f"{where} disables sshd, through which the build enters.", hint="Enable it.")
    return OwnKickstart((*remarks, *_doubts(handler, text, where)), lets_us_in, has_cloud_init)


def _doubts(handler: Any, text: str, where: str) -> list[str]:  # noqa: ANN401 - pykickstart has no types
    """What will probably go wrong, in the installer or in Azure."""
    found = []
    mounts = [part.mountpoint for part in handler.partition.partitions]
    logical = [volume.mountpoint for volume in handler.logvol.lvList]
    if not mounts and not handler.autopart.autopart:
        found.append("no partitions: without part or autopart the installer stops and asks")
    if "swap" in (*mounts, *logical) or (handler.autopart.autopart and not handler.autopart.noswap):
        found.append("swap on the OS disk, where Azure does not want it")
    if logical:
        found.append("logical volumes, which are not grown when osDiskSizeGB asks for more")
    if "hv_storvsc" not in text:
        found.append("no hv_storvsc in it: without Hyper-V's drivers in its initramfs Azure cannot boot it")
    if not handler.rootpw.seen and not handler.user.userList:
        found.append("neither rootpw nor user: the installer of some releases stops and asks")
    return [f"{where}: {doubt}." for doubt in found]


def _packages(handler: Any) -> set[str]:  # noqa: ANN401 - pykickstart has no types
    return {name.split(".", 1)[0] for name in handler.packages.packageList}


def _quoted(text: str, line: int | None) -> tuple[str, ...]:
    lines = text.splitlines()
    return (f"  {lines[line - 1].strip()}",) if line and 0 < line <= len(lines) else ()


def _configure(release: Release, wanted: Wanted, origin: Origin) -> str:
    by_name = [name for name in wanted.packages if not name.startswith(("@", "-"))]
    settings = {
        "console": CONSOLE,
        "marker": MARKER,
        "wanted": " ".join([*_NEEDED, *by_name]),
        "agents": " ".join(AGENTS),
        "registered": origin.registration,
        "network_scripts": "yes" if release.major <= _LAST_WITH_NETWORK_SCRIPTS else "no",
    }
    header = "".join(f"{name}={posix_quote(value)}\n" for name, value in settings.items())
    return header + _TEXTS.read("configure.sh")
