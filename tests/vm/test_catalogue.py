"""The command with a real web server and a real signature: a team's catalogue and its image."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Cli
from test_checksums import Gpg
from web import Page, Web, web_server

from builder.process import run

URN = "Acme:os:1"


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    with tempfile.TemporaryDirectory(prefix="gpg-") as folder:
        yield (made := Gpg(Path(folder, "k"), "acme"))
        run(["gpgconf", "--homedir", made.home, "--kill", "all"], timeout=60)


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as server:
        yield server


@pytest.fixture
def own(tmp_path: Path) -> Cli:
    (tmp_path / "work").mkdir()
    return Cli(tmp_path / "home", tmp_path / "work")


def disk(folder: Path, mib: int) -> bytes:
    file = folder / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", file, f"{mib}M"], check=True)
    return file.read_bytes()


def publish(web: Web, gpg: Gpg, data: bytes, *, etag: str = '"one"') -> str:
    """The image, the publisher's list of checksums and its signature; returns the digest."""
    digest = hashlib.sha256(data).hexdigest()
    sums = f"{digest} *disk one.qcow2\n".encode()
    web.pages["/disk%20one.qcow2"] = Page(data, etag=etag)
    web.pages["/SHA256SUMS"] = Page(sums, etag=etag)
    web.pages["/SHA256SUMS.gpg"] = Page(gpg.sign("--detach-sign", sums), etag=etag)
    return digest


def catalogue(web: Web, gpg: Gpg) -> bytes:
    sums = {
        "url": f"{web.url}/SHA256SUMS", "style": "detached",
        "signatureUrl": f"{web.url}/SHA256SUMS.gpg", "keyring": str(gpg.keyring),
    }  # fmt: skip
    recipe = {
        "kind": "download", "url": f"{web.url}/gone/disk%20one.qcow2", "format": "qcow2",
        "mirrors": [f"{web.url}/disk%20one.qcow2"], "sums": sums,
    }  # fmt: skip
    image = {"publisher": "Acme", "offer": "os", "sku": "1", "versions": {"1.0.0": recipe}}
    return json.dumps({"format": 1, "images": [image]}).encode()


def test_a_teams_image_comes_from_a_mirror_and_is_proved_by_its_publisher(
    web: Web, gpg: Gpg, own: Cli, tmp_path: Path
) -> None:
    digest = publish(web, gpg, disk(tmp_path, 64))
    web.pages["/team.json"] = Page(catalogue(web, gpg))
    added = own("marketplace", "add", f"{web.url}/team.json?token=secret")
    assert added.code == 0, added.text
    assert "Added 'team': 1 image." in added.out
    first = own("marketplace", "fetch", URN, "--json")
    assert first.code == 0, first.text
    facts = json.loads(first.out)
    assert (facts["wasHere"], facts["size"]) == (False, 64 * 1024**2)
    assert facts["frozen"].endswith(f", sha256:{digest}")
    assert [status for _, status in web.requests("/gone/disk%20one.qcow2")] == [404]
    # Frozen: what the publisher puts there later is not fetched by the way.
    publish(web, gpg, disk(tmp_path, 65), etag='"two"')
    asked = len(web.log)
    again = json.loads(own("marketplace", "fetch", URN, "--json").out)
    assert (again["wasHere"], again["identity"]) == (True, facts["identity"])
    assert len(web.log) == asked
    newer = json.loads(own("marketplace", "fetch", URN, "--again", "--json").out)
    assert (newer["wasHere"], newer["size"]) == (False, 65 * 1024**2)
    assert newer["identity"] != facts["identity"]
    shown = own("marketplace", "catalogues").out
    assert f"{web.url}/team.json" in shown
    assert "secret" not in shown
    assert [path.name for path in (own.home / "cache/downloads").glob("*.part")] == []


def test_what_the_publisher_did_not_sign_never_becomes_a_base(
    web: Web, gpg: Gpg, own: Cli, tmp_path: Path
) -> None:
    publish(web, gpg, disk(tmp_path, 64))
    web.pages["/SHA256SUMS"].data = web.pages["/SHA256SUMS"].data.replace(b"disk", b"risk")
    web.pages["/team.json"] = Page(catalogue(web, gpg))
    assert own("marketplace", "add", f"{web.url}/team.json").code == 0
    refused = own("marketplace", "fetch", URN)
    assert refused.code == 2, refused.text
    assert "it was changed" in refused.err
    assert web.requests("/disk%20one.qcow2") == []
    assert [path.name for path in (own.home / "cache/bases").iterdir() if path.name.endswith(".tmp")] == []


def test_offline_is_said_at_once(web: Web, gpg: Gpg, own: Cli) -> None:
    web.pages["/team.json"] = Page(catalogue(web, gpg))
    assert own("marketplace", "add", f"{web.url}/team.json").code == 0
    refused = own("marketplace", "fetch", URN, env={"GOLDSMITH_OFFLINE": "true"})
    assert refused.code == 2, refused.text
    assert "offline nothing is fetched" in refused.err
    assert web.requests("/SHA256SUMS") == []


def test_a_team_catalogue_that_cannot_be_had_stays_as_it_was(web: Web, gpg: Gpg, own: Cli) -> None:
    web.pages["/team.json"] = Page(catalogue(web, gpg))
    assert own("marketplace", "add", f"{web.url}/team.json").code == 0
    web.pages["/team.json"] = Page(b"<html>gone</html>", etag='"two"')
    refused = own("marketplace", "update", "team")
    assert refused.code == 2
    assert f"{web.url}/team.json:1:1" in refused.err
    del web.pages["/team.json"]
    assert own("marketplace", "update").code == 2
    assert own("marketplace", "show", URN).code == 0


def test_a_compressed_disk_of_another_format_is_unpacked_and_converted_once(
    web: Web, own: Cli, tmp_path: Path
) -> None:
    plain = tmp_path / "disk.vhdx"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vhdx", plain, "64M"], check=True)
    packed = gzip.compress(plain.read_bytes())
    web.pages["/disk.vhdx.gz"] = Page(packed)
    digest = hashlib.sha256(packed).hexdigest()
    recipe = {"kind": "download", "url": f"{web.url}/disk.vhdx.gz", "sha256": digest}
    image = {"publisher": "Acme", "offer": "os", "sku": "1", "versions": {"1.0.0": recipe}}
    own.home.mkdir()
    (own.home / "catalogue.json").write_text(json.dumps({"format": 1, "images": [image]}))
    done = own("marketplace", "fetch", URN, "--json")
    assert done.code == 0, done.text
    facts = json.loads(done.out)
    disk = Path(facts["path"])
    assert (disk.name, facts["size"], facts["frozen"]) == ("disk.qcow2", 64 * 1024**2, "")
    assert sorted(file.name for file in disk.parent.iterdir()) == ["disk.qcow2", "meta.json"]
    assert [file for file in (own.home / "cache/downloads").iterdir() if file.stat().st_size > 4096] == []
    assert json.loads(own("marketplace", "fetch", URN, "--json").out)["wasHere"]
    assert len(web.log) == len(web.requests("/disk.vhdx.gz"))
