"""VHDs to a real Azurite: what is sent, what is found there before, what goes wrong on the way."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from azurite import CONTAINER, KEY, Azurite, Proxy, environment, proxy_to
from blob_disk import MIB, noise, sparse_vhd

from builder.blob import client as client_module
from builder.blob import lease
from builder.blob.errors import UploadError, UploadRefused
from builder.blob.note import Note
from builder.blob.upload import Uploaded
from builder.deadline import Deadline
from builder.disk.extents import content_digest
from builder.distributors.base import ExpectedImage, FinishedDataDisk, FinishedImage
from builder.distributors.blob_vhd import BlobVhdDistributor
from builder.errors import BuildTimeoutError, ConflictError, InUseError, NotFoundError
from builder.events import Event, EventBus, WaitProgress
from builder.redact import Redactor
from builder.services import Services
from builder.settings import Home, Settings
from templates.model.distribute import VhdDistributor as Model

DATA = {0: noise(700, 1), 9 * MIB: noise(9 * MIB + 4096, 2), 60 * MIB: noise(MIB, 3)}
BYTES = 4096 + 9 * MIB + 4096 + MIB + 512  # 700 bytes are a block of the file system; and the footer
SIZE = 64 * MIB
LINUX = ExpectedImage("Linux", "V2", SIZE)


@dataclass
class Machine:
    """One home, and what it says while it uploads."""

    folder: Path
    settings: Settings = field(default_factory=Settings)
    seconds: float = 120
    keep: bool = False
    said: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "home" / "cache").mkdir(parents=True, exist_ok=True)
        self.home = Home(self.folder / "home")

    def target(self, uri: str, name: str = "web") -> BlobVhdDistributor:
        redactor = Redactor()
        bus = EventBus(redactor)
        bus.add_sink(lambda envelope: self.said.append(envelope.event))
        services = Services(
            self.home, self.settings, bus, redactor, Deadline(self.seconds), self.folder, self.folder,
            run_id="run-1", keep_unfinished=self.keep,
        )  # fmt: skip
        return BlobVhdDistributor(Model(type="VHD", run_output_name=name, uri=uri), services)

    def upload(self, vhd: Path, uri: str, *disks: Path) -> Uploaded:
        """What a build does with it: look first, then upload. Returns how the OS disk went."""
        self.said.clear()
        target = self.target(uri)
        target.preflight(LINUX)
        done: list[Uploaded] = []
        real = target._upload
        target._upload = lambda *words: done.append(real(*words)) or done[-1]  # type: ignore[method-assign, func-returns-value]
        target.distribute(finished(vhd, *disks))
        return done[-1]

    @property
    def notes(self) -> list[str]:
        uploads = self.home.uploads
        return sorted(path.name for path in uploads.iterdir()) if uploads.exists() else []


def finished(vhd: Path, *disks: Path) -> FinishedImage:
    size = vhd.stat().st_size - 512
    beside = tuple(
        FinishedDataDisk(lun, disk, size, partial(content_digest, disk, size))
        for lun, disk in enumerate(disks)
    )
    digest_of = partial(content_digest, vhd, size)
    return FinishedImage(vhd, size, "Linux", "V2", digest_of, "debian", "web", "run-1", data_disks=beside)


@pytest.fixture(autouse=True)
def signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_SAS_TOKEN", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(client_module, "_FIRST_PAUSE", 0.02)
    monkeypatch.setattr(client_module, "_LONGEST_PAUSE", 0.1)


@pytest.fixture(scope="module")
def vhd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sparse_vhd(tmp_path_factory.mktemp("vhd") / "web.vhd", SIZE, DATA)


@pytest.fixture(scope="module")
def other_vhd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of another size and content."""
    return sparse_vhd(tmp_path_factory.mktemp("vhd") / "other.vhd", 16 * MIB, {MIB: noise(MIB, 7)})


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A blob of its own for each test."""
    return f"{request.node.name.replace('[', '-').strip(']')}.vhd"


@pytest.fixture
def proxied(azurite: Azurite) -> Iterator[tuple[Proxy, Azurite]]:
    with proxy_to(azurite) as pair:
        yield pair


def assert_whole(azurite: Azurite, name: str, vhd: Path) -> None:
    """The blob is the file, nobody holds it, and nothing else of it is left."""
    blob = azurite.blob(name)
    assert blob.download_blob().readall() == vhd.read_bytes()
    properties = blob.get_blob_properties()
    assert properties.metadata["goldsmith_state"] == "complete"
    assert properties.lease.state == "available"
    assert f"{name}@" not in azurite.names()


def test_only_data_is_sent_and_the_second_time_nothing(
    machine: Machine, proxied: tuple[Proxy, Azurite], vhd: Path, name: str
) -> None:
    proxy, azurite = proxied
    done = machine.upload(vhd, azurite.url(name))
    assert (done.sent, done.stored, done.size, done.present) == (BYTES, BYTES, SIZE, False)
    assert BYTES < proxy.sent < BYTES + 64 * 1024
    assert_whole(azurite, name, vhd)
    pages = [(one.start, one.end + 1) for one in azurite.blob(name).list_page_ranges()]
    assert sum(end - start for start, end in pages) == BYTES
    progress = [event for event in machine.said if isinstance(event, WaitProgress)]
    assert (progress[-1].done, progress[-1].total) == (BYTES - 512, BYTES - 512)
    assert "64.0 MiB virtual" in progress[-1].what
    before = proxy.sent
    again = machine.upload(vhd, azurite.url(name))
    assert again.present and again.stored == BYTES
    assert proxy.sent - before < 16 * 1024
    # Another machine has nothing but the blob itself to go by.
    elsewhere = Machine(machine.folder / "elsewhere")
    assert elsewhere.upload(vhd, azurite.url(name)).present
    assert machine.notes == elsewhere.notes == []


def test_what_somebody_changed_since_is_sent_again(
    machine: Machine, azurite: Azurite, vhd: Path, name: str
) -> None:
    machine.upload(vhd, azurite.url(name))
    azurite.blob(name).upload_page(noise(512, 9), 9 * MIB, 512)
    assert machine.upload(vhd, azurite.url(name)).sent == BYTES
    assert_whole(azurite, name, vhd)
    azurite.blob(name).upload_page(noise(512, 9), 30 * MIB, 512)
    elsewhere = Machine(machine.folder / "elsewhere")
    assert elsewhere.upload(vhd, azurite.url(name)).sent == BYTES
    assert_whole(azurite, name, vhd)


def test_each_request_carries_the_md5_of_its_bytes(
    machine: Machine, proxied: tuple[Proxy, Azurite], vhd: Path, name: str
) -> None:
    proxy, azurite = proxied
    heads: list[bytes] = []

    def look(data: bytes, _before: int) -> bytes:
        if data.startswith(b"PUT ") and b"comp=page" in data.split(b"\r\n", 1)[0]:
            heads.append(data.split(b"\r\n\r\n", 1)[0].lower())
        return data

    proxy.on_data = look
    done = machine.upload(vhd, azurite.url(name))
    assert len(heads) == done.requests == 6
    assert all(b"\r\ncontent-md5: " in head and b"\r\nx-ms-lease-id: " in head for head in heads)


def test_dropped_connections_cost_only_their_piece(
    machine: Machine, proxied: tuple[Proxy, Azurite], vhd: Path, name: str
) -> None:
    proxy, azurite = proxied
    marks = [2 * MIB, 3 * MIB, 6 * MIB, 7 * MIB, 9 * MIB]

    def drop(data: bytes, before: int) -> bytes | None:
        if marks and before > marks[0]:
            marks.pop(0)
            return None
        return data

    proxy.on_data = drop
    machine.upload(vhd, azurite.url(name))
    assert proxy.drops == 5
    assert proxy.sent < BYTES + 5 * 4 * MIB + 64 * 1024
    assert_whole(azurite, name, vhd)


def test_a_network_that_is_gone_is_said_and_the_rest_is_sent_later(
    machine: Machine, proxied: tuple[Proxy, Azurite], vhd: Path, name: str
) -> None:
    """Nobody can delete the blob then; a later upload goes on with it."""
    proxy, azurite = proxied

    def cut(data: bytes, before: int) -> bytes | None:
        proxy.refuse = before > 6 * MIB
        return None if proxy.refuse else data

    proxy.on_data = cut
    with pytest.raises(UploadError, match="cannot be reached") as caught:
        machine.upload(vhd, azurite.url(name))
    assert KEY not in str(caught.value.details)
    assert any("is left" in getattr(event, "message", "") for event in machine.said)
    assert azurite.blob(name).get_blob_properties().metadata["goldsmith_state"] == "uploading"
    assert len(machine.notes) == 1
    proxy.refuse, proxy.on_data = False, None
    done = machine.upload(vhd, azurite.url(name))
    assert done.resumed > 0 and done.sent == BYTES - done.resumed
    assert_whole(azurite, name, vhd)
    assert machine.notes == []


def test_an_unfinished_blob_is_no_vhd(
    machine: Machine, proxied: tuple[Proxy, Azurite], vhd: Path, name: str
) -> None:
    proxy, azurite = proxied
    proxy.on_data = lambda data, before: None if before > 6 * MIB else data
    with pytest.raises(UploadError):
        machine.upload(vhd, azurite.url(name))
    tail = azurite.blob(name).download_blob(offset=SIZE, length=512).readall()
    assert tail == bytes(512)


def test_of_what_was_kept_only_the_rest_is_sent(
    machine: Machine, proxied: tuple[Proxy, Azurite], vhd: Path, name: str
) -> None:
    proxy, azurite = proxied
    proxy.on_data = slow(4 * MIB)
    machine.keep, machine.seconds = True, 1.5
    with pytest.raises(BuildTimeoutError):
        machine.upload(vhd, azurite.url(name))
    assert len(machine.notes) == 1
    assert azurite.blob(name).get_blob_properties().lease.state == "available"
    proxy.on_data, machine.seconds = None, 60
    done = machine.upload(vhd, azurite.url(name))
    assert done.resumed >= 4096 and done.sent == BYTES - done.resumed
    assert_whole(azurite, name, vhd)
    assert machine.notes == []


def test_another_image_does_not_go_on_with_what_was_kept(
    machine: Machine, proxied: tuple[Proxy, Azurite], vhd: Path, other_vhd: Path, name: str
) -> None:
    proxy, azurite = proxied
    proxy.on_data = slow(4 * MIB)
    machine.keep, machine.seconds = True, 1.5
    with pytest.raises(BuildTimeoutError):
        machine.upload(vhd, azurite.url(name))
    proxy.on_data, machine.seconds = None, 60
    assert machine.upload(other_vhd, azurite.url(name)).resumed == 0
    assert_whole(azurite, name, other_vhd)
    assert machine.notes == []


def slow(per_second: float):
    """For Proxy.on_data: so many bytes a second, all connections together."""
    begun = time.monotonic()

    def wait(data: bytes, before: int) -> bytes:
        time.sleep(max(0.0, (before + len(data)) / per_second - (time.monotonic() - begun)))
        return data

    return wait


def test_the_time_is_over_and_nothing_is_left(
    machine: Machine, proxied: tuple[Proxy, Azurite], vhd: Path, name: str
) -> None:
    proxy, azurite = proxied
    proxy.on_data = slow(3 * MIB)
    machine.seconds = 1.5
    with pytest.raises(BuildTimeoutError):
        machine.upload(vhd, azurite.url(name))
    assert name not in azurite.names()
    assert machine.notes == []


def test_what_was_there_comes_back_when_the_new_one_fails(
    machine: Machine, proxied: tuple[Proxy, Azurite], vhd: Path, other_vhd: Path, name: str
) -> None:
    proxy, azurite = proxied
    machine.upload(other_vhd, azurite.url(name))
    proxy.on_data, machine.seconds = slow(3 * MIB), 2
    with pytest.raises(BuildTimeoutError):
        machine.upload(vhd, azurite.url(name))
    assert_whole(azurite, name, other_vhd)
    assert machine.notes == []
    proxy.on_data, machine.seconds = None, 60
    assert machine.upload(vhd, azurite.url(name)).replaced
    assert_whole(azurite, name, vhd)


def test_a_vhd_of_somebody_else_is_replaced(
    machine: Machine, azurite: Azurite, vhd: Path, other_vhd: Path, name: str
) -> None:
    from azure.storage.blob import BlobType

    with other_vhd.open("rb") as file:
        size = other_vhd.stat().st_size
        azurite.blob(name).upload_blob(file, blob_type=BlobType.PAGEBLOB, length=size)
    target = machine.target(azurite.url(name))
    assert target.preflight(LINUX) == f"replaces {azurite.url(name)}"
    assert [change.action for change in target.changes()] == ["replace"]
    assert machine.upload(vhd, azurite.url(name)).replaced
    assert_whole(azurite, name, vhd)


@pytest.mark.parametrize("kind", ["BlockBlob", "AppendBlob", "PageBlob"])
def test_what_is_no_vhd_is_never_replaced(machine: Machine, azurite: Azurite, name: str, kind: str) -> None:
    azurite.blob(name).upload_blob(b"notes" + bytes(1024 - 5), blob_type=kind, length=1024)
    with pytest.raises(ConflictError, match="it is not replaced") as caught:
        machine.target(azurite.url(name)).preflight(LINUX)
    assert "another name" in (caught.value.hint or "")
    assert azurite.blob(name).download_blob().readall().startswith(b"notes")


def test_a_blob_that_somebody_holds_is_left_alone(
    machine: Machine, azurite: Azurite, other_vhd: Path, name: str
) -> None:
    machine.upload(other_vhd, azurite.url(name))
    held = azurite.blob(name).acquire_lease()
    with pytest.raises(InUseError, match=r"leased by somebody else \(infinite lease\)") as caught:
        machine.target(azurite.url(name)).preflight(LINUX)
    assert "lease break" in (caught.value.hint or "")
    held.release()
    assert_whole(azurite, name, other_vhd)


def test_a_lease_that_is_broken_meanwhile_ends_it(
    machine: Machine, proxied: tuple[Proxy, Azurite], vhd: Path, name: str
) -> None:
    proxy, azurite = proxied
    taken = threading.Event()

    def take(data: bytes, before: int) -> bytes:
        if before > 5 * MIB and not taken.is_set():
            taken.set()
            from azure.storage.blob import BlobLeaseClient

            BlobLeaseClient(azurite.blob(name)).break_lease(0)
            azurite.blob(name).acquire_lease()
        return data

    proxy.on_data = take
    with pytest.raises(InUseError, match="leased by somebody else"):
        machine.upload(vhd, azurite.url(name))
    assert azurite.blob(name).get_blob_properties().lease.state == "leased"


def test_a_wrong_key_is_refused_before_anything_boots(
    machine: Machine, azurite: Azurite, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = "AAAA" + KEY[4:]
    monkeypatch.setenv("AZURE_STORAGE_KEY", wrong)
    with pytest.raises(UploadRefused, match="signed in with AZURE_STORAGE_KEY") as caught:
        machine.target(azurite.url(name)).preflight(LINUX)
    assert caught.value.exit_code == 3
    assert wrong not in f"{caught.value.details} {caught.value.hint}"


def test_a_wrong_signature_is_refused(machine: Machine, azurite: Azurite, name: str) -> None:
    token = azurite.sas(name).replace("sig=", "sig=AAAA")
    with pytest.raises(UploadRefused, match="the SAS token in the uri") as caught:
        machine.target(f"{azurite.url(name)}?{token}").preflight(LINUX)
    assert "sig=" not in f"{caught.value} {caught.value.details} {caught.value.hint}"


def test_a_token_for_reading_is_refused_by_the_service_too(
    machine: Machine, azurite: Azurite, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builder.blob.address._NEEDED", ())
    with pytest.raises(UploadRefused):
        machine.target(f"{azurite.url(name)}?{azurite.sas(name, 'r')}").preflight(LINUX)


def test_a_token_for_the_one_blob_is_enough_and_is_never_written_down(
    machine: Machine, azurite: Azurite, vhd: Path, other_vhd: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_KEY")
    token = azurite.sas(name)
    for disk in (vhd, other_vhd):
        assert not machine.upload(disk, f"{azurite.url(name)}?{token}").present
        assert "sig=" not in repr(machine.said)
    assert_whole(azurite, name, other_vhd)
    for path in machine.home.root.rglob("*"):
        assert path.is_dir() or b"sig=" not in path.read_bytes()


def test_a_connection_string_signs_in(
    machine: Machine, azurite: Azurite, other_vhd: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_KEY")
    account = f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={KEY}"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"{account};BlobEndpoint={azurite.service};")
    assert machine.upload(other_vhd, azurite.url(name)).sent == MIB + 512


def test_a_container_that_is_missing_is_said_with_the_command(machine: Machine, azurite: Azurite) -> None:
    with pytest.raises(NotFoundError, match="container 'none-such' does not exist") as caught:
        machine.target(azurite.url("a.vhd", "none-such")).preflight(LINUX)
    assert "az storage container create" in (caught.value.hint or "")


def test_data_disks_go_beside_it(
    machine: Machine, azurite: Azurite, vhd: Path, other_vhd: Path, name: str
) -> None:
    machine.upload(vhd, azurite.url(f"{name}.d/"), other_vhd, other_vhd)
    assert_whole(azurite, f"{name}.d/web.vhd", vhd)
    for lun in (0, 1):
        assert_whole(azurite, f"{name}.d/web-lun{lun}.vhd", other_vhd)


def test_bytes_that_changed_on_the_way_are_found_by_reading_back(
    machine: Machine, proxied: tuple[Proxy, Azurite], vhd: Path, name: str
) -> None:
    """Azure itself refuses them by their MD5; Azurite does not look at it."""
    proxy, azurite = proxied
    machine.settings = Settings(upload_verify="content")
    spoilt = threading.Event()

    def spoil(data: bytes, before: int) -> bytes:
        if before > 5 * MIB and not data.startswith((b"PUT", b"GET")) and not spoilt.is_set():
            spoilt.set()
            return data[:-1] + bytes([data[-1] ^ 1])
        return data

    proxy.on_data = spoil
    with pytest.raises(UploadError, match="holds other bytes than were sent"):
        machine.upload(vhd, azurite.url(name))
    assert name not in azurite.names()
    proxy.on_data = None
    machine.upload(vhd, azurite.url(name))
    assert_whole(azurite, name, vhd)


def test_redirects_are_not_followed(machine: Machine, azurite: Azurite, name: str) -> None:
    class Elsewhere(BaseHTTPRequestHandler):
        def _move(self) -> None:
            self.send_response(307)
            self.send_header("Location", f"http://127.0.0.1:{azurite.port}{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_PUT = do_HEAD = _move

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{server.server_port}/devstoreaccount1/{CONTAINER}/{name}"
        with pytest.raises(UploadError, match="leads elsewhere"):
            machine.target(uri).preflight(LINUX)
        server.shutdown()


def test_an_unfinished_upload_of_another_machine_is_respected_and_then_replaced(
    machine: Machine, proxied: tuple[Proxy, Azurite], vhd: Path, name: str
) -> None:
    proxy, azurite = proxied
    elsewhere = Machine(machine.folder / "elsewhere")

    def cut(data: bytes, before: int) -> bytes | None:
        proxy.refuse = before > 6 * MIB
        return None if proxy.refuse else data

    proxy.on_data = cut
    with pytest.raises(UploadError):
        elsewhere.upload(vhd, azurite.url(name))
    proxy.refuse, proxy.on_data = False, None
    with pytest.raises(InUseError, match="leased by another upload"):
        machine.upload(vhd, azurite.url(name))
    from azure.storage.blob import BlobLeaseClient

    BlobLeaseClient(azurite.blob(name)).break_lease(0)  # a minute later
    assert machine.upload(vhd, azurite.url(name)).sent == BYTES
    assert_whole(azurite, name, vhd)
    # The other machine's note is of a blob that is not its own any more.
    assert elsewhere.upload(vhd, azurite.url(name)).present
    assert json.loads((machine.home.known_blobs).read_text())
    assert elsewhere.notes == []


def test_of_two_uploads_of_this_machine_to_one_blob_one_is_refused(
    machine: Machine, azurite: Azurite, vhd: Path, name: str
) -> None:
    lock = Note.of(machine.home, azurite.url(name)).lock
    assert lock.try_acquire()
    with pytest.raises(InUseError, match="Another process of this machine uploads to"):
        machine.upload(vhd, azurite.url(name))
    assert name not in azurite.names()
    lock.release()
    machine.upload(vhd, azurite.url(name))
    assert_whole(azurite, name, vhd)


def test_a_lease_that_ran_out_while_the_network_was_away_is_taken_again(
    machine: Machine,
    proxied: tuple[Proxy, Azurite],
    vhd: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy, azurite = proxied
    monkeypatch.setattr(lease, "SECONDS", 15)  # the service takes no shorter one
    monkeypatch.setattr(lease, "_RENEW_SECONDS", 600.0)
    monkeypatch.setattr(client_module, "READ_SECONDS", 5.0)  # Azurite answers 412 and reads no further
    states: list[str] = []

    def stand_still(data: bytes, before: int) -> bytes:
        if before > 5 * MIB and not states:
            states.append("")
            time.sleep(16)
            states[0] = str(azurite.blob(name).get_blob_properties().lease.state)
        return data

    proxy.on_data = stand_still
    machine.upload(vhd, azurite.url(name))
    assert states == ["expired"]
    assert_whole(azurite, name, vhd)
