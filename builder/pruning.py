"""Deleting the versions that nobody keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from builder.errors import GoldsmithError
from builder.replication.removal import delete_version
from builder.retention import Policy, Verdict, verdicts

if TYPE_CHECKING:
    from builder.registry.store import Registry
    from builder.replication.place import Places


@dataclass(frozen=True, slots=True)
class Pruned:
    """What became of one version. `freed` in bytes, what its files took; `problem`: why it is still there,
    though it was to go.
    """

    verdict: Verdict
    freed: int = 0
    problem: str = ""


def judge(registry: Registry, definition_id: str, policy: Policy, now: datetime) -> list[Verdict]:
    """What `policy` makes of the versions of a definition, the newest first. Raises NotFoundError."""
    channels: dict[str, list[str]] = {}
    for channel in registry.list_channels(definition_id):
        channels.setdefault(channel.version_id.casefold(), []).append(channel.name)
    return verdicts(registry.list_versions(definition_id), channels, policy, now)


def prune(
    registry: Registry,
    places: Places,
    definition_id: str,
    policy: Policy,
    now: datetime,
    *,
    dry_run: bool,
) -> Iterator[Pruned]:
    """Delete what goes, the oldest first, and say what became of each; with `dry_run` only say it. One
    that cannot be deleted keeps no other one.
    """
    for verdict in reversed(judge(registry, definition_id, policy, now)):
        if not verdict.goes:
            yield Pruned(verdict)
            continue
        freed = sum(
            file.lstat().st_blocks * 512
            for replica in verdict.version.replicas
            for file in replica.files
            if file.is_file() and file.lstat().st_nlink == 1
        )
        problem = ""
        if not dry_run:
            try:
                delete_version(registry, places, verdict.version.id)
            except GoldsmithError as error:
                problem, freed = error.message, 0
        yield Pruned(verdict, freed, problem)
