"""How long the registry takes in a definition that holds 10,000 versions, each in three regions.

    .venv/bin/python benchmarks/registry.py
    .venv/bin/python benchmarks/registry.py --url postgresql://user@/empty-database

Without a URL in a SQLite file of its own, which is removed; a database must be empty, and stays filled. The
versions are written as rows; what is measured goes through the Python API, disk flushes and all.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from builder.api import Goldsmith
from builder.registry.records import Delivery, ReplicaRecord
from builder.registry.schema import CopyRow, DefinitionRow, ReplicaRow, VersionRow
from builder.settings import Settings

LIMIT_MS = 100
REGIONS = ("westeurope", "northeurope", "eastus")
PAGE = 50
NAME = "team/web"


def main() -> int:
    """Fill, measure, print. Returns 0, 1 when a median is over the limit, 2 for a database that is in use."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="goldsmith-bench-") as folder:
        settings = Settings(
            registry_url=options.url, limit_versions=10 * options.versions, location=REGIONS[0]
        )
        with Goldsmith(Path(folder), settings=settings) as goldsmith:
            if goldsmith.galleries.list():
                print("error: the database holds galleries; give an empty one.", file=sys.stderr)
                return 2
            started = time.monotonic()
            _fill(goldsmith, options.versions)
            print(f"filled with {options.versions} versions in {time.monotonic() - started:.1f} s")
            figures = {name: _times(act, options.times) for name, act in _cases(goldsmith).items()}
    _print(figures, options)
    return 0 if all(_median(times) <= LIMIT_MS for times in figures.values()) else 1


def _cases(goldsmith: Goldsmith) -> dict[str, Callable[[], object]]:
    definition = goldsmith.definitions.show(NAME).id
    whole = goldsmith.versions.list(NAME)
    middle, last = whole[len(whole) // 2].id, whole[-PAGE - 1].id
    path = goldsmith.home.regions / "os.vhd"

    def create() -> None:
        version = goldsmith.registry.reserve_version(definition)
        replicas = [ReplicaRecord(region, 1, "Standard_LRS", path, 4096) for region in REGIONS]
        goldsmith.registry.complete_version(version.id, Delivery(replicas, size=4096))

    return {
        "latest": lambda: goldsmith.latest(NAME),
        "latest, in a region": lambda: goldsmith.latest(NAME, REGIONS[2]),
        "create: reserve and complete": create,
        f"first page of {PAGE}": lambda: goldsmith.versions.list(NAME, limit=PAGE),
        f"page of {PAGE} in the middle": lambda: goldsmith.versions.list(NAME, limit=PAGE, after=middle),
        f"last page of {PAGE}": lambda: goldsmith.versions.list(NAME, limit=PAGE, after=last),
        "one version by number": lambda: goldsmith.versions.show(f"{NAME}/1.0.1"),
    }


def _times(act: Callable[[], object], count: int) -> list[tuple[float, float]]:
    """Milliseconds of wall clock and of our own CPU, each. The first call, which compiles the statements,
    does not count.
    """
    act()
    found = []
    for _ in range(count):
        wall, cpu = time.perf_counter(), time.process_time()
        act()
        found.append(((time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000))
    return found


def _median(times: list[tuple[float, float]]) -> float:
    return statistics.median(wall for wall, _ in times)


def _fill(goldsmith: Goldsmith, count: int) -> None:
    goldsmith.galleries.create("team")
    identity = goldsmith.definitions.create(NAME, publisher="p", offer="o", sku="s").id
    with goldsmith.registry._db.write() as session:
        definition = session.get(DefinitionRow, identity.casefold())
        for number in range(count):
            version = (1 + number // 1000, number % 1000 // 10, number % 10)
            session.add(_row(definition, version))
            if number % 1000 == 999:
                session.flush()
                session.expunge_all()
                definition = session.get(DefinitionRow, identity.casefold())
        if goldsmith.settings.registry_url is not None:  # what its autovacuum does within a minute
            session.execute(text("ANALYZE"))


def _row(definition: DefinitionRow | None, version: tuple[int, int, int]) -> VersionRow:
    assert definition is not None
    major, minor, patch = version
    arm_id = f"{definition.id}/versions/{major}.{minor}.{patch}"
    now = datetime.now(UTC)
    place = f"regions/{{}}/team/web/{major}.{minor}.{patch}/os.vhd"
    return VersionRow(
        key=arm_id.casefold(),
        id=arm_id,
        definition=definition,
        major=major,
        minor=minor,
        patch=patch,
        state="Succeeded",
        owner="",
        run_id="",
        size=4096,
        tags={"number": "1"},
        created_at=now,
        published_at=now,
        replicas=[_replica(region, place.format(region), now) for region in REGIONS],
    )


def _replica(region: str, path: str, now: datetime) -> ReplicaRow:
    copy = CopyRow(
        number=1, location=path, state="Completed", bytes_done=4096, bytes_total=4096, completed_at=now
    )
    return ReplicaRow(
        region=region,
        region_key=region,
        count=1,
        storage_account_type="Standard_LRS",
        path=path,
        size_on_disk=4096,
        copies=[copy],
    )


def _print(figures: dict[str, list[tuple[float, float]]], options: argparse.Namespace) -> None:
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    kind = "PostgreSQL" if options.url else "SQLite"
    print(f"{kind}, Python {platform.python_version()}, {os.cpu_count()} CPUs, load {load}\n")
    print(f"| {options.versions} versions, ms | median | p95 | our CPU | target |\n|---|---:|---:|---:|---|")
    for name, times in figures.items():
        p95 = statistics.quantiles([wall for wall, _ in times], n=20)[-1]
        cpu = statistics.median(cpu for _, cpu in times)
        verdict = f"<= {LIMIT_MS}, {'met' if _median(times) <= LIMIT_MS else 'missed'}"
        print(f"| {name} | {_median(times):.1f} | {p95:.1f} | {cpu:.1f} | {verdict} |")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--url", help="an empty PostgreSQL database")
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=100, help="calls of each case")
    parser.add_argument("--json", type=Path, help="every single time, in ms")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
