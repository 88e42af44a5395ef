"""Notices to real servers on this machine, and to a program; no VM boots."""

from __future__ import annotations

import http.server
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from builder.errors import UsageError
from builder.notify import send as sending
from builder.notify.notice import Notice
from builder.notify.send import send_all
from builder.settings import Home, Settings, load_settings

FAILED = Notice(
    event="failed",
    schedule="web",
    template="/data/web.json",
    host="builder-1",
    run_id="20261125T030000-abcdef",
    message="The script failed with exit code 1 & <said> so.",
    details=("E: Unable to locate package",),
)


@dataclass
class Hook:
    """A webhook's server; `statuses` are given first, then 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    got: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)


@pytest.fixture
def hook() -> Iterator[Hook]:
    it = Hook()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            it.got.append((self.path, dict(self.headers), body))
            self.send_response(it.statuses.pop(0) if it.statuses else 200)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        it.url = f"http://127.0.0.1:{server.server_port}/hook/s3cret-token"
        yield it
        server.shutdown()


class MailBox:
    """What a mail server got; it wants a password."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, list[str], bytes]] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:
        self.letters.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 OK"


@contextmanager
def mail_server(**how: Any) -> Iterator[tuple[MailBox, int]]:
    box = MailBox()

    def check(_server: object, _session: object, _envelope: object, _kind: str, data: object) -> AuthResult:
        good = LoginPassword(b"me", b"geheim")
        return AuthResult(success=data == good, handled=False)

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(
        box, hostname="127.0.0.1", port=port, authenticator=check, auth_required=True, **how
    )
    controller.start()
    try:
        yield box, port
    finally:
        controller.stop()


@pytest.fixture
def mail() -> Iterator[tuple[MailBox, int]]:
    with mail_server(auth_require_tls=False) as served:
        yield served


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A company's own: a certificate that nobody knows unless told, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = datetime.now(UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(here, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = tmp_path_factory.mktemp("certificate") / "mail.pem"
    public.write_bytes(made.public_bytes(Encoding.PEM))
    private = public.with_suffix(".key")
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(public, private)
    return public, context


def settings(home: Path, text: str) -> Settings:
    home.mkdir(exist_ok=True)
    (home / "settings.toml").write_text(text)
    return load_settings(Home(home))


def deliver(notice: Notice, given: Settings) -> tuple[int, list[str]]:
    said: list[str] = []
    return send_all(notice, given, said.append), said


