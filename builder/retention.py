"""Which versions of an image definition are kept. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from builder.errors import UsageError
from builder.registry.records import VersionRecord, region_key


@dataclass(frozen=True, slots=True)
class Policy:
    """What may go. Of the published versions the newest `keep_last` stay; of the older ones those go that
    were published more than `older_than` ago (all of them when it is None). With `ended` a version whose
    end of life has passed goes as well, however new, and with `revoked` one that was revoked.
    """

    keep_last: int | None = None
    older_than: timedelta | None = None
    ended: bool = False
    revoked: bool = False

    def check(self) -> None:
        """Raises UsageError for a policy by which everything or nothing would go."""
        if self.keep_last is None and self.older_than is None and not self.ended and not self.revoked:
            raise UsageError(
                "Which versions may go?",
                hint="Say --keep-last 5, --older-than 90d, --end-of-life or --revoked.",
            )
        if self.keep_last is not None and self.keep_last < 1:
            raise UsageError("--keep-last: at least 1; the latest version stays in any case.")

    @property
    def _by_age(self) -> bool:
        return self.keep_last is not None or self.older_than is not None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one version, and why."""

    version: VersionRecord
    goes: bool
    reason: str


def verdicts(
    versions: Sequence[VersionRecord], channels: Mapping[str, Sequence[str]], policy: Policy, now: datetime
) -> list[Verdict]:
    """One for each of `versions`, those of one definition, the newest number first; `channels` names those
    that point to a version, by its id in lower case.

    Whatever the policy: a version in a channel stays, one that is `latest` for somebody, one that is being
    made, and one whose deletion is blocked before its end of life.
    """
    latest = _latest(versions)
    place = 0
    found = []
    for version in versions:
        if version.state == "Succeeded":
            place += 1
        bound = _bound(version, channels.get(version.id.casefold(), ()), latest, now)
        if bound:
            found.append(Verdict(version, goes=False, reason=bound))
        else:
            found.append(_judge(version, place, policy, now))
    return found


def _judge(version: VersionRecord, place: int, policy: Policy, now: datetime) -> Verdict:
    if policy.revoked and version.revoked_at is not None:
        return Verdict(version, goes=True, reason=f"revoked: {version.revoked_reason}")
    if policy.ended and _has_ended(version, now):
        return Verdict(version, goes=True, reason=f"end of life was {version.end_of_life}")
    if not policy._by_age:
        return Verdict(version, goes=False, reason="not asked for")
    keep_last = policy.keep_last or 0
    if place <= keep_last:
        return Verdict(version, goes=False, reason=f"number {place} of the {keep_last} newest")
    age = now - (version.published_at or version.created_at)
    if policy.older_than is not None and age <= policy.older_than:
        return Verdict(version, goes=False, reason=f"published {_days(age)} ago")
    beyond = f"number {place}, {keep_last} are kept" if keep_last else ""
    older = f"published {_days(age)} ago" if policy.older_than is not None else ""
    return Verdict(version, goes=True, reason=", ".join(filter(None, (beyond, older))))


def _bound(version: VersionRecord, channels: Sequence[str], latest: Mapping[str, str], now: datetime) -> str:
    """Why it stays whatever the policy says; "" when it does not."""
    if version.state != "Succeeded":
        return f"state {version.state}"
    if channels:
        return f"in channel {', '.join(channels)}"
    if version.id in latest:
        return f"latest {latest[version.id]}".rstrip()
    if version.block_deletion_before_end_of_life and not _has_ended(version, now):
        return f"not to be deleted before {version.end_of_life or 'its end of life'}"
    return ""


def _latest(versions: Sequence[VersionRecord]) -> dict[str, str]:
    """The ids of the versions that are `latest`, for all or as seen from a region."""
    good = [one for one in versions if one.state == "Succeeded" and one.revoked_at is None]
    found: dict[str, str] = {}
    general = next((one for one in good if not one.exclude_from_latest and _is_somewhere(one)), None)
    if general is not None:
        found[general.id] = ""
    regions = {region_key(replica.region): replica.region for one in good for replica in one.replicas}
    for key, region in regions.items():
        for one in good:
            there = next((r for r in one.replicas if region_key(r.region) == key and r.usable), None)
            if there is None:
                continue
            excluded = there.exclude_from_latest
            if one.exclude_from_latest if excluded is None else excluded:
                continue
            found.setdefault(one.id, f"in {region}")
            break
    return found


def _is_somewhere(version: VersionRecord) -> bool:
    """As `registry.latest` has it: a copy is complete, or it has no region at all."""
    return not version.replicas or any(replica.usable for replica in version.replicas)


def _has_ended(version: VersionRecord, now: datetime) -> bool:
    if not version.end_of_life:
        return False
    try:
        end = datetime.fromisoformat(version.end_of_life)
    except ValueError:
        return False
    return (end if end.tzinfo else end.replace(tzinfo=UTC)) <= now


def _days(age: timedelta) -> str:
    return f"{age.days} days" if age.days != 1 else "1 day"
