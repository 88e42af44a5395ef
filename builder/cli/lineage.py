"""Ancestry and revocation in words, for the verbs that show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from builder.cli.output import print_json

if TYPE_CHECKING:
    from builder.registry.records import ImageRecord, VersionRecord
    from builder.registry.store import Registry

_SHORT = 12


def made_of(lineage: Mapping[str, Any] | None) -> str:
    """A lineage on one line; `--json` shows it whole."""
    if not lineage:
        return ""
    layers, inputs = len(lineage.get("layers", ())), len(lineage.get("inputs", ()))
    return ", ".join(
        (
            f"template digest {str(lineage.get('templateDigest', ''))[:_SHORT]}",
            f"layers: {layers}",
            f"scripts and files: {inputs}",
            f"Goldsmith {lineage.get('goldsmith', '')}",
        )
    )


def revoked_text(record: VersionRecord) -> str:
    """Why, by whom and when; empty when it is not revoked."""
    if record.revoked_at is None:
        return ""
    return f"{record.revoked_reason} (by {record.revoked_by}, {record.revoked_at:%Y-%m-%d %H:%M} UTC)"


def label_of(record: VersionRecord | ImageRecord) -> str:
    """How a person names it: gallery/definition/1.0.0 or group/image."""
    from builder.registry.records import ImageRecord
    from templates.arm_id import parse_image_version

    if isinstance(record, ImageRecord):
        return f"{record.resource_group}/{record.name}"
    image = parse_image_version(record.id)
    return f"{image.gallery_name}/{image.definition_name}/{record.version}"


def tell_revoked(
    registry: Registry, version: VersionRecord, reason: str, *, descendants: bool, json: bool
) -> None:
    """Revoke a version, and say what else that touches."""
    from builder.as_json import to_json

    revoked = registry.revoke_version(version.id, reason, descendants=descendants)
    done = {record.id for record in revoked}
    affected = [record for record in registry.descendants(version.id) if record.id not in done]
    channels = [one for one in registry.list_channels() if one.version_id in done]
    if json:
        print_json(
            {
                "revoked": to_json(revoked),
                "affected": [record.id for record in affected],
                "channels": to_json(channels),
            }
        )
        return
    for record in revoked:
        typer.echo(f"Revoked {label_of(record)}: {record.revoked_reason}")
    for one in affected:
        typer.echo(f"made from it, and stale now: {label_of(one)}")
    for channel in channels:
        label = "/".join(label_of(next(r for r in revoked if r.id == channel.version_id)).split("/")[:2])
        typer.echo(
            f"the channel '{channel.name}' still points to {channel.version}; "
            f"go back with: build gallery channel undo {label} {channel.name}"
        )
