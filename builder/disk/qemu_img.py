"""qemu-img: the only caller of it.

Disks are named by an explicit `BlockGraph`, never by what a header says or a probe finds
(design.md, Traps), except in `convert`, where the caller names the format of a foreign file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import process
from builder.disk.graph import BlockGraph
from builder.disk.vhd import read_footer
from builder.errors import BuildError

MIB = 1024**2
PACKAGE = "qemu-utils"
QUICK = 60.0
"""Seconds for calls that touch no data."""

# A fixed VHD whose "current size" is exact; without force_size QEMU rounds to a CHS geometry.
VHD_OPTIONS = "subformat=fixed,force_size=on"
_EXIT_UNSUPPORTED = 63


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What `qemu-img info` says of one file. Sizes in bytes."""

    format: str
    virtual_size: int
    actual_size: int


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What `qemu-img check` says. `supported` is false for formats it cannot check (VHD, raw)."""

    supported: bool
    corruptions: int = 0
    leaks: int = 0
    errors: int = 0

    @property
    def clean(self) -> bool:
        """Nothing wrong was found; leaked clusters waste space but harm nothing."""
        return self.corruptions == 0 and self.errors == 0


def round_up_to_mib(size: int) -> int:
    """`size` bytes rounded up to a whole MiB; an aligned size stays (aib-behaviour, section 9).

    >>> round_up_to_mib(1), round_up_to_mib(1048576)
    (1048576, 1048576)
    """
    return -(-size // MIB) * MIB


def create_argv(path: Path, image_format: str, size: int, options: str = "") -> list[str]:
    """The call that makes an empty image of `size` bytes."""
    extra = ["-o", options] if options else []
    return ["qemu-img", "create", "-q", "-f", image_format, *extra, "--", str(path), str(size)]


def convert_argv(
    source: str,
    destination: Path,
    destination_format: str,
    *,
    source_format: str | None = None,
    into: bool = False,
) -> list[str]:
    """The call that copies an image. `into` writes to an existing, empty image and keeps its holes.

    Without `source_format`, `source` is a `json:` name, which says everything itself.
    """
    named = ["-f", source_format] if source_format else []
    existing = ["-n", "--target-is-zero"] if into else []
    return [
        "qemu-img",
        "convert",
        *existing,
        *named,
        "-O",
        destination_format,
        "--",
        source,
        str(destination),
    ]


def info_argv(path: Path, image_format: str) -> list[str]:
    """The call that describes one file, without its backing chain."""
    return ["qemu-img", "info", "--output=json", "-f", image_format, "--", str(path)]


def check_argv(path: Path, image_format: str) -> list[str]:
    """The call that checks one file's metadata, changing nothing."""
    return ["qemu-img", "check", "--output=json", "-f", image_format, "--", str(path)]


def create_overlay(path: Path, size: int) -> None:
    """Make an empty qcow2 of `size` bytes as the guest sees it.

    Its header names no backing file: what lies below is the business of the `BlockGraph`.
    """
    _run(create_argv(path, "qcow2", size), QUICK)


def create_raw(path: Path, size: int) -> None:
    """Make a blank raw disk of `size` bytes, all of it a hole."""
    _run(create_argv(path, "raw", size), QUICK)


def convert(
    source: Path, source_format: str, destination: Path, destination_format: str, *, timeout: float
) -> None:
    """Copy a whole image of a known format (an imported download) into another format, holes kept.

    Raises ProcessError when qemu-img fails or needs more than `timeout` seconds.
    """
    argv = convert_argv(str(source), destination, destination_format, source_format=source_format)
    _run(argv, timeout)


def convert_node(node: dict[str, Any], destination: Path, destination_format: str, *, timeout: float) -> None:
    """Like `convert`, of a block node that says of itself which driver opens which file (formats.py)."""
    _run(convert_argv("json:" + json.dumps(node), destination, destination_format), timeout)


def flatten_to_vhd(graph: BlockGraph, destination: Path, *, size: int, timeout: float) -> int:
    """Write the disk of `graph` as a sparse fixed VHD and return its virtual size in bytes.

    `size` is what the guest saw; it is rounded up to a whole MiB as Azure demands. The VHD is made
    empty at that size first and then filled: qemu-img cannot grow while it converts.
    """
    whole = round_up_to_mib(size)
    _run(create_argv(destination, "vpc", whole, VHD_OPTIONS), QUICK)
    _run(convert_argv(graph.json_name(), destination, "vpc", into=True), timeout)
    return whole


def info(path: Path, image_format: str) -> ImageInfo:
    """Describe one file, read as `image_format` (a VHD is `vpc`)."""
    data = _json(_run(info_argv(path, image_format), QUICK).stdout)
    return ImageInfo(str(data["format"]), int(data["virtual-size"]), int(data.get("actual-size", 0)))


def check(path: Path, image_format: str, *, timeout: float = 600) -> CheckResult:
    """Check one file's metadata. Exit codes: 2 corrupt, 3 leaks, 63 not supported by the format."""
    done = _run(check_argv(path, image_format), timeout, ok=(0, 2, 3, _EXIT_UNSUPPORTED))
    if done.exit_code == _EXIT_UNSUPPORTED:
        return CheckResult(supported=False)
    data = _json(done.stdout)
    return CheckResult(
        supported=True,
        corruptions=int(data.get("corruptions", 0)),
        leaks=int(data.get("leaks", 0)),
        errors=int(data.get("check-errors", 0)),
    )


def verify_with_qemu_img(path: Path) -> None:
    """A second opinion on a finished fixed VHD, by another program than the one that reads it for us.

    Raises BuildError when qemu-img sees another format or size than the footer says, or damage;
    VhdError when there is no footer, ProcessError when qemu-img cannot open it.
    """
    expected = read_footer(path).current_size
    seen = info(path, "vpc")
    if (seen.format, seen.virtual_size) != ("vpc", expected):
        raise BuildError(
            f"qemu-img reads {path} as {seen.format} of {seen.virtual_size} bytes; "
            f"it should be vpc of {expected}."
        )
    result = check(path, "vpc")  # QEMU 7.2 cannot check a VHD; a later one may
    if result.supported and not result.clean:
        raise BuildError(
            f"qemu-img found {path} damaged: {result.corruptions} corruptions, {result.errors} errors."
        )


def _run(argv: list[str], timeout: float, ok: tuple[int, ...] = (0,)) -> process.Completed:
    process.require("qemu-img", PACKAGE)
    return process.run(argv, timeout=timeout, ok=ok)


def _json(text: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(text)
    return data
