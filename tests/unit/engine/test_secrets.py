from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builder import process, secrets
from builder.deadline import Deadline
from builder.errors import BuildTimeoutError, CancelledError, GoldsmithError
from builder.redact import MASK
from builder.secrets import SecretError, resolve_step
from builder.services import Services
from engine.conftest import Seen
from templates.model import ShellStep

VALUE = "hunter2-canary"


def step(**extensions: Any) -> ShellStep:
    return ShellStep.model_validate(
        {"type": "Shell", "name": "install", "inline": ["true"], "x-goldsmith": extensions}
    )


def fetch(services: Services, **reference: Any) -> str:
    return resolve_step(step(secrets={"TOKEN": reference}), "/p/0", services)[1]["TOKEN"]


def test_from_the_environment(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", VALUE)
    assert fetch(services, env="MY_TOKEN") == VALUE
    assert services.redactor.scrub(f"a {VALUE}") == f"a {MASK}"


def test_from_a_file_beside_the_template(services: Services) -> None:
    (services.base_dir / "token").write_text(VALUE + "\n")
    assert fetch(services, file="token") == VALUE
    (services.base_dir / "token").write_bytes(VALUE.encode() + b"\r\n")
    assert fetch(services, file="token") == VALUE
    (services.base_dir / "token").write_text(f" {VALUE}\n\n")
    assert fetch(services, file="token") == f" {VALUE}\n", "only the last newline goes"


def test_from_a_command(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def run(argv: list[str], **options: Any) -> process.Completed:
        seen.update(options, argv=argv)
        return process.Completed(tuple(argv), 0, VALUE + "\n", "noise")

    monkeypatch.setattr(secrets.process, "run", run)
    assert fetch(services, command=["pass", "show", "x"]) == VALUE
    assert seen["argv"] == ["pass", "show", "x"]
    assert seen["timeout"] <= secrets.COMMAND_SECONDS
    assert services.redactor.scrub(VALUE) == MASK


@pytest.mark.parametrize(("code", "says"), [(7, "exit code 7"), (None, "did not finish within 30 s")])
def test_a_failing_command_shows_neither_value_nor_output(
    services: Services, monkeypatch: pytest.MonkeyPatch, code: int | None, says: str
) -> None:
    def run(argv: list[str], **_options: Any) -> process.Completed:
        raise process.ProcessError("failed", argv=argv, exit_code=code, output=f"half a {VALUE}")

    monkeypatch.setattr(secrets.process, "run", run)
    with pytest.raises(SecretError, match=says) as caught:
        fetch(services, command=["pass"])
    error = caught.value
    assert VALUE not in f"{error.message} {error.details} {error.hint}"
    assert "install" in error.message
    assert "'TOKEN'" in error.message
    assert error.__suppress_context__


def test_a_missing_variable(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_TOKEN", raising=False)
    with pytest.raises(SecretError, match="MY_TOKEN is not set"):
        fetch(services, env="MY_TOKEN")


def test_a_missing_or_unreadable_file(services: Services) -> None:
    with pytest.raises(SecretError, match="No such file"):
        fetch(services, file="token")
    with pytest.raises(SecretError, match="directory"):
        fetch(services, file=".")
    (services.base_dir / "token").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(SecretError, match="not UTF-8"):
        fetch(services, file="token")


@pytest.mark.parametrize("value", ["", "ab", " \n"])
def test_too_short_to_hide(services: Services, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("MY_TOKEN", value)
    with pytest.raises(SecretError, match="too short"):
        fetch(services, env="MY_TOKEN")


@pytest.mark.parametrize("reference", [{}, {"env": "A", "file": "b"}, {"command": []}])
def test_exactly_one_place(services: Services, reference: dict[str, Any]) -> None:
    with pytest.raises(SecretError, match=r"exactly one|is empty"):
        fetch(services, **reference)


def test_a_nul_cannot_be_in_an_environment(services: Services) -> None:
    (services.base_dir / "token").write_bytes(b"abc\0def")
    with pytest.raises(SecretError, match="NUL"):
        fetch(services, file="token")


@pytest.mark.parametrize("name", ["A-B", "1A", "", "A=B", "A B", "Ä"])
def test_names_a_shell_knows(services: Services, name: str) -> None:
    for extensions in ({"env": {name: "x"}}, {"secrets": {name: {"env": "HOME"}}}):
        with pytest.raises(SecretError, match="cannot be the name"):
            resolve_step(step(**extensions), "/p/0", services)


def test_one_name_in_both(services: Services) -> None:
    with pytest.raises(SecretError, match="both env and secrets"):
        resolve_step(step(env={"A": "x"}, secrets={"A": {"env": "HOME"}}), "/p/0", services)


def test_env_is_not_hidden(services: Services) -> None:
    env, hidden = resolve_step(step(env={"COLOUR": "green"}), "/p/0", services)
    assert (dict(env), dict(hidden)) == ({"COLOUR": "green"}, {})
    assert services.redactor.scrub("green") == "green"


def test_a_command_shows_that_it_runs(
    services: Services, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = process.Completed(("pass",), 0, VALUE, "")
    monkeypatch.setattr(secrets.process, "run", lambda *_args, **_options: done)
    fetch(services, command=["pass", "show", "x"])
    assert [event.what for event in seen.of("wait.started")] == [
        "Running pass for step 'install' (/p/0): secret 'TOKEN'"
    ]
    assert len(seen.of("wait.finished")) == 1


def test_the_builds_own_end_is_not_the_secrets_problem(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = replace(services, deadline=Deadline(0.01))

    def run(argv: list[str], **_options: Any) -> process.Completed:
        while not hasty.deadline.expired:
            pass
        raise process.ProcessError("late", argv=argv, exit_code=None, output="")

    monkeypatch.setattr(secrets.process, "run", run)
    with pytest.raises(BuildTimeoutError):
        fetch(hasty, command=["pass"])
    with pytest.raises(BuildTimeoutError):
        fetch(hasty, command=["pass"])


@pytest.mark.parametrize("error", [CancelledError("x"), BuildTimeoutError("x")])
def test_cancellation_goes_on(
    services: Services, monkeypatch: pytest.MonkeyPatch, error: GoldsmithError
) -> None:
    def run(*_args: Any, **_options: Any) -> process.Completed:
        raise error

    monkeypatch.setattr(secrets.process, "run", run)
    with pytest.raises(type(error)):
        fetch(services, command=["pass"])
