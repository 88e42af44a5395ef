"""A sparse VHD to Azurite as a page blob: our upload beside azure-storage-blob's own `upload_blob`.

.venv/bin/python benchmarks/uploads.py [--rounds 3] [--their-rounds 1] [--azurite FOLDER]

FOLDER keeps Azurite's installation from npm. Needs twice the data on the disk.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "vm"))
from azurite import CONTAINER, KEY, Azurite, environment, installed, proxy_to, running

from builder.blob.address import BlobAddress
from builder.blob.upload import Upload
from builder.deadline import Deadline
from builder.disk import qemu_img
from builder.disk.extents import content_digest
from builder.distributors.blob_vhd import sign_in_to
from builder.events import EventBus
from builder.redact import Redactor
from builder.services import Services
from builder.settings import Home, Settings

MIB, GIB = 1024**2, 1024**3
CONNECTIONS = 8
NAME = "disk.vhd"
# From one block of the file system to what apt leaves: sizes of extents in a real image, roughly.
EXTENTS = (4096, 64 * 1024, 512 * 1024, MIB, 5 * MIB, 40 * MIB)


def make(path: Path, size: int, data: int) -> None:
    """A fixed VHD of `size` bytes with `data` bytes of noise in extents all over it."""
    chance = random.Random(30)
    whole = qemu_img.round_up_to_mib(size)
    qemu_img._run(qemu_img.create_argv(path, "vpc", whole, qemu_img.VHD_OPTIONS), 60)
    with path.open("r+b") as file:
        left, place = data, 0
        gap = (size - data) // (data // (sum(EXTENTS) // len(EXTENTS)) + 1)
        while left:
            length = min(chance.choice(EXTENTS), left)
            file.seek(place)
            file.write(chance.randbytes(length))
            left -= length
            place += length + max(4096, int(gap * chance.uniform(0.2, 1.2)) // 4096 * 4096)
        file.flush()
        os.fsync(file.fileno())


def ours(azurite: Azurite, vhd: Path, room: Path, *, content: bool = False) -> None:
    """As `build images upload` does it: the digest, the upload, the proof."""
    bus = EventBus(Redactor())
    settings = Settings(upload_connections=CONNECTIONS, upload_verify="content" if content else "pages")
    services = Services(Home(room), settings, bus, Redactor(), Deadline(3600), room, room)
    address = BlobAddress.parse(azurite.url(NAME))
    digest = content_digest(vhd, vhd.stat().st_size - 512)
    Upload(vhd, digest, address, sign_in_to(address, services), services).run()


def theirs(azurite: Azurite, vhd: Path, connections: int) -> None:
    """What the SDK's documentation shows, without a proof."""
    from azure.storage.blob import BlobClient, BlobType

    with BlobClient(azurite.service, CONTAINER, NAME, credential=KEY) as client, vhd.open("rb") as file:
        size = vhd.stat().st_size
        client.upload_blob(file, blob_type=BlobType.PAGEBLOB, length=size, max_concurrency=connections)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--their-rounds", type=int, default=1, help="upload_blob reads every hole")
    parser.add_argument("--azurite", type=Path)
    parser.add_argument("--size", type=float, default=30, help="GiB")
    parser.add_argument("--data", type=float, default=1, help="GiB")
    asked = parser.parse_args()
    os.environ.update(environment())
    with tempfile.TemporaryDirectory(prefix="uploads-") as folder:
        room = Path(folder)
        vhd = room / "disk.vhd"
        make(vhd, int(asked.size * GIB), int(asked.data * GIB))
        extents = vhd.stat().st_blocks * 512
        print(
            f"{asked.size:g} GiB, {extents / GIB:.3f} GiB of it on the disk; {os.cpu_count()} cores, "
            f"load {os.getloadavg()[0]:.1f}"
        )
        with running(installed(asked.azurite or room / "azurite"), room / "data") as azurite:
            ways: dict[str, tuple[int, Callable[[Azurite], None]]] = {
                f"goldsmith, {CONNECTIONS} connections": (asked.rounds, lambda to: ours(to, vhd, room)),
                "goldsmith, all read back": (asked.rounds, lambda to: ours(to, vhd, room, content=True)),
                "upload_blob": (asked.their_rounds, lambda to: theirs(to, vhd, 1)),
                f"upload_blob, max_concurrency={CONNECTIONS}": (
                    asked.their_rounds,
                    lambda to: theirs(to, vhd, CONNECTIONS),
                ),
            }
            print("\n| | median | all | pages written | on the wire |\n|---|---|---|---|---|")
            for way, (rounds, upload) in ways.items():
                seconds = [timed(azurite, upload) for _ in range(rounds)]
                pages = sum(one.end - one.start + 1 for one in azurite.blob(NAME).list_page_ranges())
                wire = "not counted"
                if way.startswith("goldsmith"):
                    with proxy_to(azurite) as (proxy, through):
                        timed(azurite, upload, through)
                        wire = f"{proxy.sent / GIB:.4f} GiB"
                times = ", ".join(f"{one:.1f}" for one in seconds)
                median = statistics.median(seconds)
                print(f"| {way} | {median:.1f} s | {times} | {pages / GIB:.4f} GiB | {wire} |", flush=True)
    print(f"\nload at the end {os.getloadavg()[0]:.1f}")


def timed(azurite: Azurite, upload: Callable[[Azurite], None], through: Azurite | None = None) -> float:
    """Seconds of one upload to a container in which nothing is."""
    for name in azurite.names():
        azurite.blob(name).delete_blob()
    os.sync()
    begun = time.monotonic()
    upload(through or azurite)
    return time.monotonic() - begun


if __name__ == "__main__":
    main()
