"""What is billed of versions, and what it costs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from builder.errors import UsageError
from builder.registry.records import CopyRecord, DataDiskRecord, ReplicaRecord, VersionRecord
from builder.settings import Home, Settings, load_settings
from builder.usage.billing import VersionUsage, WantedRegion, bill, total, usage_of
from builder.usage.month import Month
from builder.usage.prices import TEMPLATE, Cost, load_prices
from builder.usage.report import money_text, report

GIB = 1024**3
FOOTER = 4096
WORLD = ("West US", "eastus", "northeurope")


def version(*regions: str, replicas: int = 2, used: int = 10 * GIB) -> VersionRecord:
    """An image with an OS disk of 127 GiB and an empty data disk of 32."""
    copies = [
        ReplicaRecord(
            region,
            replicas,
            "Standard_LRS",
            Path("/os.vhd"),
            used,
            data_disks=(DataDiskRecord(0, Path("/lun0.vhd"), 32 * GIB, FOOTER, ""),),
        )
        for region in regions
    ]
    return VersionRecord(
        id="id",
        version="1.0.0",
        definition_id="d",
        location="westus",
        state="Succeeded",
        exclude_from_latest=False,
        replication_mode="Full",
        os_type="Linux",
        os_state="Generalized",
        generation="V2",
        size=127 * GIB,
        digest="",
        source="",
        template="",
        run_id="",
        tags={},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        published_at=datetime(2026, 11, 16, tzinfo=UTC),
        replicas=tuple(copies),
    )


def test_the_worked_example() -> None:
    """A 127 GB OS disk using 10 GB and an empty 32 GB data disk, three regions with two replicas each: six
    snapshots billed at 10 GB, and egress for the first copy into each of the two regions beside the source.
    """
    lines = usage_of(version(*WORLD), "g/d").lines
    sums = total(lines)
    assert (sums.snapshots, sums.billed, sums.egress) == (6, 6 * 10 * GIB, 2 * 10 * GIB)
    assert [(line.region, line.snapshots, line.used, line.egress) for line in lines] == [
        ("West US", 2, 10 * GIB, 0),
        ("eastus", 2, 10 * GIB, 10 * GIB),
        ("northeurope", 2, 10 * GIB, 10 * GIB),
    ]


def test_a_data_disk_that_holds_something_is_a_snapshot_of_its_own() -> None:
    regions = [WantedRegion("a", 3, "Premium_LRS"), WantedRegion("b", 1, "Standard_ZRS")]
    first, second = bill((10, 0, 5), "a", regions)
    assert (first.snapshots, first.billed, first.egress) == (6, 45, 0)
    assert (second.snapshots, second.billed, second.egress) == (2, 15, 15)


def test_only_copies_that_are_complete_are_billed() -> None:
    record = version("westus", "eastus", replicas=3)
    source, other = record.replicas
    copies = (CopyRecord(1, "x", "Completed", 1, 1), CopyRecord(2, "y", "Replicating", 0, 1))
    record = replace(record, replicas=(source, replace(other, copies=copies)))
    assert [line.replicas for line in usage_of(record, "g/d").lines] == [3, 1]
    nothing = replace(other, copies=(CopyRecord(1, "x", "Failed", 0, 1),))
    line = usage_of(replace(record, replicas=(source, nothing)), "g/d").lines[1]
    assert (line.snapshots, line.billed, line.egress) == (0, 0, 0)


def priced(home: Home, text: str) -> object:
    (home.root / "prices.toml").write_text(text)
    return load_prices(home, Settings())


PRICES = """
currency = "EUR"
[storage]
Standard_LRS = 0.05
[storage."North Europe"]
standard_lrs = 0.10
[egress]
default = 0.02
"westus -> East US" = 0.01
"""


def test_prices_of_a_region_and_a_pair_go_before_the_general_ones(home: Home) -> None:
    assert load_prices(home, Settings()) is None
    (home.root / "prices.toml").write_text(PRICES)
    prices = load_prices(home, Settings())
    assert prices is not None
    found = report([usage_of(version(*WORLD), "g/d")], prices)
    costs = [one.cost for one in found.lines]
    assert [(c.storage, c.egress) for c in costs if c] == [
        pytest.approx((1.0, 0.0)),
        pytest.approx((1.0, 0.1)),
        pytest.approx((2.0, 0.2)),
    ]
    assert found.money is not None
    assert money_text(found.money) == "4.00 EUR a month, 0.30 EUR once"


def test_what_has_no_price_is_named_and_not_counted(home: Home) -> None:
    (home.root / "prices.toml").write_text("[storage]\nPremium_LRS = 1\n")
    prices = load_prices(home, Settings())
    found = report([usage_of(version("westus", "eastus"), "g/d")], prices)
    assert found.lines[1].cost == Cost(None, None)
    assert found.money is not None
    assert found.money.missing == (
        "Standard_LRS in westus",
        "Standard_LRS in eastus",
        "from westus to eastus",
    )
    assert "no price" in money_text(found.money)


def test_a_month_takes_its_part(home: Home) -> None:
    (home.root / "prices.toml").write_text(PRICES)
    prices = load_prices(home, Settings())
    usage: list[VersionUsage] = [usage_of(version("westus", "eastus"), "g/d")]  # published 16 November
    costs = {
        month: report(usage, prices, Month.of(month)).money for month in ("2026-10", "2026-11", "2026-12")
    }
    assert [(m.storage, m.egress) for m in costs.values() if m] == [
        pytest.approx((0.0, 0.0)),
        pytest.approx((1.0, 0.1)),
        pytest.approx((2.0, 0.0)),
    ]
    for wrong in ("2026", "2026-13", "11-2026", "0000-01"):
        with pytest.raises(UsageError, match="is not a month"):
            Month.of(wrong)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[storage]\nStandard_LRS = -1\n", "storage.Standard_LRS: Input should be greater than"),
        ("[storage]\nStandard_LRS = 'x'\n", "storage.Standard_LRS: "),
        ("[storage]\nStandard_LRS = nan\n", "storage.Standard_LRS: "),
        ("[egress]\nwestus = 1\n", "egress: 'westus' is neither"),
        ("[egres]\ndefault = 1\n", "egres: there is no such entry"),
    ],
)
def test_a_wrong_file_is_told_at_its_place(home: Home, text: str, said: str) -> None:
    (home.root / "prices.toml").write_text(text)
    with pytest.raises(UsageError, match="prices") as caught:
        load_prices(home, Settings())
    assert any(line.startswith(said) for line in caught.value.details), caught.value.details
    assert "--prices-template" in (caught.value.hint or "")


def test_a_file_elsewhere(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLDSMITH_PRICES_FILE", str(tmp_path / "p.toml"))
    with pytest.raises(UsageError, match="do not exist"):
        load_prices(home, load_settings(home))
    (tmp_path / "p.toml").write_text("currency = [")
    with pytest.raises(UsageError, match=r"p\.toml"):
        load_prices(home, load_settings(home))


def test_the_template_is_such_a_file(home: Home) -> None:
    """As it is, and with its marks taken away."""
    (home.root / "prices.toml").write_text(TEMPLATE)
    prices = load_prices(home, Settings())
    assert prices is not None and prices.storage == {}
    lines = [
        line.removeprefix("# ") if "=" in line or line.startswith("# [") else line
        for line in TEMPLATE.splitlines()
    ]
    (home.root / "prices.toml").write_text("\n".join(lines))
    prices = load_prices(home, Settings())
    assert prices is not None
    assert prices.storage_of("westeurope", "standard_lrs") == 0.0
    assert (prices.currency, prices.default_egress, len(prices.egress)) == ("EUR", 0.0, 1)
