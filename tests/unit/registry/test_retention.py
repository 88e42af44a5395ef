"""Which versions are kept: the policy, and what no policy takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from builder.errors import UsageError
from builder.registry.records import ReplicaRecord, VersionRecord
from builder.retention import Policy, verdicts

NOW = datetime(2026, 11, 25, tzinfo=UTC)
WEB = "/subscriptions/0/resourceGroups/g/providers/Microsoft.Compute/galleries/team/images/Web"


def version(number: str, age: int = 0, **changes: Any) -> VersionRecord:
    made = NOW - timedelta(days=age)
    replica = ReplicaRecord("westus", 1, "Standard_LRS", Path("/x"), 1)
    record = VersionRecord(
        id=f"{WEB}/versions/{number}",
        version=number,
        definition_id=WEB,
        location="westus",
        state="Succeeded",
        exclude_from_latest=False,
        replication_mode="Full",
        os_type="Linux",
        os_state="Generalized",
        generation="V2",
        size=1,
        digest="",
        source="",
        template="",
        run_id="",
        tags={},
        created_at=made,
        published_at=made,
        replicas=(replica,),
    )
    return replace(record, **changes)


def going(versions: list[VersionRecord], policy: Policy, **channels: list[str]) -> list[str]:
    named = {
        f"{WEB}/versions/{key[1:].replace('_', '.')}".casefold(): value for key, value in channels.items()
    }
    return [one.version.version for one in verdicts(versions, named, policy, NOW) if one.goes]


FIVE = [
    version("1.0.4", 1),
    version("1.0.3", 10),
    version("1.0.2", 40),
    version("1.0.1", 80),
    version("1.0.0", 200),
]


def test_the_newest_stay() -> None:
    assert going(FIVE, Policy(keep_last=3)) == ["1.0.1", "1.0.0"]
    assert going(FIVE, Policy(keep_last=9)) == []


def test_only_those_of_an_age() -> None:
    assert going(FIVE, Policy(older_than=timedelta(days=60))) == ["1.0.1", "1.0.0"]
    assert going(FIVE, Policy(keep_last=2, older_than=timedelta(days=60))) == ["1.0.1", "1.0.0"]
    assert going(FIVE, Policy(keep_last=4, older_than=timedelta(days=60))) == ["1.0.0"]
    assert going([version("1.0.0", 900)], Policy(older_than=timedelta(days=60))) == [], "the latest stays"


def test_what_is_in_a_channel_stays() -> None:
    assert going(FIVE, Policy(keep_last=1), v1_0_1=["prod"]) == ["1.0.3", "1.0.2", "1.0.0"]
    kept = verdicts(FIVE, {f"{WEB}/versions/1.0.1".casefold(): ["prod", "test"]}, Policy(keep_last=1), NOW)
    assert [one.reason for one in kept] == [
        "latest",
        "number 2, 1 are kept",
        "number 3, 1 are kept",
        "in channel prod, test",
        "number 5, 1 are kept",
    ]


def test_what_is_latest_for_a_region_stays() -> None:
    east = ReplicaRecord("East US", 1, "Standard_LRS", Path("/x"), 1)
    versions = [
        version("3.0.0", exclude_from_latest=True),
        version("2.0.0"),
        version("1.0.1", replicas=(replace(east, usable=False),)),
        version("1.0.0", replicas=(east,)),
        version("0.9.0", replicas=(east,)),
    ]
    assert going(versions, Policy(keep_last=1)) == ["1.0.1", "0.9.0"]
    (kept,) = [
        one for one in verdicts(versions, {}, Policy(keep_last=1), NOW) if one.version.version == "1.0.0"
    ]
    assert kept.reason == "latest in East US"


def test_what_is_being_made_neither_counts_nor_goes() -> None:
    versions = [version("1.0.5", state="Creating", published_at=None), *FIVE]
    assert going(versions, Policy(keep_last=3)) == ["1.0.1", "1.0.0"]


def test_an_end_of_life_and_a_revocation_take_newer_ones() -> None:
    versions = [
        version("1.0.3"),
        version("1.0.2", end_of_life="2026-11-01"),
        version("1.0.1", end_of_life="2027-11-01T00:00:00Z"),
        version("1.0.0", revoked_at=NOW, revoked_reason="CVE-2026-1"),
    ]
    assert going(versions, Policy(keep_last=4)) == []
    assert going(versions, Policy(keep_last=4, ended=True)) == ["1.0.2"]
    assert going(versions, Policy(revoked=True)) == ["1.0.0"]


def test_a_deletion_that_is_blocked_waits_for_its_end_of_life() -> None:
    blocked = {"block_deletion_before_end_of_life": True}
    versions = [
        version("1.0.2"),
        version("1.0.1", end_of_life="2027-01-01", **blocked),
        version("1.0.0", end_of_life="2026-01-01", **blocked),
    ]
    assert going(versions, Policy(keep_last=1)) == ["1.0.0"]


def test_a_revoked_one_is_no_latest() -> None:
    versions = [version("1.0.1", revoked_at=NOW), version("1.0.0", 400)]
    assert going(versions, Policy(older_than=timedelta(days=1))) == []


@pytest.mark.parametrize("policy", [Policy(), Policy(keep_last=0)])
def test_a_policy_that_says_nothing(policy: Policy) -> None:
    with pytest.raises(UsageError):
        policy.check()


def test_what_is_latest_for_who_names_no_region_stays() -> None:
    """The newest has no sound copy any more; the one before is excluded in its region, not everywhere."""
    broken = ReplicaRecord("westus", 1, "Standard_LRS", Path("/x"), 1, state="Failed", usable=False)
    excluded = ReplicaRecord("westus", 1, "Standard_LRS", Path("/x"), 1, exclude_from_latest=True)
    two = [version("2.0.0", replicas=(broken,)), version("1.0.0", replicas=(excluded,))]
    assert going(two, Policy(keep_last=1)) == []
