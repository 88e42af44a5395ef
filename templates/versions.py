"""The API versions of Microsoft.VirtualMachineImages."""

from __future__ import annotations

import difflib
from typing import Any

from templates.pointers import join
from templates.repairs import Insert, Replace
from templates.report import Report

V2018_02 = "2018-02-01-preview"
V2019_02 = "2019-02-01-preview"
V2019_05 = "2019-05-01-preview"
V2020_02 = "2020-02-14"
V2021_10 = "2021-10-01"
V2022_02 = "2022-02-14"
V2022_07 = "2022-07-01"
V2023_07 = "2023-07-01"
V2024_02 = "2024-02-01"
V2025_10 = "2025-10-01"

# In the order of their making, which is that of their text: versions are compared with < and >.
KNOWN = (
    *(V2018_02, V2019_02, V2019_05, V2020_02, V2021_10),
    *(V2022_02, V2022_07, V2023_07, V2024_02, V2025_10),
)
NEWEST = KNOWN[-1]


def check_api_version(data: dict[str, Any], pointer: str, report: Report) -> str:
    """The API version to read `data` by; the newest where it names none that is known."""
    at = join(pointer, "apiVersion")
    version = data.get("apiVersion")
    if report.is_failed(at):
        return NEWEST
    if version is None:
        message = f"the field 'apiVersion' is missing; read as {NEWEST}"
        report.lenient("ApiVersion", message, pointer, hint=f'add "apiVersion": "{NEWEST}"')
        report.repairs.append(Insert(report.written_at(pointer), "apiVersion", NEWEST))
        return NEWEST
    if isinstance(version, str) and version not in KNOWN and version.casefold() in KNOWN:
        message = f"the API version is written '{version.casefold()}', not '{version}'"
        report.lenient("WrongCase", message, at, hint=f"write '{version.casefold()}'")
        report.repairs.append(Replace(report.written_at(at), version, NEWEST))
        return version.casefold()
    if version not in KNOWN:
        close = difflib.get_close_matches(str(version), KNOWN, n=1, cutoff=0.8)
        hint = f"did you mean '{close[0]}'?" if close else f"known are: {', '.join(KNOWN)}"
        report.error("ApiVersion", f"'{version}' is no API version of image templates", at, hint=hint)
        return NEWEST
    if version != NEWEST:
        report.repairs.append(Replace(report.written_at(at), version, NEWEST))
    return str(version)
