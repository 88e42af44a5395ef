"""Sending a notice. One that cannot be sent is said, and nothing else happens: the build is as it is."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

from builder.errors import EnvironmentProblem, GoldsmithError
from builder.notify.notice import Notice
from builder.notify.targets import Command, Mail, Webhook, reveal

if TYPE_CHECKING:
    import smtplib

    from builder.settings import Settings

_SECONDS = 20.0
_TRIES = 3
_PAUSE_SECONDS = 2.0


class NotifyError(EnvironmentProblem):
    """A notice could not be sent."""

    code = "Notify"


def send_all(notice: Notice, settings: Settings, warn: Callable[[str], None]) -> int:
    """Send it to every target that wants its event; returns to how many it went."""
    sent = 0
    for number, target in enumerate(settings.notify, 1):
        if notice.event not in target.on:
            continue
        try:
            send(notice, target, settings)
        except GoldsmithError as error:
            text = " ".join((error.message, *error.details))
        except Exception as error:  # whatever it is, the build and the schedules after it are not to suffer
            text = type(error).__name__  # its text may hold the address or a header, which are secrets
        else:
            sent += 1
            continue
        place = f"[[notify]] number {number} ({target.type})"
        warn(f"warning: The notice '{notice.title}' was not sent by {place}: {text}")
    return sent


def send(notice: Notice, target: Webhook | Command | Mail, settings: Settings) -> None:
    """Send it to one. Raises NotifyError, UsageError for a variable that is not set."""
    if isinstance(target, Webhook):
        _post(notice, target, settings)
    elif isinstance(target, Command):
        _run(notice, target)
    else:
        _mail(notice, target)


def _post(notice: Notice, target: Webhook, settings: Settings) -> None:
    import time

    import httpx

    body: dict[str, Any] = {
        "json": notice.as_json,
        "slack": notice.as_slack,
        "teams": notice.as_teams,
    }[target.format]()
    url = reveal(target.url)
    headers = {name: reveal(value) for name, value in target.headers.items()}
    proxy = settings.proxy.get_secret_value() if settings.proxy else None
    problem = ""
    with httpx.Client(timeout=_SECONDS, proxy=proxy) as client:
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_PAUSE_SECONDS * attempt)
            try:
                with client.stream("POST", url, json=body, headers=headers) as answer:
                    status = answer.status_code  # what else it says is not wanted, however long it is
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                # The address is a secret, and httpx names it in some of its errors.
                problem = type(error).__name__
                continue
            if status < 300:
                return
            problem = f"the server answered {status}"
            if status < 500 and status != 429:
                break
    raise NotifyError(f"{_host(url)}: {problem}.")


def _host(url: str) -> str:
    from urllib.parse import urlsplit

    try:
        return urlsplit(url).hostname or "the address"
    except ValueError:
        return "the address"


def _run(notice: Notice, target: Command) -> None:
    from builder import process

    data = notice.as_json()
    names = {name: str(data[name]) for name in ("title", "event", "schedule", "template", "runId", "message")}
    env = {f"GOLDSMITH_NOTICE_{name.upper()}": value.replace("\0", "") for name, value in names.items()}
    try:
        process.run(target.argv, timeout=target.timeout, stdin=json.dumps(data).encode(), env=env)
    except process.ProcessError as error:
        raise NotifyError(error.message, details=error.details[-3:]) from error


def _mail(notice: Notice, target: Mail) -> None:
    import smtplib

    context = ssl.create_default_context()
    try:
        message = mail_of(notice, target.sender, target.to)
        if target.tls == "implicit":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                target.host, target.port, timeout=_SECONDS, context=context
            )
        else:
            server = smtplib.SMTP(target.host, target.port, timeout=_SECONDS)
        with server:
            if target.tls == "starttls":
                server.starttls(context=context)
            if target.user:
                server.login(target.user, reveal(target.password) if target.password else "")
            refused = server.send_message(message)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise NotifyError(f"{target.host}:{target.port}: {str(error).rstrip('.')}.") from error
    if refused:
        raise NotifyError(f"{target.host}:{target.port}: not taken for {', '.join(refused)}.")


def mail_of(notice: Notice, sender: str, to: Sequence[str]) -> EmailMessage:
    """The message. What comes from a build cannot add a header: its subject is one line."""
    message = EmailMessage()
    message["Subject"] = " ".join(notice.title.split())
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(notice.text)
    return message
