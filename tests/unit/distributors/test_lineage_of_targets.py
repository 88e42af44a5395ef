"""What a target records of where its image comes from, and the channels it moves."""

from __future__ import annotations

from typing import Any

import pytest
from registry.conftest import IMAGE, WEB, definition, gallery

from builder.changes import Change
from builder.distributors.managed_image import ManagedImageDistributor
from builder.distributors.shared_image import SharedImageDistributor
from builder.errors import PreflightError
from builder.events import Envelope
from builder.registry.store import Registry
from builder.services import Services
from distributors.conftest import LINUX, Finished
from templates.model.distribute import ManagedImageDistributor as ManagedModel
from templates.model.distribute import SharedImageDistributor as SharedModel

LINEAGE = {"source": {"id": IMAGE, "digest": "d"}, "layers": ["l1", "l2"]}


@pytest.fixture
def registry(services: Services) -> Registry:
    services.registry.create_gallery(gallery(location="West US"))
    services.registry.create_definition(definition(hyper_v_generation="V2"))
    return services.registry


def target(services: Services, *channels: str, image: str = WEB, **fields: Any) -> SharedImageDistributor:
    data = {"type": "SharedImage", "runOutputName": "shared", "galleryImageId": image, **fields}
    return SharedImageDistributor(
        SharedModel.model_validate(data | {"x-goldsmith": {"channels": list(channels)}}), services
    )


def test_a_version_and_an_image_know_their_parent_and_lineage(
    services: Services, registry: Registry, finished: Finished
) -> None:
    image = finished(parent=IMAGE, lineage=LINEAGE)
    made = target(services).distribute(image)
    version = registry.find_version(made.artifact_id)
    assert (version.parent, version.lineage) == (IMAGE.casefold(), LINEAGE)
    model = {"type": "ManagedImage", "runOutputName": "i", "imageId": f"{IMAGE}2", "location": "local"}
    ManagedImageDistributor(ManagedModel.model_validate(model), services).distribute(image)
    record = registry.find_image(f"{IMAGE}2")
    assert (record.parent, record.lineage) == (IMAGE.casefold(), LINEAGE)


def test_without_a_parent_there_is_none(services: Services, registry: Registry, finished: Finished) -> None:
    version = registry.find_version(target(services).distribute(finished()).artifact_id)
    assert (version.parent, version.lineage) == ("", None)


def test_published_into_its_channels(services: Services, registry: Registry, finished: Finished) -> None:
    one = target(services, "dev", "Canary")
    assert one.preflight(LINUX).endswith("in West US, then @dev, @Canary")
    assert one.changes()[1:] == (Change("create", "channel", "dev"), Change("create", "channel", "Canary"))
    one.distribute(finished())
    assert [(c.name, c.version) for c in registry.list_channels(WEB)] == [
        ("Canary", "0.0.1"),
        ("dev", "0.0.1"),
    ]
    again = target(services, "DEV")
    assert again.changes()[1:] == (Change("update", "channel", "DEV", "from 0.0.1"),)
    again.distribute(finished("run-2"))
    assert registry.channel_version(WEB, "dev").version == "0.0.2"
    assert [move.run_id for move in registry.channel_history(WEB, "dev")] == ["run-2", "run-1"]


def test_a_version_below_its_channel_is_refused_before_anything_boots(
    services: Services, registry: Registry, finished: Finished
) -> None:
    first = target(services, "prod", image=f"{WEB}/versions/2.0.0")
    first.preflight(LINUX)
    first.distribute(finished())
    with pytest.raises(PreflightError, match=r"'prod' of Team.gallery/web is at 2.0.0 already") as caught:
        target(services, "prod", image=f"{WEB}/versions/1.0.0").preflight(LINUX)
    assert "--force" in str(caught.value.hint)


def test_a_number_known_only_at_the_end_leaves_a_channel_that_is_further(
    services: Services, registry: Registry, finished: Finished, said: list[Envelope]
) -> None:
    first = target(services, "prod", image=f"{WEB}/versions/2.0.0")
    first.preflight(LINUX)
    first.distribute(finished())
    below = target(services, "prod", versioning={"scheme": "Latest", "major": 1})
    below.preflight(LINUX)
    assert below.distribute(finished("run-2")).version == "1.0.1"
    assert registry.channel_version(WEB, "prod").version == "2.0.0"
    assert [e.event.code for e in said if e.event.kind == "note"] == ["ChannelNotMoved"]
