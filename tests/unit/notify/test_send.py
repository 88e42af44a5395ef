"""A notice that cannot be sent is said, and nothing else happens. Nothing here gets as far as the network."""

from __future__ import annotations

import pytest

from builder.notify import send
from builder.notify.notice import Notice
from builder.notify.targets import Target, Webhook
from builder.settings import Settings

FAILED = Notice("failed", "web", "/data/web.json", "builder-1", message="no")


def told(monkeypatch: pytest.MonkeyPatch, target: Target, notice: Notice = FAILED) -> str:
    monkeypatch.setattr(send, "_PAUSE_SECONDS", 0.0)
    said: list[str] = []
    assert send.send_all(notice, Settings(notify=(target,)), said.append) == 0
    (line,) = said
    return line


@pytest.mark.parametrize(
    "address", ["http://[s3cret", "http://127.0.0.1:99999/s3cret", "s3cret", "http://h/\ns3cret"]
)
def test_an_address_of_the_environment_that_is_none(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("HOOK_URL", address)
    line = told(monkeypatch, Webhook.model_validate({"type": "webhook", "url": {"env": "HOOK_URL"}}))
    assert "number 1 (webhook): " in line
    assert "s3cret" not in line


def test_a_header_that_is_none_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    target = {"type": "webhook", "url": "http://127.0.0.1:1/", "headers": {"X": "s3cr\u00e9t"}}
    assert told(monkeypatch, Webhook.model_validate(target)).endswith("(webhook): UnicodeEncodeError")


def test_what_no_text_can_be_made_of_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    notice = Notice("failed", "web", "/data/\udcff.json", "builder-1")
    target = Webhook.model_validate({"type": "webhook", "url": "http://127.0.0.1:1/"})
    assert told(monkeypatch, target, notice).endswith("(webhook): UnicodeEncodeError")


def test_a_recipient_that_is_refused_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import smtplib

    from builder.notify.targets import Mail

    class Server:
        def __init__(self, *_words: object, **_options: object) -> None: ...

        def __enter__(self) -> Server:
            return self

        def __exit__(self, *_words: object) -> None: ...

        def send_message(self, _message: object) -> dict[str, tuple[int, bytes]]:
            return {"two@example.com": (550, b"no")}

    monkeypatch.setattr(smtplib, "SMTP", Server)
    mail = {
        "type": "mail",
        "host": "h",
        "tls": "none",
        "from": "a@b",
        "to": ["one@example.com", "two@example.com"],
    }
    assert told(monkeypatch, Mail.model_validate(mail)).endswith("h:587: not taken for two@example.com.")
