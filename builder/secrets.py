"""The `env` and `secrets` of a step: fetched once, at resolve, and hidden before anyone sees them."""

from __future__ import annotations

import contextlib
import hmac
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from builder import process
from builder.errors import EnvironmentProblem, PreflightError
from builder.events import Wait
from templates.model import SecretRef, Step

if TYPE_CHECKING:
    from builder.services import Services

COMMAND_SECONDS = 30.0
_KEY_BYTES = 32
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SecretError(PreflightError):
    """A secret that cannot be had. Never holds a value."""

    code = "Secret"


def resolve_step(step: Step, place: str, services: Services) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The environment and the secrets of a step, by variable name.

    Every secret is known to the redactor before this returns. `place` names the step in messages
    (its JSON pointer). Raises SecretError, BuildTimeoutError.
    """
    extensions = step.extensions
    where = f"step '{step.name}' ({place})" if step.name else f"step {place}"
    for name in (*extensions.env, *extensions.secrets):
        if not _NAME.fullmatch(name):
            raise SecretError(
                f"{where}: '{name}' cannot be the name of an environment variable.",
                hint="Letters, digits and _ only, not starting with a digit.",
            )
    both = sorted(set(extensions.env) & set(extensions.secrets))
    if both:
        raise SecretError(
            f"{where}: {', '.join(both)} stands in both env and secrets.", hint="Keep one of them."
        )
    hidden: dict[str, str] = {}
    for name, reference in extensions.secrets.items():
        what = f"{where}: secret '{name}'"
        if reference.command is not None and services.read_only:
            services.bus.note(f"{what}: its command is only run by a build.")
            continue
        hidden[name] = fetch_hidden(reference, what, services)
    return dict(extensions.env), hidden


def fetch_hidden(reference: SecretRef, what: str, services: Services) -> str:
    """One secret, known to the redactor before this returns. `what` names it in messages.

    Raises SecretError, BuildTimeoutError.
    """
    value = _fetch(reference, what, services)
    if "\0" in value:
        raise SecretError(f"{what} holds a NUL byte, which no environment variable can.")
    try:
        services.redactor.add(value)
    except ValueError as error:
        raise SecretError(
            f"{what} is empty or too short to be hidden: {error}.",
            hint="Put a harmless value into env; otherwise use a longer secret.",
        ) from None
    return value


def fingerprints(values: Mapping[str, str], services: Services) -> dict[str, str]:
    """What tells one secret from another without telling it: an HMAC with a key of this home, which never
    leaves it. A step whose secret changed runs again; nobody can try secrets out on a fingerprint.
    """
    if not values:
        return {}
    key = _key(services)
    return {
        f"secret.{name}": hmac.new(key, f"{name}\0{value}".encode(), "sha256").hexdigest()
        for name, value in values.items()
    }


def _key(services: Services) -> bytes:
    file = services.home.root / "cache" / "secrets.key"
    with contextlib.suppress(OSError):
        key = file.read_bytes()
        if len(key) == _KEY_BYTES:
            return key
    key = os.urandom(_KEY_BYTES)
    if not services.read_only:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{file.name}.{os.urandom(4).hex()}")  # pids are alike in containers
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(key)
        try:
            file.hardlink_to(part)  # of two builds that begin at once, one's key stays
        except FileExistsError:
            return file.read_bytes()
        finally:
            part.unlink()
    return key


def _fetch(reference: SecretRef, what: str, services: Services) -> str:
    given = [key for key in ("env", "file", "command") if getattr(reference, key) is not None]
    if len(given) != 1:
        raise SecretError(
            f"{what} needs exactly one of env, file, command; it has {', '.join(given) or 'none'}.",
            hint='For example: {"env": "API_TOKEN"}',
        )
    if reference.env is not None:
        return _from_environment(reference.env, what)
    if reference.file is not None:
        return _from_file(reference.file, what, services.base_dir)
    return _from_command(reference.command or [], what, services)


def _from_environment(variable: str, what: str) -> str:
    value = os.environ.get(variable)
    if value is None:
        raise SecretError(
            f"{what}: the environment variable {variable} is not set.",
            hint=f"Set it for the build: {variable}=... build TEMPLATE",
        )
    return value


def _from_file(file: str, what: str, base_dir: Path) -> str:
    path = base_dir / Path(file).expanduser()
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise SecretError(f"{what}: {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SecretError(f"{what}: {path} is not UTF-8 text.") from None
    return _without_newline(text)


def _from_command(argv: list[str], what: str, services: Services) -> str:
    if not argv or not argv[0]:
        raise SecretError(
            f"{what}: the command is empty.", hint='For example: {"command": ["pass", "show", "x"]}'
        )
    limit = services.deadline.remaining(cap=COMMAND_SECONDS)
    try:
        with Wait(services.bus, f"Running {argv[0]} for {what}"):
            done = process.run(argv, timeout=limit, cwd=services.base_dir)
    except process.ProcessError as error:
        if services.deadline.expired:  # the build's time is over, whatever the command's was
            raise services.deadline.error() from None
        # Its output may hold the secret, so neither that nor the error itself goes on.
        ended = (
            f"did not finish within {limit:.0f} s"
            if error.exit_code_of_process is None
            else f"failed with exit code {error.exit_code_of_process}"
        )
        raise SecretError(
            f"{what}: the command {argv[0]} {ended}.", hint="Run it by hand to see why."
        ) from None
    except EnvironmentProblem as error:  # no such program
        raise SecretError(f"{what}: {error.message}", hint=error.hint) from None
    return _without_newline(done.stdout)


def _without_newline(text: str) -> str:
    """One trailing newline is the editor's or echo's, not the secret's."""
    return text.removesuffix("\n").removesuffix("\r")
