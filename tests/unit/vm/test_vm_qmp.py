"""The monitor client against a stub on the other end of a socketpair."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator

import pytest

from builder.vm.qmp import QmpClient, QmpError

GREETING = {
    "QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""}, "capabilities": []}
}


class StubQemu(threading.Thread):
    """Answers from a table; `{"event": ...}` lines can be pushed."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(daemon=True)
        self.sock = sock
        self.seen: list[dict] = []
        self.answers = {
            "qmp_capabilities": {"return": {}},
            "query-status": {"return": {"status": "running", "running": True}},
            "block_resize": {"return": {}},
            "screendump": {"error": {"class": "GenericError", "desc": "no screen"}},
        }

    def send(self, message: dict) -> None:
        self.sock.sendall(json.dumps(message).encode() + b"\r\n")

    def event(self, name: str, **data: object) -> None:
        self.send({"event": name, "data": data, "timestamp": {"seconds": 1, "microseconds": 0}})

    def requests(self) -> Iterator[dict]:
        """JSON values one after the other; QMP needs no line ends."""
        text, decoder = "", json.JSONDecoder()
        with contextlib.suppress(OSError):
            while data := self.sock.recv(4096):
                text += data.decode()
                with contextlib.suppress(ValueError):
                    while text := text.lstrip():
                        request, end = decoder.raw_decode(text)
                        text = text[end:]
                        yield request

    def run(self) -> None:
        self.send(GREETING)
        for request in self.requests():
            self.seen.append(request)
            answer = self.answers.get(request["execute"])
            if answer is not None:
                # As QEMU: the negotiation comes without an id, and then so does its answer.
                self.send({**answer, **({"id": request["id"]} if "id" in request else {})})


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    qemu = StubQemu(theirs)
    qemu.start()
    client = QmpClient(ours)
    client.connect(5)
    yield client, qemu
    client.close()
    theirs.close()


def test_commands_and_their_arguments(pair):
    client, qemu = pair
    assert client.status() == "running"
    client.block_resize("disk", 1 << 31)
    assert qemu.seen[-1]["arguments"] == {"node-name": "disk", "size": 1 << 31}


def test_refusals_are_our_errors(pair, tmp_path):
    client, _ = pair
    with pytest.raises(QmpError, match="no screen"):
        client.screendump(tmp_path / "x.png")
    assert client.status() == "running"


def test_silence_has_a_limit_and_does_not_end_the_session(pair):
    client, _ = pair
    with pytest.raises(QmpError, match="did not answer"):
        client.command("query-unanswered", timeout=0.05)
    assert client.status() == "running"


def test_events_are_kept_and_can_be_waited_for(pair):
    client, qemu = pair
    assert client.wait_event("STOP", timeout=0.01) is None
    threading.Timer(0.05, lambda: qemu.event("STOP")).start()
    event = client.wait_event("STOP", "SHUTDOWN", timeout=5)
    assert event is not None
    assert event["event"] == "STOP"
    qemu.event("RESET", guest=True)
    assert client.wait_event("RESET", timeout=5)["data"] == {"guest": True}
    assert [e["event"] for e in client.events()] == ["STOP", "RESET"]
    assert client.events("SHUTDOWN") == []


def test_the_other_end_going_away_is_noticed(pair):
    client, qemu = pair
    qemu.sock.shutdown(socket.SHUT_RDWR)
    with pytest.raises(QmpError):
        for _ in range(100):
            client.command("query-unanswered", timeout=1)


def test_closing_twice_is_fine_and_final(pair):
    client, _ = pair
    client.close()
    client.close()
    with pytest.raises(QmpError, match="closed"):
        client.status()


def test_no_greeting_is_an_error():
    ours, theirs = socket.socketpair()
    client = QmpClient(ours)
    with pytest.raises(QmpError, match="greeting"):
        client.connect(0.05)
    client.close()
    theirs.close()
