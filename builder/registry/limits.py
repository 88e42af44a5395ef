"""How much a registry takes: Azure's limits of one subscription and region, unless settings say otherwise.

Source: gallery.md and aib-behaviour section 8 of the references (the newer texts).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from builder.errors import ConflictError, PreflightError

if TYPE_CHECKING:
    from builder.settings import Settings

ReplicationMode = Literal["Full", "Shallow"]
GIB = 1024**3


class QuotaError(ConflictError):
    """One more would be too many."""

    code = "QuotaExceeded"


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers in one subscription and region; replicas of one version; sizes of one disk in GiB."""

    galleries: int = 100
    definitions: int = 1_000
    versions: int = 10_000
    replicas: int = 100
    disk_gib: int = 2_048
    shallow_disk_gib: int = 32_768

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Those of the settings `limit_*`."""
        return cls(
            settings.limit_galleries,
            settings.limit_definitions,
            settings.limit_versions,
            settings.limit_replicas,
            settings.limit_disk_gib,
            settings.limit_shallow_disk_gib,
        )

    def check(self, kind: Literal["galleries", "definitions", "versions"], used: int, location: str) -> None:
        """Raises QuotaError, in the words of Azure's quotas, when there are as many as may be."""
        limit: int = getattr(self, kind)
        if used < limit:
            return
        raise QuotaError(
            f"Operation could not be completed as it results in exceeding approved {kind} quota. Additional "
            f"details - Location: {location}, Current Limit: {limit}, Current Usage: {used}, Additional "
            f"Required: 1, (Minimum) New Limit Required: {used + 1}.",
            hint=f"Delete what is not needed, or raise the setting limit_{kind}.",
        )

    def check_size(self, size: int, mode: ReplicationMode) -> None:
        """Raises PreflightError for a disk of more bytes than a version may have in that mode."""
        most = self.disk_gib if mode == "Full" else self.shallow_disk_gib
        if size > most * GIB:
            raise PreflightError(
                f"The disk of {_size(size / GIB, '.1f')} is larger than the {_size(most, 'g')} an image "
                f"version may have in replication mode {mode}.",
                hint="The settings limit_disk_gib and limit_shallow_disk_gib hold these limits.",
            )


AZURES = Limits()
"""Those of a subscription that asked for no more."""


def _size(gib: float, form: str) -> str:
    return f"{gib / 1024:{form}} TiB" if gib >= 1024 else f"{gib:{form}} GiB"
