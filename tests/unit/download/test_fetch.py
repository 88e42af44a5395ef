"""Downloads against a transport of our own: no network."""

import hashlib
from pathlib import Path

import httpx
import pytest

from builder.deadline import Deadline
from builder.download import exchange
from builder.download.errors import DownloadError, public_url, without_passwords
from builder.download.fetch import fetch
from builder.download.reading import read_uri
from builder.errors import BuildTimeoutError, EnvironmentProblem, NotFoundError
from builder.events import EventBus, WaitProgress
from builder.redact import Redactor

DATA = bytes(range(256)) * 5000
SHA = hashlib.sha256(DATA).hexdigest()
URL = "https://host.example/disk.raw?sig=secret"


@pytest.fixture(autouse=True)
def naps(monkeypatch):
    """Every pause between attempts, instead of sleeping it."""
    taken: list[float] = []
    monkeypatch.setattr(exchange, "_sleep", taken.append)
    return taken


@pytest.fixture(autouse=True)
def own_home(monkeypatch, tmp_path_factory):
    """No settings of whoever runs the tests."""
    monkeypatch.setenv("GOLDSMITH_HOME", str(tmp_path_factory.mktemp("home")))


class Server:
    """Answers with DATA, understands ranges, and fails as told: one entry a request."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        failure = self.failures.pop(0) if self.failures else None
        if isinstance(failure, Exception):
            raise failure
        if isinstance(failure, int):
            return httpx.Response(failure)
        start = int(request.headers.get("Range", "bytes=0-")[6:-1])
        if start >= len(DATA):
            return httpx.Response(416)
        headers = {"Content-Length": str(len(DATA) - start)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"
        return httpx.Response(206 if start else 200, headers=headers, content=iter([DATA[start:]]))

    @property
    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self))


def _fetch(server: Server, dest: Path, sha256: str | None = SHA, bus: EventBus | None = None) -> None:
    bus = bus or EventBus(Redactor())
    fetch(URL, dest, sha256=sha256, deadline=Deadline(60), bus=bus, client=server.client)


def test_fetch_writes_the_file_and_tells_how_far_it_is(tmp_path):
    bus, seen = EventBus(Redactor()), []
    bus.add_sink(lambda envelope: seen.append(envelope.event))
    _fetch(Server(), tmp_path / "sub" / "disk", bus=bus)
    assert (tmp_path / "sub" / "disk").read_bytes() == DATA
    assert [e for e in seen if isinstance(e, WaitProgress)][-1].done == len(DATA)
    assert not any("secret" in str(e) for e in seen)


def test_fetch_resumes_a_part(tmp_path):
    (tmp_path / "disk.part").write_bytes(DATA[:1000])
    server = Server()
    _fetch(server, tmp_path / "disk")
    assert server.requests[0].headers["Range"] == "bytes=1000-"
    assert (tmp_path / "disk").read_bytes() == DATA


def test_fetch_starts_over_when_the_part_was_of_another_file(tmp_path):
    (tmp_path / "disk.part").write_bytes(b"x" * 1000)
    server = Server()
    _fetch(server, tmp_path / "disk")
    assert "Range" not in server.requests[1].headers
    assert (tmp_path / "disk").read_bytes() == DATA


def test_fetch_takes_a_complete_part_as_it_is(tmp_path):
    (tmp_path / "disk.part").write_bytes(DATA)
    _fetch(Server(), tmp_path / "disk")
    assert (tmp_path / "disk").read_bytes() == DATA


def test_fetch_leaves_a_proved_file_alone(tmp_path):
    (tmp_path / "disk").write_bytes(DATA)
    server = Server()
    _fetch(server, tmp_path / "disk")
    assert server.requests == []


def test_fetch_refuses_another_file_and_keeps_nothing(tmp_path):
    with pytest.raises(DownloadError) as caught:
        _fetch(Server(), tmp_path / "disk", sha256="0" * 64)
    assert SHA in caught.value.details[1]
    assert list(tmp_path.iterdir()) == []


def test_transient_failures_are_tried_again_with_longer_pauses(tmp_path, naps):
    server = Server(503, httpx.ConnectError("refused"), 429)
    assert read_uri(URL, tmp_path, Deadline(60), 10**9, client=server.client) == DATA
    assert naps == [0.5, 1.0, 2.0]


def test_after_ten_attempts_it_is_over(tmp_path, naps):
    server = Server(*[503] * 20)
    with pytest.raises(DownloadError, match=r"attempt 10 of 10") as caught:
        read_uri(URL, tmp_path, Deadline(60), 10**9, client=server.client)
    assert len(server.requests) == 10
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("status", "error"), [(404, NotFoundError), (403, DownloadError)])
def test_what_cannot_get_better_fails_at_once(tmp_path, status, error):
    server = Server(status)
    with pytest.raises(error, match=rf"{status}"):
        read_uri(URL, tmp_path, Deadline(60), 10**9, client=server.client)
    assert len(server.requests) == 1


def test_the_deadline_ends_the_attempts(tmp_path):
    with pytest.raises(BuildTimeoutError):
        read_uri(URL, tmp_path, Deadline(0), 10**9, client=Server(503).client)


def test_too_large_is_refused_for_both_kinds(tmp_path):
    (tmp_path / "big").write_bytes(DATA)
    for uri in (URL, "big"):
        with pytest.raises(DownloadError, match="larger than 1 KiB"):
            read_uri(uri, tmp_path, Deadline(60), 1024, client=Server().client)


def test_files_by_path_and_by_url(tmp_path):
    (tmp_path / "a b.sh").write_bytes(b"echo")
    for uri in ("a b.sh", str(tmp_path / "a b.sh"), (tmp_path / "a b.sh").as_uri()):
        assert read_uri(uri, tmp_path, Deadline(60), 100) == b"echo"


def test_missing_files_folders_and_strange_schemes(tmp_path):
    with pytest.raises(NotFoundError, match=r"none\.sh \(written as 'none\.sh'\)"):
        read_uri("none.sh", tmp_path, Deadline(60), 100)
    with pytest.raises(DownloadError, match="is a folder"):
        read_uri(".", tmp_path, Deadline(60), 100)
    with pytest.raises(DownloadError, match="'ftp'"):
        read_uri("ftp://host/x", tmp_path, Deadline(60), 100)
    with pytest.raises(DownloadError, match="another machine"):
        read_uri("file://host/x", tmp_path, Deadline(60), 100)


def test_public_url_shows_no_secret():
    assert public_url("https://u:p@h.example:8/x?sig=s#f") == "https://h.example:8/x"


class Hops:
    """Redirects by address; the last one has DATA."""

    def __init__(self, **steps: str):
        self.steps = {
            f"{scheme}://{host}/a": to
            for key, to in steps.items()
            for scheme, _, host in [key.partition("_")]
        }

    def __call__(self, request: httpx.Request) -> httpx.Response:
        to = self.steps.get(str(request.url))
        if to:
            return httpx.Response(302, headers={"Location": to})
        return httpx.Response(200, content=iter([DATA]))


@pytest.mark.parametrize("last", ["http://b/a", "https://c/a"])
def test_a_way_that_was_once_without_tls_proves_nothing(tmp_path, last):
    """Also when it ends with TLS: who sat at the step without chose where to."""
    steps = {"https_a": "http://b/a"} | ({"http_b": last} if last != "http://b/a" else {})
    client = httpx.Client(transport=httpx.MockTransport(Hops(**steps)))
    bus = EventBus(Redactor())
    with pytest.raises(DownloadError, match="without TLS"):
        fetch("https://a/a", tmp_path / "f", deadline=Deadline(60), bus=bus, client=client)
    with pytest.raises(DownloadError, match="without TLS"):
        read_uri("https://a/a", tmp_path, Deadline(60), 10**7, client=client)
    fetch("https://a/a", tmp_path / "f", sha256=SHA, deadline=Deadline(60), bus=bus, client=client)
    assert read_uri("http://b/a", tmp_path, Deadline(60), 10**7, client=client) == DATA


@pytest.mark.parametrize("announced", [True, False])
def test_nothing_larger_than_wanted_is_taken(tmp_path, announced):
    def serve(_request: httpx.Request) -> httpx.Response:
        pieces = iter([DATA[:1000]] * 100)
        return httpx.Response(200, headers={"Content-Length": "100000"} if announced else {}, content=pieces)

    client, bus = httpx.Client(transport=httpx.MockTransport(serve)), EventBus(Redactor())
    with pytest.raises(DownloadError, match="larger than 50000 bytes"):
        fetch(URL, tmp_path / "f", deadline=Deadline(60), bus=bus, client=client, max_bytes=50000)
    assert not (tmp_path / "f").exists()
    left = tmp_path / "f.part"
    assert not left.exists() or left.stat().st_size <= 50000


@pytest.mark.parametrize("retry_after", ["\u00b2", "9" * 400, "Fri, 31 Dec 99999 23:59:59 GMT", "soon", "-1"])
def test_any_retry_after_is_survived(tmp_path, naps, retry_after):
    answers = [httpx.Response(503, headers=[(b"Retry-After", retry_after.encode("latin-1"))])]

    def serve(_request: httpx.Request) -> httpx.Response:
        return answers.pop() if answers else httpx.Response(200, content=DATA)

    client = httpx.Client(transport=httpx.MockTransport(serve))
    assert read_uri(URL, tmp_path, Deadline(600), 10**7, client=client) == DATA
    assert max(naps) <= 60


def test_a_range_with_too_many_digits_is_no_range(tmp_path):
    (tmp_path / "f.part").write_bytes(DATA[:1000])

    def serve(request: httpx.Request) -> httpx.Response:
        if "Range" in request.headers:
            headers = {"Content-Range": f"bytes 1000-{'9' * 5000}/*"}
            return httpx.Response(206, headers=headers, content=iter([b"x"]))
        return httpx.Response(200, content=iter([DATA]))

    client = httpx.Client(transport=httpx.MockTransport(serve))
    fetch(URL, tmp_path / "f", sha256=SHA, deadline=Deadline(60), bus=EventBus(Redactor()), client=client)
    assert (tmp_path / "f").read_bytes() == DATA


def test_passwords_are_never_shown_however_odd():
    assert without_passwords("no way to http://me:p@ss@host:1/x?a, mail a@b") == (
        "no way to http://host:1/x?a, mail a@b"
    )
    assert public_url("https://me:pw@[half/x?sig=secret") == "https://[half/x"


@pytest.mark.parametrize("proxy", ["http://me:se/cret@host:1", "foo://me:se@cret@host:1"])
def test_a_proxy_that_cannot_be_used_keeps_its_password(tmp_path, monkeypatch, proxy):
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(EnvironmentProblem, match="proxy cannot be used") as caught:
        read_uri(URL, tmp_path, Deadline(60), 10**7)
    assert "se" not in caught.value.message.replace("used", "")


def test_a_server_without_tls_is_not_asked_ten_times(tmp_path, naps):
    server = Server(httpx.ConnectError("[SSL: WRONG_VERSION_NUMBER] wrong version number"))
    with pytest.raises(DownloadError, match="does not speak TLS"):
        _fetch(server, tmp_path / "f")
    assert naps == []


def test_a_proxy_that_wants_a_password_is_told_the_same_with_tls_and_without(tmp_path):
    for failure in (407, httpx.ProxyError("407 Proxy Authentication Required")):
        with pytest.raises(DownloadError, match="the proxy wants another user name or password"):
            _fetch(Server(failure), tmp_path / "f")


def test_certificates_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(EnvironmentProblem, match="certificates to trust cannot be read"):
        read_uri(URL, tmp_path, Deadline(60), 10**7)


def test_a_device_without_an_end_is_too_large(tmp_path):
    with pytest.raises(DownloadError, match="larger than 4 KiB"):
        read_uri("/dev/zero", tmp_path, Deadline(60), 4096)
