"""A look into the finished VHDs of both sides: the same was done, and it is there."""

from __future__ import annotations

from pathlib import Path

from seed import USER
from workloads import Workload

from builder.disk import filesystem, vhd
from builder.errors import GoldsmithError


def wrong(image: Path, workload: Workload) -> tuple[str, ...]:
    """What of the work is missing in a finished image, or should be gone and is not."""
    try:
        vhd.check_fixed_vhd(image)
        _, root = filesystem.find_root(image)
        found = []
        motd = (root.read("/etc/motd") or b"").decode(errors="replace").strip()
        if workload.motd and motd != workload.motd:
            found.append(f"/etc/motd says {motd!r}")
        if workload.program and not root.read(f"/usr/sbin/{workload.program}"):
            found.append(f"{workload.program} is not there")
        if USER in (root.listdir("/home") or []):  # the build user has this name on both sides
            found.append(f"the build user {USER} is still there")
    except GoldsmithError as error:
        return (f"the VHD cannot be looked into: {error.message}",)
    return tuple(found)
