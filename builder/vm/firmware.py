"""Firmware of the guest: SeaBIOS for generation 1, OVMF for generation 2.

OVMF is found through QEMU's firmware descriptors (docs/interop/firmware.json of QEMU), which every
distribution ships, and only then at well-known paths.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from builder.errors import EnvironmentProblem
from builder.sources.base import Generation

# In the order of QEMU's specification: a file in an earlier directory hides its namesake in a later one.
DESCRIPTOR_DIRS = (Path("/etc/qemu/firmware"), Path("/usr/share/qemu/firmware"))
KNOWN_PAIRS = (
    (Path("/usr/share/OVMF/OVMF_CODE_4M.fd"), Path("/usr/share/OVMF/OVMF_VARS_4M.fd")),
    (Path("/usr/share/edk2/ovmf/OVMF_CODE.fd"), Path("/usr/share/edk2/ovmf/OVMF_VARS.fd")),
    (Path("/usr/share/edk2/x64/OVMF_CODE.4m.fd"), Path("/usr/share/edk2/x64/OVMF_VARS.4m.fd")),
    (Path("/usr/share/OVMF/OVMF_CODE.fd"), Path("/usr/share/OVMF/OVMF_VARS.fd")),
)
MACHINE = "pc-q35-"
_UNWANTED = frozenset({"secure-boot", "enrolled-keys", "requires-smm", "amd-sev-snp", "intel-tdx"})


@dataclass(frozen=True, slots=True)
class Firmware:
    """UEFI code (read-only, shared) and the template its variable store is copied from."""

    code: Path
    code_format: str
    vars_template: Path
    vars_format: str

    def private_vars(self, target: Path) -> Path:
        """A copy of the variable store at `target`; one that exists is kept (it belongs to the disk)."""
        if not target.exists():
            shutil.copyfile(self.vars_template, target)
            target.chmod(0o600)
        return target


def choose_firmware(
    generation: Generation,
    *,
    directories: Sequence[Path] = DESCRIPTOR_DIRS,
    known: Sequence[tuple[Path, Path]] = KNOWN_PAIRS,
) -> Firmware | None:
    """The firmware of a generation; None means QEMU's own SeaBIOS.

    Without Secure Boot, since the build's disks are not enrolled anywhere. Raises
    EnvironmentProblem when no UEFI firmware is installed.
    """
    if generation == "V1":
        return None
    found = [firmware for data in _descriptors(directories) if (firmware := _read(data)) is not None]
    if found:
        # 4 MiB builds are what distributions keep alive; the order of the files decides the rest.
        return min(found, key=lambda firmware: "4m" not in firmware.code.name.lower())
    for code, variables in known:
        if code.exists() and variables.exists():
            return Firmware(code, "raw", variables, "raw")
    raise EnvironmentProblem(
        "UEFI firmware (OVMF) is not installed; a generation 2 image needs it.",
        hint="Install it: sudo apt-get install ovmf",
    )


def _descriptors(directories: Sequence[Path]) -> Iterator[dict[str, Any]]:
    files: dict[str, Path] = {}
    for directory in directories:
        for path in sorted(directory.glob("*.json")) if directory.is_dir() else ():
            files.setdefault(path.name, path)
    for name in sorted(files):
        try:
            data = json.loads(files[name].read_text())
        except (OSError, ValueError):
            continue  # an empty file of that name is how an administrator switches one off
        if isinstance(data, dict):
            yield data


def _read(data: dict[str, Any]) -> Firmware | None:
    """The firmware a descriptor describes, when it is one for us."""
    try:
        mapping = data["mapping"]
        if "uefi" not in data["interface-types"] or mapping["device"] != "flash":
            return None
        if mapping.get("mode", "split") != "split" or _UNWANTED & set(data["features"]):
            return None
        if not any(_fits(target) for target in data["targets"]):
            return None
        code, variables = mapping["executable"], mapping["nvram-template"]
        firmware = Firmware(
            Path(code["filename"]), code["format"], Path(variables["filename"]), variables["format"]
        )
    except (KeyError, TypeError):
        return None
    return firmware if firmware.code.exists() and firmware.vars_template.exists() else None


def _fits(target: dict[str, Any]) -> bool:
    return target["architecture"] == "x86_64" and any(
        # Patterns name a machine with its version, such as pc-q35-*.
        fnmatch(MACHINE + "7.2", pattern) or fnmatch("q35", pattern)
        for pattern in target["machines"]
    )
