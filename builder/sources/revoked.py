"""A revoked gallery version is no source any more, whatever lies in the cache of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.errors import PreflightError
from builder.registry.lookup import newest_seen
from builder.registry.records import VersionRecord

if TYPE_CHECKING:
    from builder.events import EventBus
    from builder.registry.store import Registry
    from builder.services import Services
    from builder.sources.base import ResolvedSource


class RevokedError(PreflightError):
    """The source is a gallery version that somebody revoked."""

    code = "Revoked"


def check_revoked(source: ResolvedSource, services: Services) -> None:
    """Raises RevokedError for a revoked version; warns about one that was made from a revoked one."""
    if source.parent:
        check_parent(source.parent, services.registry, services.bus)


def check_parent(parent: str, registry: Registry, bus: EventBus) -> None:
    """The same of an ARM id of a version or managed image in `registry`."""
    record = registry.find_by_key(parent)
    if isinstance(record, VersionRecord) and record.revoked_at is not None:
        newest = newest_seen(registry, record.definition_id)
        raise RevokedError(
            f"The gallery version {record.id} is revoked: {record.revoked_reason}",
            details=(f"by {record.revoked_by} on {record.revoked_at:%Y-%m-%d %H:%M} UTC",),
            hint=f"The newest good version is {newest.version}: {newest.id}"
            if newest is not None
            else "There is no other good version of it; build one, or choose another source.",
        )
    # The way up is long where a definition patches itself every day.
    if record is None or not registry.is_any_revoked():
        return
    for ancestor in registry.ancestors(record.id):
        above = ancestor.record
        if isinstance(above, VersionRecord) and above.revoked_at is not None:
            bus.warn(
                f"The source was made from {above.id}, which is revoked: {above.revoked_reason}",
                code="AncestorRevoked",
            )
