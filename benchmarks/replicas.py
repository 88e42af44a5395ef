"""What replicating costs where nothing has to be copied: `python -m benchmarks.replicas`.

Three regions of two replicas on one file system: seconds from publishing the version to six complete
replicas, and the bytes that the home takes more than before.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

GALLERY = "/subscriptions/0000/resourceGroups/rg/providers/Microsoft.Compute/galleries/team"
REGIONS = ("westus", "eastus", "northeurope")
MIB = 1024**2


def main() -> int:
    """Print what was measured; 1 when it is not below a second, or took bytes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=5, help="times")
    parser.add_argument("--folder", type=Path, help="where; default: the folder of temporary files")
    parser.add_argument("--gib", type=int, default=30, help="virtual size of the OS disk")
    parser.add_argument("--data-mib", type=int, default=1024, help="data in it")
    wanted = parser.parse_args()
    seconds, lost = [], []
    with tempfile.TemporaryDirectory(dir=wanted.folder) as room:
        source = Path(room, "os.vhd")
        _write_vhd(source, wanted.gib * 1024**3, wanted.data_mib)
        for number in range(wanted.n):
            took, used = _once(Path(room, f"home-{number}"), source, wanted.gib * 1024**3)
            seconds.append(took)
            lost.append(used)
    print(f"six replicas of {wanted.gib} GiB with {wanted.data_mib} MiB of data, {wanted.n} times")
    print(f"median {statistics.median(seconds):.3f} s, slowest {max(seconds):.3f} s")
    print(f"bytes taken, at most: {max(lost) / 1024:.0f} KiB (registry, folders)")
    return int(max(seconds) >= 1 or max(lost) >= 4 * MIB)


def _once(root: Path, source: Path, size: int) -> tuple[float, int]:
    from builder.disk.extents import link_or_copy
    from builder.on_disk import disk_usage
    from builder.registry.records import Delivery, NewRegion, ReplicaRecord
    from builder.registry.store import Registry
    from builder.replication.place import Places
    from builder.replication.replicator import Replicator
    from builder.settings import Home, Settings
    from templates.model.gallery import DefinitionProperties, Gallery, Identifier, ImageDefinition

    home = Home(root)
    home.ensure()
    registry, places = Registry(home), Places(home, Settings())
    registry.create_gallery(Gallery(id=GALLERY, name="team", location=REGIONS[0]))
    properties = DefinitionProperties(
        os_type="Linux", identifier=Identifier(publisher="me", offer="web", sku="1")
    )
    web = f"{GALLERY}/images/web"
    registry.create_definition(ImageDefinition(id=web, name="web", properties=properties))
    held = registry.reserve_version(web, "1.0.0")
    first = Path(places.of(REGIONS[0]).location("team", "web", "1.0.0"))
    link_or_copy(source, first)
    before = disk_usage(root)
    begun = time.perf_counter()
    only = ReplicaRecord(REGIONS[0], 2, "Standard_LRS", first, 4096)
    registry.complete_version(held.id, Delivery([only], size=size, digest="d" * 64))
    added = [
        NewRegion(name, 2, "Standard_LRS", places.of(name).location("team", "web", "1.0.0"))
        for name in REGIONS[1:]
    ]
    registry.change_regions(held.id, add=added)
    report = Replicator(registry, places, jobs=4).run([held.id])
    took = time.perf_counter() - begun
    done = registry.find_version(held.id)
    if report.sent or any(copy.state != "Completed" for one in done.replicas for copy in one.copies):
        raise SystemExit(f"not all of it was linked: {report}")
    registry.close()
    return took, disk_usage(root) - before


def _write_vhd(path: Path, size: int, data_mib: int) -> None:
    """Only its size and its data matter here: nothing of it is read."""
    with path.open("wb") as file:
        file.truncate(size + 512)
        for _ in range(data_mib):
            file.write(os.urandom(MIB))


if __name__ == "__main__":
    raise SystemExit(main())
