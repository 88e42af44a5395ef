"""Rules for `additionalDataDisks` (API 2025-10-01)."""

from __future__ import annotations

from typing import Any

from templates.pointers import join
from templates.report import Report

_LARGEST_GB = 32767
"""Of an Azure managed disk."""


def check_data_disks(disks: Any, pointer: str, report: Report) -> None:  # noqa: ANN401 - any JSON value
    """Every disk needs a size: Azure's schema lets it be 0 or missing and does not say what is made then."""
    for place, disk in enumerate(disks if isinstance(disks, list) else ()):
        if not isinstance(disk, dict):
            continue
        size = disk.get("sizeGB", 0)
        at = join(pointer, place, "sizeGB") if "sizeGB" in disk else join(pointer, place)
        if isinstance(size, bool) or not isinstance(size, int):
            continue
        if size == 0:
            message = "a data disk needs a size: sizeGB is 0 or missing, and AIB does not say what that means"
            report.error("NoDiskSize", message, at, hint='say how large it is: "sizeGB": 32')
        elif size > _LARGEST_GB:
            message = f"{size} GB is more than a data disk can have in Azure, {_LARGEST_GB}"
            report.error("BadValue", message, at)
