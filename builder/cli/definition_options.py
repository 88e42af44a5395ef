"""The options that describe an image definition: for `create` and `update`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from builder.errors import UsageError

Description = Annotated[str | None, typer.Option("--description", help="What the images are for.")]
EndOfLife = Annotated[
    str | None, typer.Option("--end-of-life", metavar="DATE", help="2027-12-31; a day to come.")
]
Eula = Annotated[str | None, typer.Option("--eula", help="Licence agreement.")]
Privacy = Annotated[str | None, typer.Option("--privacy-statement-uri", metavar="URL")]
Notes = Annotated[str | None, typer.Option("--release-note-uri", metavar="URL")]
VCpus = Annotated[
    str | None, typer.Option("--recommended-vcpus", metavar="RANGE", help="2-8, 2- (at least) or -8.")
]
Memory = Annotated[
    str | None, typer.Option("--recommended-memory", metavar="RANGE", help="In GB: 4-32, 4- or -32.")
]
DiskTypes = Annotated[
    list[str] | None,
    typer.Option("--disallow-disk-type", metavar="TYPE", help="Standard_LRS, ...; may be repeated."),
]
Features = Annotated[
    list[str] | None,
    typer.Option("--feature", metavar="NAME=VALUE", help="SecurityType=TrustedLaunchSupported; repeated."),
]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", metavar="NAME=VALUE", help="Instead of all there were; repeated.")
]
_RANGE = re.compile(r"(\d{0,9})-(\d{0,9})|(\d{1,9})", re.ASCII)


def described(
    *,
    description: str | None,
    end_of_life: str | None,
    eula: str | None,
    privacy_statement_uri: str | None,
    release_note_uri: str | None,
    vcpus: str | None,
    memory: str | None,
    disk_types: Sequence[str] | None,
    features: Sequence[str] | None,
) -> dict[str, Any]:
    """What was given, as a template would say it; "" takes a property away. Raises UsageError."""
    said: dict[str, Any] = {
        "description": description,
        "eula": eula,
        "privacyStatementUri": privacy_statement_uri,
        "releaseNoteUri": release_note_uri,
    }
    found = {name: value for name, value in said.items() if value is not None}
    if end_of_life is not None:
        found["endOfLifeDate"] = end_of_life or None
    if disk_types is not None:
        found["disallowed"] = {"diskTypes": [one for one in disk_types if one]} if any(disk_types) else None
    if features is not None:
        given = pairs("--feature", features)
        found["features"] = [{"name": name, "value": value} for name, value in given.items()]
    ranges = {"vCPUs": ("--recommended-vcpus", vcpus), "memory": ("--recommended-memory", memory)}
    recommended = {
        name: _range(option, text) if text else None
        for name, (option, text) in ranges.items()
        if text is not None
    }
    if recommended:
        found["recommended"] = recommended
    return found


def pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE, each; an empty text is none. Raises UsageError."""
    found: dict[str, str] = {}
    for text in filter(None, texts):
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise UsageError(f"{option} {text}: expected NAME=VALUE.")
        found[name] = value
    return found


def _range(option: str, text: str) -> dict[str, int]:
    match = _RANGE.fullmatch(text)
    if match is None or text == "-":
        raise UsageError(f"{option} {text}: expected a range.", hint="For example 2-8, 2- or -8.")
    least, most, both = match.groups()
    found = {"min": least or both, "max": most or both}
    return {name: int(number) for name, number in found.items() if number}
