"""How many replicas a use needs. Pure.

The guidance is that of the reference page on galleries: one replica for 20 VMs that are created at the same
time, or one for a scale set of up to 600 instances; and more than that. How many more nobody says: ours is a
tenth, at least one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builder.errors import UsageError
from builder.registry.records import region_key

VMS_A_REPLICA = 20
INSTANCES_A_REPLICA = 600
_MORE = 10


@dataclass(frozen=True, slots=True)
class RegionAdvice:
    """Replicas in one region: `needed` by the guidance, `advised` with some more."""

    region: str
    needed: int
    advised: int


@dataclass(frozen=True, slots=True)
class Advice:
    """`regions` in the order given; `notes` say where a limit kept the number down."""

    regions: tuple[RegionAdvice, ...]
    notes: tuple[str, ...] = ()


def advise(
    *,
    vms: int = 0,
    scale_sets: int = 0,
    instances: int = INSTANCES_A_REPLICA,
    regions: Sequence[str] = ("",),
    limit: int = 100,
) -> Advice:
    """The replicas for `vms` VMs created at once and `scale_sets` of up to `instances` each, in every one of
    `regions`. A version has at most `limit` replicas in all. Raises UsageError.
    """
    if vms < 0 or scale_sets < 0 or instances < 1 or not (vms or scale_sets):
        raise UsageError(
            "Nothing to advise on: no VM and no scale set.", hint="Say --vms N, or --scale-sets N."
        )
    if len({region_key(name) for name in regions}) != len(regions):
        raise UsageError("A region is named twice.", details=tuple(regions))
    needed = _up(vms, VMS_A_REPLICA) + scale_sets * _up(instances, INSTANCES_A_REPLICA)
    wanted = needed + max(1, _up(needed, _MORE))
    most = limit // max(1, len(regions))
    if most < 1:
        raise UsageError(f"A version may have {limit} replicas; there are {len(regions)} regions.")
    advised = min(wanted, most)
    return Advice(
        tuple(RegionAdvice(name, needed, advised) for name in regions), _notes(needed, wanted, most, limit)
    )


def _notes(needed: int, wanted: int, most: int, limit: int) -> tuple[str, ...]:
    if wanted <= most:
        return ()
    why = f"A version may have {limit} replicas, here {most} in each region"
    if needed <= most:
        return (f"{why}: {wanted} would leave more room.",)
    return (f"{why}; {needed} would be needed. Create them in {_up(needed, most)} waves.",)


def _up(number: int, by: int) -> int:
    return -(-number // by)
