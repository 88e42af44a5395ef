"""`build images upload` as a person runs it, stopped and killed on the way, against a real Azurite."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from azurite import KEY, Azurite, Proxy, environment, proxy_to
from blob_disk import MIB, noise, sparse_vhd
from harness import Cli
from stall import under_way

from builder.blob.note import Note
from builder.gc import GcReport, collect
from builder.journal import Entry, reap
from builder.settings import Home

BYTES = 12 * MIB + 512
SIZE = 48 * MIB
UPLOAD = ("images", "upload", "--no-gate")


@pytest.fixture(scope="module")
def vhd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = {at * MIB: noise(2 * MIB, at) for at in range(0, 48, 8)}
    return sparse_vhd(tmp_path_factory.mktemp("vhd") / "web.vhd", SIZE, data)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return f"{request.node.name}.vhd"


@pytest.fixture
def proxied(azurite: Azurite) -> Iterator[tuple[Proxy, Azurite]]:
    with proxy_to(azurite) as pair:
        yield pair


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    for key, value in environment().items():
        monkeypatch.setenv(key, value)
    return Cli(tmp_path / "home", tmp_path)


def kill(child: subprocess.Popen[str]) -> None:
    os.kill(child.pid, signal.SIGKILL)
    child.wait(30)


def notes(command: Cli) -> list[Path]:
    return sorted((command.home / "uploads").glob("*"))


def test_a_killed_upload_goes_on_where_it_stopped(
    command: Cli, proxied: tuple[Proxy, Azurite], vhd: Path, name: str
) -> None:
    """Its lease does not stand in the way: the id is in the note."""
    proxy, azurite = proxied
    with under_way(command, proxy, *UPLOAD, vhd, azurite.url(name)) as (child, _):
        kill(child)
    left = azurite.blob(name).get_blob_properties()
    assert (left.lease.state, left.metadata["goldsmith_state"]) == ("leased", "uploading")
    assert azurite.blob(name).download_blob(offset=SIZE, length=512).readall() == bytes(512)
    proxy.sent = 0
    result = command("images", "upload", "--no-gate", vhd, azurite.url(name), "--json")
    assert result.code == 0, result.text
    (done,) = result.json()["uploaded"]  # type: ignore[index, call-overload]
    assert done["resumed"] >= 2 * MIB and done["sent"] == BYTES - done["resumed"]
    assert proxy.sent < done["sent"] + 64 * 1024
    assert azurite.blob(name).download_blob().readall() == vhd.read_bytes()
    assert [path for path in notes(command) if path.suffix != ".lock"] == []


def test_gc_takes_away_what_a_killed_upload_left(
    command: Cli, proxied: tuple[Proxy, Azurite], vhd: Path, name: str
) -> None:
    proxy, azurite = proxied
    with under_way(command, proxy, *UPLOAD, vhd, azurite.url(name)) as (child, _):
        assert gc(command).removed == []  # it lives
        kill(child)
    assert [item.name for item in gc(command, dry_run=True).removed] == [azurite.url(name)]
    assert name in azurite.names()
    assert [item.kind for item in gc(command).removed] == ["blob"]
    assert name not in azurite.names()
    assert notes(command) == [] and gc(command).removed == []


def gc(command: Cli, *, dry_run: bool = False) -> GcReport:
    report = collect(Home(command.home), None, dry_run=dry_run)
    assert report.left == []
    return report


def test_where_gc_cannot_sign_in_it_says_so_until_the_time_is_over(
    command: Cli, proxied: tuple[Proxy, Azurite], vhd: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, azurite = proxied
    with under_way(command, proxy, *UPLOAD, vhd, azurite.url(name)) as (child, _):
        kill(child)
    monkeypatch.delenv("AZURE_STORAGE_KEY")
    result = command("gc")
    assert (
        result.code == 1 and "the unfinished blob is still there: There is nothing to sign in" in result.err
    )
    report = collect(Home(command.home), None, keep_days=0)
    assert "az storage blob delete" in report.removed[0].reason
    assert notes(command) == []


def test_a_stopped_upload_leaves_nothing(
    command: Cli, proxied: tuple[Proxy, Azurite], vhd: Path, name: str
) -> None:
    proxy, azurite = proxied
    with under_way(command, proxy, *UPLOAD, vhd, azurite.url(name)) as (child, stall):
        os.kill(child.pid, signal.SIGINT)
        stall.release()
        out = child.communicate(timeout=60)[0]
        assert child.returncode == 130, out
    assert name not in azurite.names()
    assert notes(command) == []


def test_two_uploads_to_one_blob(command: Cli, proxied: tuple[Proxy, Azurite], vhd: Path, name: str) -> None:
    proxy, azurite = proxied
    with under_way(command, proxy, *UPLOAD, vhd, azurite.url(name)) as (child, stall):
        # Past the proxy: the first one's requests fill it.
        note = Note.of(Home(command.home), azurite.url(name))
        assert not note.lock.try_acquire()
        stall.release()
        assert child.wait(60) == 0
    assert azurite.blob(name).download_blob().readall() == vhd.read_bytes()


def test_what_the_command_says(command: Cli, azurite: Azurite, vhd: Path, name: str) -> None:
    token = azurite.sas(name)
    result = command("images", "upload", "--no-gate", vhd, f"{azurite.url(name)}?{token}", "--plain")
    assert result.code == 0, result.text
    assert f"{azurite.url(name)}  48.0 MiB virtual, 12.0 MiB stored, 12.0 MiB sent" in result.out
    assert token not in result.text and "sig=" not in result.text
    wrong = command(
        "images", "upload", vhd, f"{azurite.url(name)}?{token.replace('sig=', 'sig=AA')}", "--json"
    )
    assert wrong.code == 3
    assert json.loads(wrong.err)["error"]["code"] == "UploadRefused"
    assert "sig=" not in wrong.text and KEY not in wrong.text
    offline = command("images", "upload", vhd, azurite.url(name), env={"GOLDSMITH_OFFLINE": "true"})
    assert offline.code == 2 and "offline nothing is uploaded" in offline.err
    refused = command("images", "upload", vhd, azurite.url(f"other-{name}"), "--json")
    assert refused.code == 1 and json.loads(refused.err)["error"]["code"] == "GateFailed", refused.text
    assert f"other-{name}" not in azurite.names()
    no_vhd = command("images", "upload", __file__, azurite.url(name))
    assert no_vhd.code == 1 and "is not a VHD" in no_vhd.err


def test_the_journal_leaves_a_blob_to_its_note() -> None:
    entry = Entry("blob", "blob:1", {"url": "http://127.0.0.1/a/b/c.vhd", "note": "/home/uploads/1.jsonl"})
    assert [done.outcome for done in reap([entry], roots=[])] == ["gone"]


def test_where_nobody_is_signed_in_it_says_how(
    command: Cli, vhd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """azure-identity itself, which finds no login on a machine of the tests."""
    for key in [key for key in os.environ if key.startswith("AZURE_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("HOME", str(command.cwd))
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    result = command("images", "upload", vhd, "https://127.0.0.1:1/acct/vhds/web.vhd")
    assert result.code == 3
    assert "no login of Azure's here" in result.err and "az login" in result.err
