"""What is on an installation medium, read out of the ISO as it lies there.

Red Hat's family describes its media in `.treeinfo` (productmd's format, with the older one in `[general]`)
and `.discinfo`; Debian in `.disk/info` and md5sum.txt. Kernel and initrd are streamed out and checked
against the sums that the medium itself gives.
"""

from __future__ import annotations

import configparser
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.errors import PreflightError
from builder.installer.installation import Family
from builder.installer.iso_files import IsoFiles, MediumError, open_iso

__all__ = ["Medium", "MediumError", "Release", "parse_variant", "read_medium", "take_out"]

ARCHITECTURE = "x86_64"
_CHUNK = 1024 * 1024
# What a family calls itself in .treeinfo, and how libosinfo does. The longest name comes first.
_FAMILIES = {
    "red hat enterprise linux": "rhel",
    "centos stream": "centos-stream",
    "centos": "centos",
    "almalinux": "almalinux",
    "rocky linux": "rocky",
    "oracle linux": "ol",
}
_NAMES = {
    "rhel": "Red Hat Enterprise Linux",
    "centos-stream": "CentOS Stream",
    "centos": "CentOS",
    "almalinux": "AlmaLinux",
    "rocky": "Rocky Linux",
    "ol": "Oracle Linux",
    "debian": "Debian",
}
_VARIANT = re.compile(rf"({'|'.join(_NAMES)})(\d+(?:\.\d+)*)")
_DEBIAN = re.compile(r"Debian GNU/Linux (?P<version>\d+(?:\.\d+)*)[^-]*- (?P<kind>.*)")
ANACONDA_MAJORS = (7, 8, 9, 10)
DEBIAN_MAJORS = (11, 12, 13)


@dataclass(frozen=True, slots=True)
class Release:
    """A distribution's release: `rhel`, `8.4`."""

    distribution: str
    version: str

    @property
    def major(self) -> int:
        """Which handler, which kickstart of ours."""
        return int(self.version.split(".", 1)[0])

    @property
    def name(self) -> str:
        """`Red Hat Enterprise Linux 8.4`."""
        return f"{_NAMES[self.distribution]} {self.version}"

    @property
    def variant(self) -> str:
        """As libosinfo spells it: `rhel8.4`."""
        return f"{self.distribution}{self.version}"

    @property
    def family(self) -> Family:
        """Whose installer that is."""
        return "debian" if self.distribution == "debian" else "anaconda"


@dataclass(frozen=True, slots=True)
class Medium:
    """One installation medium. `kernel` and `initrd` are paths in it, `sums` its own checksums by path
    (`sha256:...`), `has_packages` whether it can install without a network.
    """

    path: Path
    label: str
    release: Release
    kernel: str
    initrd: str
    sums: Mapping[str, str]
    has_packages: bool


def parse_variant(text: str) -> Release:
    """`osVariant` of a template. Raises PreflightError for one we cannot install."""
    match = _VARIANT.fullmatch(text.strip().lower())
    release = Release(match[1], match[2]) if match else None
    if release is None or release.major not in _majors(release):
        raise PreflightError(
            f"osVariant '{text}' is not known here.",
            hint="Known are rhel7 to rhel10 and the same of centos, centos-stream, almalinux, rocky, ol, "
            "with or without a minor version (rhel8.4), and debian11, debian12, debian13.",
        )
    return release


def read_medium(path: Path, os_variant: str = "") -> Medium:
    """What the ISO at `path` installs; `os_variant` overrules what it says of itself.

    Raises MediumError when it is no installation medium we know, or is cut short.
    """
    forced = parse_variant(os_variant) if os_variant else None
    with open_iso(path) as files:
        if files.exists(".treeinfo") or files.exists("images/pxeboot/vmlinuz"):
            medium = _anaconda(path, files, forced)
        elif files.exists(".disk/info") and files.exists("install.amd"):
            medium = _debian(path, files, forced)
        else:
            raise _not_ours(path, files)
        missing = [name for name in (medium.kernel, medium.initrd) if not files.exists(name)]
        if missing:
            raise MediumError(
                f"{path} has no {missing[0]}, from which its installer starts.",
                details=(_said(files),),
                hint="Take the DVD or the boot image of the distribution, as its maker offers it.",
            )
        return medium


