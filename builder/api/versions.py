"""`build gallery version`, and the replicas of versions, for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from builder.api.verbs import Verbs
from builder.registry import lookup
from templates.arm_id import parse_image_version

if TYPE_CHECKING:
    from builder.pruning import Pruned
    from builder.registry.records import VersionRecord
    from builder.replication.checking import Checked
    from builder.replication.replicator import Report
    from builder.retention import Policy


class Versions(Verbs):
    """`build gallery version`. Builds make them; a program that makes its own from a disk has `images.add`
    and `create`.
    """

    def create(
        self,
        definition: str,
        source: str,
        *,
        regions: Mapping[str, int] | None = None,
        exclude_from_latest: bool = False,
        end_of_life: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> VersionRecord:
        """Publish a managed image or another version as a version: links, no bytes. `definition` may name the
        number (`team/web/1.0.0`); `regions` with their replicas, by default the definition's own.

        Raises NotFoundError, PreflightError with Azure's messages, PublishedInPartError.
        """
        from builder.interchange.copying import create_version, parse_target
        from builder.publish import Wanted
        from templates.model.distribute import TargetRegion

        services = self._goldsmith.services("publish")
        wanted = Wanted(
            definition=parse_target(self._registry, definition),
            regions=[TargetRegion(name=name, replica_count=n) for name, n in (regions or {}).items()],
            exclude_from_latest=exclude_from_latest,
            end_of_life=end_of_life,
            tags=dict(tags or {}),
        )
        return create_version(services, source, wanted)

    def list(
        self, definition: str | None = None, *, limit: int | None = None, after: str | None = None
    ) -> list[VersionRecord]:
        """Those of a definition, or all, the newest number first; `after` the last one of the page before."""
        wanted = None if definition is None else lookup.definition_id(self._registry, definition)
        last = None if after is None else self._id(after)
        return self._registry.list_versions(wanted, limit=limit, after=last)

    def show(self, version: str, region: str | None = None) -> VersionRecord:
        """One of them, `team/web/latest` as well. Raises NotFoundError, ConflictError while it is made."""
        return self._registry.find_version(self._id(version), region)

    def update(
        self,
        version: str,
        *,
        end_of_life: str | None = None,
        exclude_from_latest: bool | None = None,
        exclude_in: Mapping[str, bool | None] | None = None,
        block_deletion_before_end_of_life: bool | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> VersionRecord:
        """Change what is given; see `Publishing.update_version`. Raises NotFoundError, BadValueError."""
        return self._registry.update_version(
            self._id(version),
            end_of_life=end_of_life,
            exclude_from_latest=exclude_from_latest,
            exclude_in=exclude_in,
            block_deletion_before_end_of_life=block_deletion_before_end_of_life,
            tags=tags,
        )

    def revoke(self, version: str, reason: str, *, descendants: bool = False) -> tuple[VersionRecord, ...]:
        """Let nobody build on it any more, with `descendants` nor on what was made from it. Raises
        NotFoundError, ConflictError when it is revoked already.
        """
        return self._registry.revoke_version(self._id(version), reason, descendants=descendants)

    def unrevoke(self, version: str) -> VersionRecord:
        """Let it be used again. Raises NotFoundError, ConflictError when it is not revoked."""
        return self._registry.unrevoke_version(self._id(version))

    def change_regions(
        self,
        version: str,
        *,
        add: Mapping[str, int] | None = None,
        remove: Sequence[str] = (),
        counts: Mapping[str, int] | None = None,
    ) -> VersionRecord:
        """Note other regions and numbers of replicas; `replicate` makes what is missing. Raises
        NotFoundError, PreflightError, ConflictError, and PlaceError for files that could not be removed.
        """
        from builder.replication.changing import RegionChange, change
        from builder.replication.place import PlaceError

        wanted = RegionChange(dict(add or {}), tuple(remove), dict(counts or {}))
        record, left = change(self._registry, self._goldsmith.places, self._id(version), wanted)
        if left:
            raise PlaceError(
                "Replicas could not be removed.", details=tuple(f"{place}: {why}" for place, why in left)
            )
        return record

    def replicate(
        self, versions: Sequence[str] = (), *, region: str | None = None, jobs: int | None = None
    ) -> Report:
        """Make the replicas that are missing, of all versions when none is named. Those that fail are in the
        report; the others are made.
        """
        from builder.replication.replicator import Replicator

        named = [self._id(one) for one in versions]
        wanted = named or [one.id for one in self._registry.list_incomplete(region)]
        many = jobs or self._goldsmith.settings.replication_jobs
        replicator = Replicator(self._registry, self._goldsmith.places, jobs=many)
        return replicator.run(wanted, region=region)

    def verify(self, versions: Sequence[str], *, region: str | None = None) -> tuple[Checked, ...]:
        """Read their replicas again. A damaged one is not used any more; `replicate` makes it anew."""
        from builder.replication.checking import Checker

        checker = Checker(self._registry, self._goldsmith.places)
        return tuple(checker.run([self._id(one) for one in versions], region, lambda _: None))

    def prune(self, definition: str, policy: Policy, *, dry_run: bool = False) -> tuple[Pruned, ...]:
        """Delete what `policy` lets go; what became of each. Raises NotFoundError, UsageError."""
        from datetime import UTC, datetime

        from builder.pruning import prune

        policy.check()
        identity = lookup.definition_id(self._registry, definition)
        places, now = self._goldsmith.places, datetime.now(UTC)
        return tuple(prune(self._registry, places, identity, policy, now, dry_run=dry_run))

    def delete(self, version: str, *, force: bool = False) -> VersionRecord:
        """Delete it and its files in every region. Raises NotFoundError, PlaceError, and ConflictError while
        it is made, kept until its end of life or, unless `force` is given, a channel points to it.
        """
        from builder.replication.removal import delete_version

        named = str(parse_image_version(self._id(version)))
        return delete_version(self._registry, self._goldsmith.places, named, force=force)[0]

    def _id(self, version: str) -> str:
        return lookup.version_id(self._registry, version)
