"""Replicas in real places: another file system, S3's and Azure's kind of storage, processes that are killed.

No VM boots. SFTP is in tests/docker.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azurite import ACCOUNT, CONTAINER, KEY, Azurite
from harness import Cli
from s3_server import KEY as S3_KEY
from s3_server import S3, SECRET, s3_server

from builder.disk.extents import content_digest
from builder.registry.records import DataDiskRecord, Delivery, ReplicaRecord
from builder.registry.store import Registry
from builder.settings import Home
from templates.model.gallery import DefinitionProperties, Gallery, Identifier, ImageDefinition
from tests.unit.disk.vhd_file import MIB, write_vhd

pytestmark = pytest.mark.timeout(900)

GALLERY = "/subscriptions/0000/resourceGroups/rg/providers/Microsoft.Compute/galleries/team"
WEB = f"{GALLERY}/images/web"
NAME = "team/web/1.0.0"
BELOW = "team/web/1.0.0"


class Lab:
    """A home with a version of an OS disk and a data disk, and the command."""

    def __init__(self, root: Path, size: int = 24 * MIB) -> None:
        self.cli = Cli(root / "home", root)
        self.cli.home.mkdir(parents=True)
        self.size = size
        registry = Registry(Home(self.cli.home))
        registry.create_gallery(Gallery(id=GALLERY, name="team", location="westus"))
        properties = DefinitionProperties(
            os_type="Linux", identifier=Identifier(publisher="me", offer="web", sku="1")
        )
        registry.create_definition(ImageDefinition(id=WEB, name="web", properties=properties))
        held = registry.reserve_version(WEB, "1.0.0")
        self.os_disk = self.cli.home / "regions/westus" / BELOW / "os.vhd"
        write_vhd(self.os_disk, size, os.urandom(3 * MIB), MIB)
        with self.os_disk.open("r+b") as file:
            file.seek(size // 2)
            file.write(os.urandom(size // 4))
        data = write_vhd(self.os_disk.with_name("os-lun0.vhd"), 2 * MIB, b"data disk" * 99, MIB)
        disk = DataDiskRecord(0, data, 2 * MIB, 4096, content_digest(data, 2 * MIB))
        only = ReplicaRecord("westus", 1, "Standard_LRS", self.os_disk, 4096, None, (disk,))
        digest = content_digest(self.os_disk, size)
        registry.complete_version(held.id, Delivery([only], size=size, digest=digest))
        registry.close()
        self.env = {"TEST_S3_KEY": S3_KEY, "TEST_S3_SECRET": SECRET, "TEST_AZURE_KEY": KEY}

    def put(self, **regions: object) -> None:
        self.env["GOLDSMITH_REGIONS"] = json.dumps(regions)

    def run(self, *words: str | Path, code: int = 0) -> str:
        done = self.cli("gallery", *words, env=self.env, timeout=300)
        assert done.code == code, done.text
        return done.text

    def states(self) -> dict[str, tuple[str, bool]]:
        found = json.loads(self.cli("gallery", "status", NAME, "--json", env=self.env).out)
        return {one["region"]: (one["state"], one["usable"]) for one in found[0]["regions"]}

    def file(self, name: str) -> bytes:
        return self.os_disk.with_name(name).read_bytes()


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="goldsmith-test-", dir="/dev/shm"))
    assert folder.stat().st_dev != tmp_path.stat().st_dev
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with s3_server(tmp_path_factory.mktemp("s3")) as found:
        yield found


def test_a_bucket(lab: Lab, s3: S3) -> None:
    lab.put(eastus=s3.region("bucket"))
    said = lab.run("version", "regions", NAME, "--add", "eastus=2")
    assert "2 replicas made" in said
    assert "S3_SECRET" not in said and SECRET not in said
    objects = s3.objects()
    prefix = f"bucket/{BELOW}"
    assert sorted(key for key in objects if key.startswith("bucket/")) == [
        *("bucket/.goldsmith-place.json", f"{prefix}/os-2-lun0.vhd", f"{prefix}/os-2.vhd"),
        *(f"{prefix}/os-lun0.vhd", f"{prefix}/os.vhd"),
    ]
    for name in ("os.vhd", "os-2.vhd"):
        assert s3.content(f"{prefix}/{name}") == lab.file("os.vhd")
    assert s3.content(f"{prefix}/os-2-lun0.vhd") == lab.file("os-lun0.vhd")
    assert lab.states() == {"westus": ("Completed", True), "eastus": ("Completed", True)}
    assert "3 sound" in lab.run("verify", NAME)

    rotten = bytearray(lab.file("os.vhd"))
    rotten[MIB + 7] ^= 1
    s3.put(f"{prefix}/os.vhd", bytes(rotten))
    assert "content of s3://golden" in lab.run("verify", NAME, code=1)
    assert lab.states()["eastus"] == ("Failed", True)
    assert "1 replicas made" in lab.run("replicate", NAME)
    assert s3.content(f"{prefix}/os.vhd") == lab.file("os.vhd")

    lab.run("version", "delete", NAME, "--yes")
    assert [key for key in s3.objects() if key.startswith(prefix)] == []


def test_a_wrong_key_fails_its_region_only(lab: Lab, s3: S3, elsewhere: Path) -> None:
    wrong: Any = s3.region("other")
    wrong["options"]["endpoint_url"] = "http://127.0.0.1:9"
    wrong["options"]["config_kwargs"] = {"retries": {"max_attempts": 0}, "connect_timeout": 2}
    lab.put(eastus=wrong, north=str(elsewhere))
    words = ("version", "regions", NAME, "--add", "eastus", "--add", "north")
    said = lab.run(*words, code=5)
    assert "The place of region eastus cannot be reached" in said
    assert SECRET not in said
    assert lab.states() == {
        "westus": ("Completed", True),
        "eastus": ("Failed", False),
        "north": ("Completed", True),
    }
    lab.run("version", "delete", NAME, "--yes", code=3)
    assert (elsewhere / BELOW / "os.vhd").exists(), "nothing is gone when one place cannot be reached"
    assert "s3://golden/other" in lab.run("version", "delete", NAME, "--yes", "--force")
    assert not (elsewhere / "team").exists()


def test_what_nothing_names_is_pruned(lab: Lab, s3: S3) -> None:
    lab.put(eastus=s3.region("pruned"))
    lab.run("version", "regions", NAME, "--add", "eastus")
    s3.put("pruned/team/web/0.9.0/os.vhd", b"left by a version that was deleted by force")
    s3.put("pruned/notes.txt", b"not ours")
    said = lab.run("replicate", "--prune")
    assert said.splitlines() == ["Removed s3://golden/pruned/team/web/0.9.0/os.vhd"]
    assert "pruned/notes.txt" in s3.objects() and f"pruned/{BELOW}/os.vhd" in s3.objects()


def test_another_registry_is_refused(lab: Lab, s3: S3, tmp_path: Path) -> None:
    other = Lab(tmp_path / "other")
    for one, code in ((lab, 0), (other, 5)):
        one.put(eastus=s3.region("shared"))
        said = one.run("version", "regions", NAME, "--add", "eastus", code=code)
    assert "holds the replicas of another registry" in said
    assert "another registry" in other.run("regions")


def test_an_upload_that_is_killed_is_sent_again(tmp_path: Path, s3: S3) -> None:
    lab = Lab(tmp_path, 192 * MIB)
    lab.put(eastus=s3.region("killed"))
    lab.run("version", "regions", NAME, "--add", "eastus", "--no-wait")
    kill_when(lab, lambda: bool(s3.client.list_multipart_uploads(Bucket="golden").get("Uploads")))
    assert f"killed/{BELOW}/os.vhd" not in s3.objects()
    assert lab.states()["eastus"] == ("Replicating", False)
    assert "1 replicas made" in lab.run("replicate", "--all")
    assert s3.content(f"killed/{BELOW}/os.vhd") == lab.file("os.vhd")


def test_azure_storage(lab: Lab, azurite: Azurite) -> None:
    options = {
        "account_name": ACCOUNT,
        "account_key": {"env": "TEST_AZURE_KEY"},
        "account_host": f"127.0.0.1:{azurite.port}",
        "connection_string": (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint={azurite.service};"
        ),
    }
    lab.put(eastus={"url": f"az://{CONTAINER}/regions", "options": options})
    said = lab.run("version", "regions", NAME, "--add", "eastus=2")
    assert KEY not in said
    for name in ("os.vhd", "os-2.vhd"):
        content = azurite.blob(f"regions/{BELOW}/{name}").download_blob().readall()
        assert content == lab.file("os.vhd")
    assert "3 sound" in lab.run("verify", NAME)
    lab.run("version", "regions", NAME, "--remove", "eastus")
    assert [name for name in azurite.names() if name.startswith(f"regions/{BELOW}")] == []


def kill_when(lab: Lab, ready: Any) -> None:
    """Start `gallery replicate --all` and kill it at that moment."""
    child = subprocess.Popen(
        [*lab.cli.argv, "gallery", "replicate", "--all", "--jobs", "1"],
        env={**lab.cli.env, **lab.env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 120
        while not ready():
            assert child.poll() is None, "it was too quick to be killed"
            assert time.monotonic() < end
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(30)


def test_a_killed_process_is_gone_on_with_where_it_stopped(tmp_path: Path, elsewhere: Path) -> None:
    lab = Lab(tmp_path, 2048 * MIB)
    lab.put(eastus=str(elsewhere))
    lab.run("version", "regions", NAME, "--add", "eastus", "--no-wait")
    part = elsewhere / BELOW / ".os.vhd.part"
    there = 0

    def half() -> bool:
        nonlocal there
        there = part.stat().st_blocks * 512 if part.exists() else 0
        return there > 40 * MIB

    kill_when(lab, half)
    there = part.stat().st_blocks * 512
    total = lab.os_disk.stat().st_blocks * 512
    assert there < total, "it was whole already"
    assert lab.states()["eastus"] == ("Replicating", False)
    made = json.loads(lab.run("replicate", "--all", "--json"))
    assert made["failed"] == []
    assert made["bytesCopied"] <= total - there + 2 * MIB, "bytes were sent twice"
    assert (elsewhere / BELOW / "os.vhd").stat().st_blocks * 512 <= total + MIB
    assert lab.states()["eastus"] == ("Completed", True)
    assert content_digest(elsewhere / BELOW / "os.vhd", lab.size) == content_digest(lab.os_disk, lab.size)


def test_a_full_file_system_leaves_the_others(lab: Lab, elsewhere: Path) -> None:
    small = elsewhere / "small"
    small.mkdir()
    (elsewhere / "large").mkdir()
    root = os.geteuid() == 0
    if root:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small], check=True, timeout=30)
    else:
        small.chmod(0o555)
    try:
        lab.put(eastus=str(small), north=str(elsewhere / "large"))
        said = lab.run("version", "regions", NAME, "--add", "eastus", "--add", "north=2", code=5)
        assert ("No space left" if root else "Permission denied") in said
        assert lab.states()["eastus"] == ("Failed", False)
        assert lab.states()["north"] == ("Completed", True)
        if root:
            subprocess.run(["mount", "-o", "remount,size=64m", small], check=True, timeout=30)
        else:
            small.chmod(0o755)
        assert "1 replicas made" in lab.run("replicate", NAME)
        assert (small / BELOW / "os.vhd").read_bytes() == lab.file("os.vhd")
    finally:
        if root:
            subprocess.run(["umount", small], check=True, timeout=30)
    if root:  # nothing is mounted there now
        assert "is not what it was" in lab.run("regions")
        assert "1 could not be read" in lab.run("verify", NAME, code=3)
        assert lab.states()["eastus"] == ("Completed", True)


def test_bit_rot_is_found_and_repaired(lab: Lab, elsewhere: Path) -> None:
    lab.put(eastus=str(elsewhere))
    lab.run("version", "regions", NAME, "--add", "eastus", "--set", "westus=2")
    with lab.os_disk.open("r+b") as file:  # and so in its second name
        file.seek(MIB + 5)
        byte = file.read(1)[0]
        file.seek(MIB + 5)
        file.write(bytes([byte ^ 16]))
    said = lab.run("verify", "--all", code=1)
    assert "1 sound, 2 damaged" in said
    assert lab.states() == {"westus": ("Failed", False), "eastus": ("Completed", True)}
    assert "2 damaged" in lab.run("verify", "--all", code=1), "still"
    assert "2 made anew" in lab.run("verify", "--all", "--repair")
    assert lab.states()["westus"] == ("Completed", True)
    assert lab.file("os.vhd") == (elsewhere / BELOW / "os.vhd").read_bytes()
    assert lab.os_disk.stat().st_ino == lab.os_disk.with_name("os-2.vhd").stat().st_ino
    (elsewhere / BELOW / "os.vhd").unlink()
    assert "1 made anew" in lab.run("verify", "team/web", "--repair")
    assert lab.file("os.vhd") == (elsewhere / BELOW / "os.vhd").read_bytes()