def take_out(medium: Medium, kernel: Path, initrd: Path) -> None:
    """Copy the kernel and the initrd out of the medium. Raises MediumError when a checksum is wrong."""
    with open_iso(medium.path) as files:
        for name, target in ((medium.kernel, kernel), (medium.initrd, initrd)):
            algorithm, _, expected = medium.sums.get(name, "").partition(":")
            digest = hashlib.new(algorithm or "sha256", usedforsecurity=False)
            with files.open(name) as source, target.open("wb") as out:
                while chunk := source.read(_CHUNK):
                    digest.update(chunk)
                    out.write(chunk)
            if expected and digest.hexdigest() != expected.lower():
                raise MediumError(
                    f"{medium.path} is damaged: {name} is not the file its maker put there.",
                    details=(
                        f"expected {algorithm} {expected.lower()}",
                        f"found    {algorithm} {digest.hexdigest()}",
                    ),
                    hint="Fetch the ISO again and compare its sha256 with its maker's.",
                )


# -- Red Hat's family -------------------------------------------------------------------------------


def _anaconda(path: Path, files: IsoFiles, forced: Release | None) -> Medium:
    tree = _treeinfo(path, files)
    release = forced or _release(path, files, tree)
    if release.family != "anaconda":
        raise MediumError(f"{path} has Red Hat's installer; osVariant {release.variant} is another.")
    _check_architecture(path, _first(tree, ("tree", "arch"), ("general", "arch")) or _discinfo(files, 2))
    images = tree[f"images-{ARCHITECTURE}"] if tree.has_section(f"images-{ARCHITECTURE}") else {}
    sums = {
        name: value
        for name, value in (tree.items("checksums") if tree.has_section("checksums") else ())
        if value.partition(":")[0] in hashlib.algorithms_available
    }
    return Medium(
        path=path,
        label=files.label,
        release=release,
        kernel=images.get("kernel", "images/pxeboot/vmlinuz"),
        initrd=images.get("initrd", "images/pxeboot/initrd.img"),
        sums=sums,
        has_packages=any(files.exists(f"{place}repodata/repomd.xml") for place in _repositories(tree)),
    )


def _treeinfo(path: Path, files: IsoFiles) -> configparser.RawConfigParser:
    tree = configparser.RawConfigParser(strict=False, comment_prefixes=("#", ";"))
    tree.optionxform = str  # type: ignore[assignment, method-assign]  # file names are keys there
    if files.exists(".treeinfo"):
        try:
            tree.read_string(files.text(".treeinfo"))
        except configparser.Error as error:
            raise MediumError(f"The .treeinfo of {path} cannot be read: {error.message}") from error
    return tree


def _repositories(tree: configparser.RawConfigParser) -> list[str]:
    """Where packages may lie: beside the images (7), or in a folder each (8 and later)."""
    named = [
        tree.get(section, "repository").strip("/.") + "/"
        for section in tree.sections()
        if tree.has_option(section, "repository")
    ]
    return ["", *(place for place in named if place != "/"), "BaseOS/"]


def _release(path: Path, files: IsoFiles, tree: configparser.RawConfigParser) -> Release:
    family = _first(tree, ("release", "name"), ("general", "family")) or _discinfo(files, 1)
    version = _first(tree, ("release", "version"), ("general", "version"))
    found = next((short for name, short in _FAMILIES.items() if family.lower().startswith(name)), "")
    number = re.match(r"\d+(?:\.\d+)*", version)
    if number is None:
        number = re.search(r"\d+(?:\.\d+)*", _discinfo(files, 1))
    if not found or number is None:
        raise MediumError(
            f"{path} installs {family or 'a system that does not say its name'}, which is not known here.",
            details=(_said(files),),
            hint="When it is a clone of Red Hat Enterprise Linux, say which: x-goldsmith.osVariant, "
            "for example rhel9.4.",
        )
    release = Release(found, _longest(number[0], _discinfo(files, 1)))
    if release.major not in ANACONDA_MAJORS:
        raise MediumError(
            f"{path} installs {release.name}; a kickstart is here for 7, 8, 9 and 10.",
            hint="Bring an installed disk of it instead, through a catalogue entry.",
        )
    return release