def test_a_webhook_gets_json_with_a_header_from_the_environment(
    tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_URL", hook.url)
    monkeypatch.setenv("HOOK_KEY", "Bearer abc")
    given = settings(
        tmp_path,
        '[[notify]]\ntype = "webhook"\nurl = {env = "HOOK_URL"}\n'
        'headers = {Authorization = {env = "HOOK_KEY"}}\n',
    )
    assert deliver(FAILED, given) == (1, [])
    ((path, headers, body),) = hook.got
    assert (path, headers["Authorization"]) == ("/hook/s3cret-token", "Bearer abc")
    assert body["title"] == "Goldsmith: web failed"
    assert (body["event"], body["schedule"], body["runId"]) == ("failed", "web", FAILED.run_id)
    assert "s3cret" not in repr(given)


def test_slack_and_teams_get_their_own_forms(tmp_path: Path, hook: Hook) -> None:
    both = "".join(
        f'[[notify]]\ntype = "webhook"\nurl = "{hook.url}"\nformat = "{one}"\n' for one in ("slack", "teams")
    )
    assert deliver(FAILED, settings(tmp_path, both)) == (2, [])
    slack, teams = (body for _, _, body in hook.got)
    assert slack["text"] == "Goldsmith: web failed"
    assert "exit code 1 &amp; &lt;said&gt; so." in slack["attachments"][0]["text"]
    card = teams["attachments"][0]["content"]
    assert (card["type"], card["body"][0]["text"]) == ("AdaptiveCard", "Goldsmith: web failed")
    assert "build runs report 20261125T030000-abcdef" in card["body"][1]["text"]


def test_only_the_events_that_a_target_wants(tmp_path: Path, hook: Hook) -> None:
    text = f'[[notify]]\ntype = "webhook"\nurl = "{hook.url}"\non = ["succeeded"]\n'
    assert deliver(FAILED, settings(tmp_path, text)) == (0, [])
    assert hook.got == []


def test_a_server_in_trouble_is_tried_again_a_refusal_is_said(
    tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_PAUSE_SECONDS", 0.01)
    given = settings(tmp_path, f'[[notify]]\ntype = "webhook"\nurl = "{hook.url}"\n')
    hook.statuses = [503, 500]
    assert deliver(FAILED, given) == (1, [])
    assert len(hook.got) == 3
    hook.statuses = [403]
    sent, said = deliver(FAILED, given)
    assert (sent, len(hook.got)) == (0, 4)
    assert said == [
        "warning: The notice 'Goldsmith: web failed' was not sent by [[notify]] number 1 (webhook): "
        "127.0.0.1: the server answered 403."
    ]


def test_a_dead_server_keeps_the_others_from_nothing_and_its_address_secret(
    tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_PAUSE_SECONDS", 0.01)
    text = '[[notify]]\ntype = "webhook"\nurl = "http://127.0.0.1:9/s3cret"\n'
    sent, said = deliver(
        FAILED, settings(tmp_path, f'{text}[[notify]]\ntype = "webhook"\nurl = "{hook.url}"\n')
    )
    assert (sent, len(hook.got)) == (1, 1)
    assert len(said) == 1
    assert "ConnectError" in said[0]
    assert "s3cret" not in said[0]


def test_a_command_gets_it_twice_over(tmp_path: Path) -> None:
    script = tmp_path / "tell"
    script.write_text(
        f'#!/bin/sh\ncat > {tmp_path}/stdin\nprintf "%s" "$GOLDSMITH_NOTICE_TITLE" > {tmp_path}/title\n'
    )
    script.chmod(0o755)
    given = settings(tmp_path, f'[[notify]]\ntype = "command"\nargv = ["{script}"]\n')
    assert deliver(FAILED, given) == (1, [])
    assert json.loads((tmp_path / "stdin").read_text())["message"] == FAILED.message
    assert (tmp_path / "title").read_text() == "Goldsmith: web failed"
    script.write_text("#!/bin/sh\necho no such channel >&2\nexit 3\n")
    sent, said = deliver(FAILED, given)
    assert (sent, "no such channel" in said[0]) == (0, True)


def test_mail_by_a_real_server(
    tmp_path: Path, mail: tuple[MailBox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, port = mail
    monkeypatch.setenv("MAIL_PASSWORD", "geheim")
    text = (
        f'[[notify]]\ntype = "mail"\nhost = "127.0.0.1"\nport = {port}\ntls = "none"\nuser = "me"\n'
        'password = {env = "MAIL_PASSWORD"}\nfrom = "goldsmith@example.com"\n'
        'to = ["ops@example.com", "me@example.com"]\n'
    )
    assert deliver(FAILED, settings(tmp_path, text)) == (1, [])
    ((sender, to, content),) = box.letters
    assert (sender, to) == ("goldsmith@example.com", ["ops@example.com", "me@example.com"])
    letter = message_from_bytes(content, policy=default)
    assert letter["Subject"] == "Goldsmith: web failed"
    assert "E: Unable to locate package" in letter.get_content()
    monkeypatch.setenv("MAIL_PASSWORD", "wrong")
    sent, said = deliver(FAILED, settings(tmp_path, text))
    assert (sent, "Authentication" in said[0]) == (0, True), said
    monkeypatch.delenv("MAIL_PASSWORD")
    sent, said = deliver(FAILED, settings(tmp_path, text))
    assert said[0].endswith("The variable MAIL_PASSWORD, which [[notify]] names, is not set.")


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_mail_over_tls(
    tmp_path: Path,
    certificate: tuple[Path, ssl.SSLContext],
    monkeypatch: pytest.MonkeyPatch,
    tls: str,
) -> None:
    public, context = certificate
    monkeypatch.setenv("MAIL_PASSWORD", "geheim")
    if tls == "starttls":
        how: dict[str, Any] = {"tls_context": context, "require_starttls": True}
    else:
        # The server cannot tell that all of its connection is inside TLS.
        how = {"ssl_context": context, "auth_require_tls": False}
    with mail_server(**how) as (box, port):
        text = (
            f'[[notify]]\ntype = "mail"\nhost = "127.0.0.1"\nport = {port}\ntls = "{tls}"\nuser = "me"\n'
            'password = {env = "MAIL_PASSWORD"}\nfrom = "goldsmith@example.com"\nto = ["ops@example.com"]\n'
        )
        monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
        sent, said = deliver(FAILED, settings(tmp_path, text))
        assert (sent, "certificate verify failed" in said[0]) == (0, True), said
        assert box.letters == []
        monkeypatch.setenv("SSL_CERT_FILE", str(public))
        assert deliver(FAILED, settings(tmp_path, text)) == (1, [])
        assert len(box.letters) == 1


def test_starttls_is_not_given_up_where_there_is_none(
    tmp_path: Path, mail: tuple[MailBox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default: a server (or somebody in between) that offers no TLS gets neither password nor notice."""
    box, port = mail
    monkeypatch.setenv("MAIL_PASSWORD", "geheim")
    text = (
        f'[[notify]]\ntype = "mail"\nhost = "127.0.0.1"\nport = {port}\nuser = "me"\n'
        'password = {env = "MAIL_PASSWORD"}\nfrom = "goldsmith@example.com"\nto = ["ops@example.com"]\n'
    )
    sent, said = deliver(FAILED, settings(tmp_path, text))
    assert (sent, "STARTTLS" in said[0]) == (0, True), said
    assert box.letters == []


def test_a_name_cannot_add_a_header() -> None:
    forged = Notice("failed", "web\nBcc: all@example.com", "/data/web.json", "builder-1")
    message = sending.mail_of(forged, "a@example.com", ["b@example.com"])
    assert message["Subject"] == "Goldsmith: web Bcc: all@example.com failed"
    assert message["Bcc"] is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[notify]]\ntype = "pigeon"\n', "pigeon"),
        ('[[notify]]\ntype = "webhook"\nurl = "hooks.example"\n', "an address such as"),
        ('[[notify]]\ntype = "webhook"\nurl = "https://x.example"\non = ["boredom"]\n', "failed"),
        (
            '[[notify]]\ntype = "mail"\nhost = "mail.example"\ntls = "none"\nuser = "me"\n'
            'from = "a@b"\nto = ["c@d"]\n',
            "not sent without TLS",
        ),
    ],
)
def test_wrong_settings_are_said(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        settings(tmp_path, text)
    assert words in " ".join(caught.value.details)
