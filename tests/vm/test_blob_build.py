"""A whole build whose VHD goes to Azurite; stopped, killed and gone on with at its last stage."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from azurite import Azurite, Proxy, environment, proxy_to
from blob_disk import MIB
from harness import EXAMPLES, Cli, CliResult, Quickstart, assert_nothing_left
from stall import under_way

from builder.blob.note import notes
from builder.disk.extents import data_extents
from builder.settings import Home

pytestmark = pytest.mark.timeout(3000)


class Build:
    """One template, built again and again, of which only the targets change."""

    def __init__(self, cli: Cli, azurite: Azurite) -> None:
        self.cli = cli
        self.out = cli.cwd / "blob-out"
        self.azurite = azurite

    def template(self, uri: str) -> Path:
        """The quickstart with other targets: the image of that build is taken, and nothing boots."""
        folder = self.cli.cwd / "to-a-blob"
        shutil.copytree(EXAMPLES / "quickstart", folder, dirs_exist_ok=True)
        content = json.loads((folder / "template.json").read_text())
        (image,) = (one for one in content["resources"] if "customize" in one["properties"])
        image["name"] = "to-a-blob"
        image["properties"]["distribute"] = [
            {"type": "VHD", "runOutputName": "there", "uri": uri},
            {"type": "VHD", "runOutputName": "here"},
        ]
        path = folder / "to-a-blob.json"
        path.write_text(json.dumps(content))
        return path

    def words(self, uri: str) -> list[str | Path]:
        return [self.template(uri), "--output-dir", self.out, "--plain"]

    def __call__(self, uri: str) -> CliResult:
        return self.cli(*self.words(uri), env={**environment(), "AZURE_STORAGE_CONNECTION_STRING": ""})

    def record(self) -> dict[str, Any]:
        latest = sorted((self.cli.home / "runs").iterdir())[-1]
        record: dict[str, Any] = json.loads((latest / "run.json").read_text())
        return record

    def assert_same(self, name: str) -> None:
        """The blob is the VHD that the other target made: its pages, and nothing but holes elsewhere. The
        digest of what a hole hides is not asked: that are zeros in both.
        """
        blob = self.azurite.blob(name)
        pages = [(one.start, one.end + 1) for one in blob.list_page_ranges()]
        with (self.out / "here.vhd").open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            extents = list(data_extents(file.fileno(), size))
            assert blob.get_blob_properties().size == size
            for start, end in extents:
                for at in range(start, end, 4 * MIB):
                    length = min(4 * MIB, end - at)
                    assert blob.download_blob(offset=at, length=length).readall() == os.pread(
                        file.fileno(), length, at
                    )
        assert sum(end - start for start, end in pages) <= sum(end - start for start, end in extents)


@pytest.fixture(scope="module")
def build(cli: Cli, azurite: Azurite) -> Build:
    made = Build(cli, azurite)
    made.out.mkdir(exist_ok=True)
    return made


@pytest.fixture(scope="module")
def first(build: Build, azurite: Azurite, quickstart: Quickstart) -> CliResult:
    """With the SAS token of the one blob in the template."""
    result = build(f"{azurite.url('first.vhd')}?{azurite.sas('first.vhd')}")
    assert result.code == 0, result.text
    return result


def test_the_image_is_in_the_account(build: Build, first: CliResult, azurite: Azurite) -> None:
    assert "in the finished image" in first.out
    build.assert_same("first.vhd")
    there, here = build.record()["runOutputs"]
    assert (there["artifactUri"], there["path"]) == (azurite.url("first.vhd"), "")
    assert here["path"] == str(build.out / "here.vhd")
    assert there["sizeOnDisk"] < there["size"]
    assert f"made there (VHD): {azurite.url('first.vhd')}" in first.out
    assert "VHD gate" in first.out  # it left this machine
    assert_nothing_left(build.cli.home)
    assert notes(Home(build.cli.home)) == []


def test_the_token_is_nowhere(build: Build, first: CliResult) -> None:
    assert "sig=" not in first.text
    for path in (build.cli.home / "runs").rglob("*"):
        assert path.is_dir() or b"sig=" not in path.read_bytes(), path
    inspected = build.cli("inspect", build.template("https://a.example/v/x.vhd?sp=rcwd&sig=c2VjcmV0"))
    assert inspected.code == 0 and "c2VjcmV0" not in inspected.text


def test_the_same_image_is_not_sent_again(build: Build, first: CliResult, azurite: Azurite) -> None:
    begun = time.monotonic()
    again = build(azurite.url("first.vhd"))
    assert again.code == 0, again.text
    assert f"{azurite.url('first.vhd')} is this image already; nothing was sent" in again.out
    assert time.monotonic() - begun < 120


def test_a_build_that_is_stopped_takes_its_blob_with_it(
    build: Build, first: CliResult, azurite: Azurite
) -> None:
    with proxy_to(azurite) as (proxy, through), started(build, proxy, through.url("stopped.vhd")) as running:
        child, stall = running
        os.kill(child.pid, signal.SIGINT)
        stall.release()
        out = child.communicate(timeout=120)[0]
        assert child.returncode == 130, out
    assert "stopped.vhd" not in azurite.names()
    assert_nothing_left(build.cli.home)
    assert notes(Home(build.cli.home)) == []


def test_a_build_that_is_killed_is_gone_on_with(build: Build, first: CliResult, azurite: Azurite) -> None:
    with proxy_to(azurite) as (proxy, through):
        with started(build, proxy, through.url("killed.vhd")) as (child, _):
            os.kill(child.pid, signal.SIGKILL)
            child.wait(30)
        assert len(notes(Home(build.cli.home))) == 1
        result = build(through.url("killed.vhd"))
        assert result.code == 0, result.text
        assert "were there of an earlier attempt" in result.out
    build.assert_same("killed.vhd")
    assert notes(Home(build.cli.home)) == []
    assert_nothing_left(build.cli.home)


def started(build: Build, proxy: Proxy, uri: str):
    command = Cli(build.cli.home, build.cli.cwd)
    for name, value in environment().items():
        os.environ[name] = value
    return under_way(command, proxy, *build.words(uri))


def test_what_is_wrong_is_said_before_anything_boots(
    build: Build, first: CliResult, azurite: Azurite
) -> None:
    result = build(azurite.url("a.vhd", "none-such"))
    assert result.code == 2
    assert "The container 'none-such' does not exist" in result.text
    planned = build.cli("plan", build.template(azurite.url("a.vhd")), env=environment())
    assert planned.code == 0 and f"VHD {azurite.url('a.vhd')}" in planned.out
    offline = build.cli("plan", "--offline", build.template(azurite.url("a.vhd")), env=environment())
    assert "offline nothing is uploaded" in offline.text
