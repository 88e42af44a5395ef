"""How many replicas are advised."""

from __future__ import annotations

import pytest

from builder.errors import UsageError
from builder.usage.advice import advise


@pytest.mark.parametrize(
    ("wanted", "needed", "advised"),
    [
        ({"vms": 1}, 1, 2),
        ({"vms": 20}, 1, 2),
        ({"vms": 21}, 2, 3),
        ({"vms": 400}, 20, 22),
        ({"scale_sets": 3}, 3, 4),
        ({"scale_sets": 2, "instances": 601}, 4, 5),
        ({"vms": 40, "scale_sets": 1}, 3, 4),
    ],
)
def test_one_for_20_vms_or_a_scale_set_and_some_more(
    wanted: dict[str, int], needed: int, advised: int
) -> None:
    advice = advise(**wanted)
    assert (advice.regions[0].needed, advice.regions[0].advised) == (needed, advised)
    assert advice.notes == ()


def test_a_version_has_no_more_than_100_in_all() -> None:
    advice = advise(vms=960, regions=["a", "b"])
    assert [(one.region, one.needed, one.advised) for one in advice.regions] == [("a", 48, 50), ("b", 48, 50)]
    assert "53 would leave more room" in advice.notes[0]
    advice = advise(vms=4000)
    assert (advice.regions[0].needed, advice.regions[0].advised) == (200, 100)
    assert "in 2 waves" in advice.notes[0]
    with pytest.raises(UsageError, match="101 regions"):
        advise(vms=1, regions=[f"r{n}" for n in range(101)])


def test_what_cannot_be_advised_on() -> None:
    with pytest.raises(UsageError, match="Nothing to advise"):
        advise()
    with pytest.raises(UsageError, match="Nothing to advise"):
        advise(vms=-1)
    with pytest.raises(UsageError, match="twice"):
        advise(vms=1, regions=["West US", "westus"])
