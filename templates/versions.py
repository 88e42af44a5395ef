"""The API versions of Microsoft.VirtualMachineImages."""

from __future__ import annotations

import difflib
from typing import Any

from templates.pointers import join
from templates.report import Report

KNOWN = (
    "2018-02-01-preview",
    "2019-02-01-preview",
    "2019-05-01-preview",
    "2020-02-14",
    "2021-10-01",
    "2022-02-14",
    "2022-07-01",
    "2023-07-01",
    "2024-02-01",
    "2025-10-01",
)
NEWEST = KNOWN[-1]
MODELLED = ("2024-02-01", "2025-10-01")


def check_api_version(data: dict[str, Any], pointer: str, report: Report) -> str:
    """The API version to read `data` by; the newest where it names none that is known."""
    at = join(pointer, "apiVersion")
    version = data.get("apiVersion")
    if report.is_failed(at):
        return NEWEST
    if version is None:
        message = f"the field 'apiVersion' is missing; read as {NEWEST}"
        report.lenient("ApiVersion", message, pointer, hint=f'add "apiVersion": "{NEWEST}"')
        return NEWEST
    if version not in KNOWN:
        close = difflib.get_close_matches(str(version), KNOWN, n=1, cutoff=0.8)
        hint = f"did you mean '{close[0]}'?" if close else f"known are: {', '.join(KNOWN)}"
        report.error("ApiVersion", f"'{version}' is no API version of image templates", at, hint=hint)
        return NEWEST
    if version not in MODELLED:
        message = f"read by the rules of {NEWEST}, not of {version}"
        report.warn("ApiVersion", message, at, hint=f"write {NEWEST}")
    return str(version)
