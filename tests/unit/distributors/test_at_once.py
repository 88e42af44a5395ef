"""Real targets in threads: the registry and the files under them stand it, and a copy can be stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from disk.vhd_file import MIB, write_vhd
from registry.conftest import WEB, definition, gallery

from builder.cancellation import Interrupted, stoppable
from builder.disk import extents
from builder.disk.extents import clone
from builder.distributors.base import Artifact, Distributor
from builder.distributors.managed_image import ManagedImageDistributor
from builder.distributors.shared_image import SharedImageDistributor
from builder.distributors.vhd import VhdDistributor
from builder.services import Services
from distributors.conftest import Finished
from templates.model import distribute as models

IMAGE = "/subscriptions/0/resourceGroups/g/providers/Microsoft.Compute/images/web{}"
LIMIT = 30


def at_once(*deeds: Callable[[], Artifact]) -> list[Artifact]:
    """All begin at the same moment."""
    barrier = threading.Barrier(len(deeds))
    made: dict[int, Artifact] = {}

    def run(number: int, deed: Callable[[], Artifact]) -> None:
        barrier.wait(LIMIT)
        made[number] = deed()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(deeds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    return [made[number] for number in range(len(deeds))]


def test_targets_of_every_kind_at_once(services: Services, finished: Finished) -> None:
    services.registry.create_gallery(gallery(location="West US"))
    services.registry.create_definition(definition(hyper_v_generation="V2"))
    image = finished()
    targets: list[Distributor] = [
        ManagedImageDistributor(
            models.ManagedImageDistributor(
                type="ManagedImage", run_output_name=f"m{n}", image_id=IMAGE.format(n), location="x"
            ),
            services,
        )
        for n in range(3)
    ]
    targets += [
        SharedImageDistributor(
            models.SharedImageDistributor(type="SharedImage", run_output_name=f"s{n}", gallery_image_id=WEB),
            services,
        )
        for n in range(3)
    ]
    targets += [
        VhdDistributor(
            models.VhdDistributor(type="VHD", run_output_name=f"v{n}"),
            replace(services, output_dir=services.output_dir / str(n % 2)),
        )
        for n in range(4)
    ]
    made = at_once(*(lambda target=target: target.distribute(image) for target in targets))  # type: ignore[misc]
    assert [artifact.run_output for artifact in made] == [
        *("m0", "m1", "m2"),
        *("s0", "s1", "s2"),
        *("v0", "v1", "v2", "v3"),
    ]
    assert all(artifact.path.stat().st_size == 2 * MIB + 512 for artifact in made)
    assert len(services.registry.list_images()) == 3
    assert sorted(version.version for version in services.registry.list_versions()) == [
        "0.0.1",
        "0.0.2",
        "0.0.3",
    ]


def test_a_copy_that_is_stopped_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extents, "_reflink", lambda *_: False)
    monkeypatch.setattr(extents, "_COPY_CHUNK", 4096)
    source, folder = write_vhd(tmp_path / "os.vhd", 2 * MIB, b"x" * 65536, MIB), tmp_path / "out"
    folder.mkdir()
    stop, caught = threading.Event(), []
    stop.set()

    def copy() -> None:
        with stoppable(stop):
            try:
                clone(source, folder / "copy.vhd")
            except Interrupted as error:
                caught.append(error)

    thread = threading.Thread(target=copy)
    thread.start()
    thread.join(LIMIT)
    assert len(caught) == 1
    assert list(folder.iterdir()) == []
