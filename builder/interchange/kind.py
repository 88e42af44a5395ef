"""What an exported file is: its format, how it is compressed, and what both are called in a file's name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from builder.errors import UsageError

ExportFormat = Literal["vhd", "vhd-dynamic", "vhdx", "qcow2", "raw", "vmdk"]
Packing = Literal["zstd", "zlib", "xz"]

_FORMATS: dict[str, ExportFormat] = {
    ".vhd": "vhd",
    ".vhdx": "vhdx",
    ".qcow2": "qcow2",
    ".raw": "raw",
    ".img": "raw",
    ".vmdk": "vmdk",
}
_STREAMS: dict[str, Packing] = {".zst": "zstd", ".xz": "xz", ".gz": "zlib"}
_ENDINGS = {packing: ending for ending, packing in _STREAMS.items()}
_INSIDE: dict[ExportFormat, tuple[Packing, ...]] = {"qcow2": ("zstd", "zlib"), "vmdk": ("zlib",)}
"""What a format can compress by itself, the usual one first."""


@dataclass(frozen=True, slots=True)
class Kind:
    """The format of a file. `inside` is how the format itself compresses its data, `stream` how the whole
    file is compressed; None: not.
    """

    format: ExportFormat
    inside: Packing | None = None
    stream: Packing | None = None

    @property
    def qemu(self) -> tuple[str, str]:
        """QEMU's driver and options for it."""
        options = {
            "vhd": "subformat=fixed,force_size=on",
            "vhd-dynamic": "subformat=dynamic,force_size=on",
            "vhdx": "subformat=dynamic",
            "vmdk": "subformat=streamOptimized" if self.inside else "subformat=monolithicSparse",
            "qcow2": f"compression_type={self.inside}" if self.inside else "",
        }
        driver = {"vhd": "vpc", "vhd-dynamic": "vpc"}.get(self.format, self.format)
        return driver, options.get(self.format, "")


def kind_of(file: Path, wanted: ExportFormat | None, compress: str | None) -> tuple[Kind, Path]:
    """What `file` is to be, and its name with the ending that says how it is compressed. Its endings decide
    (web.vhd.zst) where `wanted` and `compress` (a Packing, or "none") do not. Raises UsageError.
    """
    stream = _STREAMS.get(file.suffix.lower())
    bare = file.with_suffix("") if stream else file
    by_name = _FORMATS.get(bare.suffix.lower())
    chosen = wanted or by_name
    if chosen is None:
        raise UsageError(
            f"{file.name}: nobody can tell the format by this name.",
            hint=f"Let it end in {', '.join(_FORMATS)}, or say --format.",
        )
    if wanted is not None and by_name not in (None, wanted) and (wanted, by_name) != ("vhd-dynamic", "vhd"):
        raise UsageError(
            f"--format {wanted}: {file.name} is the name of a {by_name} disk.", hint="Let both say the same."
        )
    if compress is None:
        own = _INSIDE.get(chosen, ()) if chosen == "qcow2" and stream is None else ()
        return Kind(chosen, own[0] if own else None, stream), file
    return _compressed(file, chosen, stream, compress)


def beside(file: Path, lun: int) -> Path:
    """Where a data disk goes whose image goes to `file`.

    >>> beside(Path("web.vhd.zst"), 1).name
    'web-lun1.vhd.zst'
    """
    endings = "".join(file.suffixes[-2:] if file.suffix.lower() in _STREAMS else file.suffixes[-1:])
    return file.with_name(f"{file.name.removesuffix(endings)}-lun{lun}{endings}")


def _compressed(file: Path, chosen: ExportFormat, stream: Packing | None, compress: str) -> tuple[Kind, Path]:
    if compress == "none":
        if stream is not None:
            raise UsageError(f"--compress none: {file.name} is the name of a compressed file.")
        return Kind(chosen), file
    packing = next(one for one in get_args(Packing) if one == compress)
    if stream is not None:
        if stream != packing:
            raise UsageError(f"--compress {compress}: {file.name} is the name of another compression.")
        return Kind(chosen, None, stream), file
    if packing in _INSIDE.get(chosen, ()):
        return Kind(chosen, packing), file
    return Kind(chosen, None, packing), file.with_name(file.name + _ENDINGS[packing])
