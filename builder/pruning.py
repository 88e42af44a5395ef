"""Deleting the versions that nobody keeps."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from builder.errors import GoldsmithError
from builder.registry.location import is_url
from builder.replication.removal import delete_version
from builder.retention import Policy, Verdict, verdicts

if TYPE_CHECKING:
    from builder.registry.records import VersionRecord
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
        freed = _taken(verdict.version)
        problem = ""
        if not dry_run:
            try:
                delete_version(registry, places, verdict.version.id)
            except GoldsmithError as error:
                problem, freed = error.message, 0
        yield Pruned(verdict, freed, problem)


def _taken(version: VersionRecord) -> int:
    """Bytes that go with its files: replicas are often names of one file, which goes with the last one."""
    found: Counter[tuple[int, int]] = Counter()
    facts: dict[tuple[int, int], os.stat_result] = {}
    for location in (at for replica in version.replicas for at in replica.locations if not is_url(at)):
        with suppress(OSError):
            stat = os.lstat(location)
            found[stat.st_dev, stat.st_ino] += 1
            facts[stat.st_dev, stat.st_ino] = stat
    return sum(one.st_blocks * 512 for key, one in facts.items() if found[key] >= one.st_nlink)