def _longest(version: str, disc: str) -> str:
    """CentOS 7 says `7` in .treeinfo and `7.9` in .discinfo."""
    more = re.search(r"\d+(?:\.\d+)*", disc)
    return more[0] if more and more[0].startswith(f"{version}.") else version


def _discinfo(files: IsoFiles, line: int) -> str:
    """A line of .discinfo: 0 time, 1 release, 2 architecture."""
    lines = files.text(".discinfo").splitlines() if files.exists(".discinfo") else []
    return lines[line].strip() if len(lines) > line else ""


def _first(tree: configparser.RawConfigParser, *places: tuple[str, str]) -> str:
    for section, key in places:
        if tree.has_option(section, key):
            return tree.get(section, key).strip()
    return ""


def _check_architecture(path: Path, found: str) -> None:
    if found and found not in (ARCHITECTURE, "amd64"):
        raise MediumError(
            f"{path} is for {found}; only {ARCHITECTURE} can be built here.",
            hint=f"Take the {ARCHITECTURE} medium of the same release.",
        )


def _majors(release: Release) -> tuple[int, ...]:
    return DEBIAN_MAJORS if release.family == "debian" else ANACONDA_MAJORS


# -- Debian -----------------------------------------------------------------------------------------


def _debian(path: Path, files: IsoFiles, forced: Release | None) -> Medium:
    info = files.text(".disk/info").strip()
    match = _DEBIAN.search(info)
    release = forced or (Release("debian", match["version"]) if match else None)
    if release is None or release.family != "debian" or release.major not in DEBIAN_MAJORS:
        raise MediumError(
            f"{path} is not an installation medium of Debian 11, 12 or 13.",
            details=(f"its .disk/info says: {info}",),
            hint="For a medium that says nothing useful of itself: x-goldsmith.osVariant, e.g. debian12.",
        )
    if match and not re.search(r"\bamd64\b", match["kind"]):
        _check_architecture(path, match["kind"].removeprefix("Official ").split()[0])
    sums = {}
    if files.exists("md5sum.txt"):
        for line in files.text("md5sum.txt").splitlines():
            digest, _, name = line.partition("  ")
            sums[name.strip().removeprefix("./")] = f"md5:{digest}"
    return Medium(
        path=path,
        label=files.label,
        release=release,
        kernel="install.amd/vmlinuz",
        initrd="install.amd/initrd.gz",
        sums=sums,
        has_packages=files.exists("pool"),
    )


# -- what else it may be ------------------------------------------------------------------------------

# A path that gives it away, what it is, and what to do.
_OTHERS = (
    (
        "sources/boot.wim",
        "a Windows installation medium",
        "Windows is not installed here: bring a prepared VHD through a catalogue entry.",
    ),
    ("casper", "a live image of Ubuntu", "Take Ubuntu from the catalogue: build marketplace list."),
    ("live", "a live image of Debian", "Take an installation image (netinst or DVD)."),
    ("LiveOS", "a live image", "Take the DVD or the boot image: a live image has no installer of packages."),
    ("install.386", "a medium for 32-bit machines", "Take the amd64 medium."),
    ("install.a64", "a medium for arm64", "Take the amd64 medium."),
    ("boot/x86_64/loader/linux", "a SUSE installation medium", "Only kickstart and preseed are known here."),
    ("arch", "a live image of Arch Linux", "Only kickstart and preseed are known here."),
)


def _not_ours(path: Path, files: IsoFiles) -> MediumError:
    for place, what, hint in _OTHERS:
        if files.exists(place):
            return MediumError(f"{path} is {what}.", details=(_said(files),), hint=hint)
    if files.publisher.upper().startswith("MICROSOFT"):
        return MediumError(f"{path} is {_OTHERS[0][1]}.", details=(_said(files),), hint=_OTHERS[0][2])
    return MediumError(
        f"{path} is an ISO, but no installation medium that is known here.",
        details=(_said(files), f"in it: {', '.join(files.names()) or 'nothing'}"),
        hint="Expected is a DVD or boot image of RHEL, CentOS, AlmaLinux, Rocky Linux or Debian "
        "(.treeinfo, or .disk/info and install.amd).",
    )


def _said(files: IsoFiles) -> str:
    return f"its label is '{files.label}'"
