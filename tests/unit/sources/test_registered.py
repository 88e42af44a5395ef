"""Sources that an earlier build distributed, over a real registry and real (tiny) VHDs."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from disk.vhd_file import MIB, write_vhd

from builder.disk.extents import content_digest
from builder.disk.vhd import VhdError
from builder.errors import GoldsmithError, NotFoundError, PreflightError
from builder.registry.records import CopyRecord, DataDiskRecord, Delivery, ImageRecord, ReplicaRecord
from builder.settings import RegionPlace
from builder.sources.gallery_version import GalleryVersionSource
from builder.sources.managed_image import ManagedImageSource
from templates.model.gallery import DefinitionProperties, Feature, Gallery, Identifier, ImageDefinition
from templates.model.source import ManagedImageSource as ManagedModel
from templates.model.source import SharedImageVersionSource

GROUP = "/subscriptions/0000/resourceGroups/rg/providers/Microsoft.Compute"
IMAGE = f"{GROUP}/images/golden"
WEB = f"{GROUP}/galleries/g/images/web"


@pytest.fixture
def image(services):
    path = write_vhd(services.home.images / "golden.vhd", 2 * MIB, b"data")
    services.registry.put_image(
        ImageRecord(
            id=IMAGE, name="golden", resource_group="rg", location="local", os_type="Linux", generation="V2",
            path=path, size=2 * MIB, size_on_disk=4096, digest="d" * 64, source="s", template="t", run_id="r",
            tags={}, created_at=datetime.now(UTC),
        )
    )  # fmt: skip
    return path


def _gallery(services, **properties):
    services.registry.create_gallery(Gallery(id=f"{GROUP}/galleries/g", name="g"))
    identifier = Identifier(publisher="me", offer="web", sku="1")
    made = DefinitionProperties(os_type="Linux", identifier=identifier, **properties)
    services.registry.create_definition(ImageDefinition(id=WEB, name="web", properties=made))


def _publish(services, number: str):
    path = write_vhd(services.home.regions / "local" / f"web-{number}.vhd", 3 * MIB)
    version = services.registry.reserve_version(WEB, number)
    replica = ReplicaRecord("local", 1, "Standard_LRS", path, 4096)
    services.registry.complete_version(version.id, Delivery([replica], size=3 * MIB, digest=number * 8))
    return path


def _managed(services, image_id=IMAGE):
    return ManagedImageSource(ManagedModel(type="ManagedImage", image_id=image_id), services)


def _version(services, number):
    model = SharedImageVersionSource(type="SharedImageVersion", image_version_id=f"{WEB}/versions/{number}")
    return GalleryVersionSource(model, services)


def test_a_managed_image_opens_without_its_footer(services, image):
    source = _managed(services, IMAGE.upper().replace("/SUBSCRIPTIONS", "/subscriptions"))
    resolved = source.resolve()
    assert (resolved.identity, resolved.generation, resolved.cached) == ("d" * 64, "V2", True)
    assert resolved.exact_version == IMAGE
    disk = source.prepare()
    assert disk.size == 2 * MIB
    assert (disk.graph.top.format, disk.graph.top.size) == ("raw", 2 * MIB)


def test_the_base_outlives_the_image(services, image):
    disk = _managed(services).prepare()
    image.unlink()
    assert services.home.bases in disk.graph.top.path.parents
    assert disk.graph.top.path.stat().st_size == 2 * MIB + 512


def test_an_unknown_image_lists_the_known(services, image):
    with pytest.raises(NotFoundError) as caught:
        _managed(services, f"{GROUP}/images/other").resolve()
    assert caught.value.details[-1] == "Managed images here: rg/golden"


def test_a_lost_file_is_said_before_anything_boots(services, image):
    image.unlink()
    with pytest.raises(NotFoundError, match="golden is gone"):
        _managed(services).resolve()


def test_a_damaged_file_is_said(services, image):
    image.write_bytes(b"\0" * 4096)
    with pytest.raises(VhdError):
        _managed(services).prepare()


def test_latest_is_the_highest_version(services):
    _gallery(services)
    _publish(services, "1.0.0")
    path = _publish(services, "1.1.0")
    source = _version(services, "latest")
    resolved = source.resolve()
    assert (resolved.version_number, resolved.exact_version) == ("1.1.0", f"{WEB}/versions/1.1.0")
    assert source.prepare().graph.top.path.samefile(path)


def test_latest_stays_what_it_was_when_it_was_resolved(services):
    _gallery(services)
    _publish(services, "1.0.0")
    source = _version(services, "latest")
    source.resolve()
    _publish(services, "2.0.0")
    assert source.resolve().version_number == "1.0.0"


def test_an_unknown_version_lists_the_known(services):
    _gallery(services)
    _publish(services, "1.0.0")
    with pytest.raises(NotFoundError) as caught:
        _version(services, "9.9.9").resolve()
    assert caught.value.details[-1] == "Versions here: 1.0.0"


def test_an_unknown_definition_says_what_there_is(services):
    with pytest.raises(NotFoundError) as caught:
        _version(services, "latest").resolve()
    assert caught.value.details[-1] == "There is no definition yet."


@pytest.mark.parametrize(
    ("properties", "word"),
    [
        ({"os_state": "Specialized"}, "specialized"),
        ({"architecture": "Arm64"}, "Arm64"),
        (
            {"hyper_v_generation": "V2", "features": [Feature(name="SecurityType", value="TrustedLaunch")]},
            "virtual TPM",
        ),
    ],
)
def test_what_cannot_be_a_source_is_refused(services, properties, word):
    _gallery(services, **properties)
    _publish(services, "1.0.0")
    with pytest.raises(PreflightError, match=word):
        _version(services, "1.0.0").resolve()


def test_a_specialized_managed_image_is_no_source(services, image):
    services.registry.put_image(replace(services.registry.find_image(IMAGE), os_state="Specialized"))
    with pytest.raises(PreflightError, match="only generalized images"):
        _managed(services).resolve()


def test_an_image_keeps_the_plan_of_its_source(services, image):
    plan = {"name": "gold", "publisher": "acme", "product": "web"}
    services.registry.put_image(replace(services.registry.find_image(IMAGE), plan=plan))
    assert _managed(services).resolve().plan == plan
    _gallery(services, purchase_plan=plan)
    _publish(services, "1.0.0")
    assert _version(services, "1.0.0").resolve().plan == plan


def test_data_disks_come_with_their_image(services, image):
    path = write_vhd(image.with_name("golden-lun3.vhd"), MIB, b"data")
    disk = DataDiskRecord(3, path, MIB, 4096, "e" * 64)
    record = services.registry.find_image(IMAGE)
    services.registry.put_image(replace(record, data_disks=(disk,)))
    source = _managed(services)
    assert [(one.lun, one.size) for one in source.resolve().data_disks] == [(3, MIB)]
    (opened,) = source.prepare().data_disks
    assert (opened.lun, opened.size) == (3, MIB)
    (layer,) = opened.graph.layers
    assert layer.path.samefile(path)
    assert layer.size == MIB, "without its footer"
    assert layer.path.is_relative_to(services.home.bases), "deleting the image breaks no kept machine on it"
    path.unlink()
    with pytest.raises(NotFoundError, match=r"golden-lun3\.vhd"):
        _managed(services).resolve()


def test_data_disks_of_a_version_are_its_copys(services):
    _gallery(services)
    path = write_vhd(services.home.regions / "local" / "os.vhd", 3 * MIB)
    beside = write_vhd(services.home.regions / "local" / "os-lun0.vhd", MIB)
    version = services.registry.reserve_version(WEB, "1.0.0")
    disk = DataDiskRecord(0, beside, MIB, 4096, "f" * 64)
    replica = ReplicaRecord("local", 1, "Standard_LRS", path, 4096, data_disks=(disk,))
    services.registry.complete_version(version.id, Delivery([replica], size=3 * MIB))
    source = _version(services, "1.0.0")
    assert [(one.lun, one.size) for one in source.resolve().data_disks] == [(0, MIB)]
    assert [one.lun for one in source.prepare().data_disks] == [0]


def _second_region(services, number: str, location: str, state: str = "Completed"):
    """A version whose first copy is in the home, and another one elsewhere."""
    path = write_vhd(services.home.regions / "local/g/web" / number / "os.vhd", 3 * MIB, b"x" * 4096, MIB)
    version = services.registry.reserve_version(WEB, number)
    copies = [
        ReplicaRecord("local", 1, "Standard_LRS", path, 4096),
        ReplicaRecord(
            "eastus", 1, "Standard_LRS", path, 4096, copies=(CopyRecord(1, location, state, 0, 0),)
        ),
    ]
    digest = content_digest(path, 3 * MIB)
    services.registry.complete_version(version.id, Delivery(copies, size=3 * MIB, digest=digest))
    return path


def test_another_replica_is_read_when_the_first_is_gone(services, tmp_path):
    _gallery(services)
    other = write_vhd(tmp_path / "east" / "os.vhd", 3 * MIB)
    path = _second_region(services, "1.0.0", str(other))
    said = []
    services.bus.add_sink(said.append)
    assert _version(services, "1.0.0").prepare().graph.top.path.samefile(path)
    assert said == []
    path.unlink()
    for base in services.home.bases.rglob("disk.vhd"):
        base.unlink()
    source = _version(services, "1.0.0")
    assert source.resolve().cached
    assert source.prepare().graph.top.path.samefile(other)
    assert "is gone" in said[-1].event.message and "in eastus" in said[-1].event.message


def test_a_replica_at_a_url_is_downloaded_and_checked(services):
    import fsspec

    _gallery(services)
    services = replace(
        services,
        settings=services.settings.model_copy(
            update={"regions": {"eastus": RegionPlace(url="memory://east")}}
        ),
    )
    location = "memory://east/g/web/1.0.0/os.vhd"
    path = _second_region(services, "1.0.0", location)
    content = path.read_bytes()
    path.unlink()
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/east/g/web/1.0.0/os.vhd", content[:-700] + b"y" + content[-699:])
    source = _version(services, "1.0.0")
    resolved = source.resolve()
    assert (resolved.cached, resolved.means) == (False, f"download from {location}")
    with pytest.raises(GoldsmithError, match="is damaged"):
        source.prepare()
    fs.pipe_file("/east/g/web/1.0.0/os.vhd", content)
    disk = _version(services, "1.0.0").prepare()
    assert disk.graph.top.path.read_bytes() == content
    assert services.home.bases in disk.graph.top.path.parents
    fs.rm("/east", recursive=True)
    with pytest.raises(NotFoundError, match="is gone"):
        _version(services, "1.0.0").resolve()


def test_a_version_that_is_nowhere_complete(services, tmp_path):
    _gallery(services)
    path = _second_region(services, "1.0.0", str(tmp_path / "east/os.vhd"), "Pending")
    path.unlink()
    with pytest.raises(NotFoundError, match=r"The file of the gallery version .* is gone"):
        _version(services, "1.0.0").resolve()
