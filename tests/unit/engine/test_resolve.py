from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from builder import resolve
from builder.errors import PreflightError
from builder.resolve import collect, freeze_steps, steps_of
from builder.services import Services
from templates.diagnostics import Location, TemplateError
from templates.model import FileStep, ImageTemplate, ShellStep, Step


def locate(pointer: str) -> Location:
    return Location("t.json", 7, 3, pointer)


def shell(**fields: Any) -> ShellStep:
    return ShellStep.model_validate({"type": "Shell", **fields})


def upload(**fields: Any) -> FileStep:
    return FileStep.model_validate({"type": "File", "destination": "/tmp/x", **fields})


def freeze(services: Services, *steps: Step) -> dict[str, Any]:
    return freeze_steps([(f"/{number}", step) for number, step in enumerate(steps)], services, locate)


def test_inline_is_one_script_as_written(services: Services) -> None:
    content = freeze(services, shell(inline=["a=1", "echo $a"]))["/0"]
    assert content.data == b"a=1\necho $a"
    assert content.origin == "inline"
    assert content.sha256 == hashlib.sha256(b"a=1\necho $a").hexdigest()


def test_paths_of_every_kind(services: Services) -> None:
    file = services.base_dir / "a b.sh"
    file.write_bytes(b"#!/bin/sh\r\n\xff")
    uris = ["a b.sh", "./a b.sh", str(file), file.as_uri(), f"file://localhost{file.as_uri()[7:]}"]
    frozen = freeze(services, *(shell(scriptUri=uri) for uri in uris))
    assert {content.data for content in frozen.values()} == {b"#!/bin/sh\r\n\xff"}
    assert len(frozen) == len(uris)


def test_the_bytes_are_frozen(services: Services) -> None:
    file = services.base_dir / "a.sh"
    file.write_text("before")
    content = freeze(services, shell(scriptUri="a.sh"))["/0"]
    file.write_text("after")
    assert content.data == b"before"


def test_all_problems_at_their_places(services: Services) -> None:
    (services.base_dir / "a.sh").write_text("x")
    actual = hashlib.sha256(b"x").hexdigest()
    with pytest.raises(TemplateError) as caught:
        freeze(
            services,
            shell(scriptUri="missing.sh"),
            shell(scriptUri="a.sh"),
            shell(scriptUri="a.sh", sha256Checksum="0" * 64),
            upload(sourceUri="."),
            upload(sourceUri="ftp://h/x"),
            upload(sourceUri="file://host/x"),
        )
    found = [(d.location.pointer, d.code) for d in caught.value.diagnostics]
    assert found == [
        ("/0/scriptUri", "DownloadFailed"),
        ("/2/sha256Checksum", "ChecksumMismatch"),
        ("/3/sourceUri", "DownloadFailed"),
        ("/4/sourceUri", "DownloadFailed"),
        ("/5/sourceUri", "DownloadFailed"),
    ]
    mismatch = caught.value.diagnostics[1]
    assert "0" * 64 in mismatch.message
    assert actual in mismatch.message
    assert actual in (mismatch.hint or "")
    missing = caught.value.diagnostics[0]
    assert str(services.base_dir / "missing.sh") in missing.message
    assert "template's folder" in (missing.hint or "")


def test_the_right_checksum_in_any_case(services: Services) -> None:
    (services.base_dir / "a.sh").write_text("x")
    digest = hashlib.sha256(b"x").hexdigest()
    for given in (digest, digest.upper()):
        assert freeze(services, shell(scriptUri="a.sh", sha256Checksum=given))["/0"].sha256 == digest


class Web:
    """Stands in for the download module: no network in this ring."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.lock = threading.Lock()
        monkeypatch.setattr(resolve, "read_uri", self.read)

    def read(self, uri: str, *_args: Any, **_named: Any) -> bytes:
        with self.lock:
            self.calls.append(uri)
        if "bad" in uri:
            raise PreflightError("404 Not Found", hint="Check the address.")
        return uri.encode()


def test_an_address_is_fetched_once(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    web = Web(monkeypatch)
    frozen = freeze(services, *(shell(scriptUri="https://h/a.sh?sig=SECRET") for _ in range(6)))
    assert web.calls == ["https://h/a.sh?sig=SECRET"]
    assert {content.origin for content in frozen.values()} == {"https://h/a.sh"}


def test_who_looks_twice_fetches_once(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """`build validate` reads the scripts, and then asks what a build would find."""
    web = Web(monkeypatch)
    steps = [("/0", shell(scriptUri="https://h/a.sh")), ("/1", shell(scriptUri="https://h/bad"))]
    frozen, problems = collect(steps, services, locate)
    assert list(frozen) == ["/0"]
    assert [problem.location.pointer for problem in problems] == ["/1/scriptUri"]
    with pytest.raises(TemplateError) as caught:
        freeze_steps(steps, replace(services, read_only=True), locate)
    assert list(caught.value.diagnostics) == problems
    assert sorted(web.calls) == ["https://h/a.sh", "https://h/bad"]


def test_a_failing_address_is_reported_for_every_step(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    Web(monkeypatch)
    with pytest.raises(TemplateError) as caught:
        freeze(services, shell(scriptUri="http://h/bad"), shell(scriptUri="http://h/bad"))
    assert [d.location.pointer for d in caught.value.diagnostics] == ["/0/scriptUri", "/1/scriptUri"]
    assert caught.value.diagnostics[0].hint == "Check the address."


@pytest.mark.parametrize("uri", ["a\0b", "http://[half"])
def test_nonsense_is_a_problem_of_the_template(services: Services, uri: str) -> None:
    with pytest.raises(TemplateError) as caught:
        freeze(services, shell(scriptUri=uri))
    assert caught.value.diagnostics[0].code == "DownloadFailed"


def test_a_large_file_is_warned_about(services: Services, seen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "_LARGE_FILE", 10)
    (services.base_dir / "big").write_bytes(b"x" * 11)
    freeze(services, upload(sourceUri="big"), shell(scriptUri="big"))
    assert [note.code for note in seen.of("note")] == ["LargeFile"]


def test_pointers_of_customizers_and_validators(template: Callable[..., ImageTemplate]) -> None:
    made = template(
        customize=[{"type": "Shell", "inline": ["a"]}, {"type": "x-LinuxRestart"}],
        validate={"inVMValidations": [{"type": "Shell", "inline": ["b"]}]},
    )
    assert [pointer for pointer, _ in steps_of(made)] == [
        "/properties/customize/0",
        "/properties/customize/1",
        "/properties/validate/inVMValidations/0",
    ]


def test_downloads_are_waited_for_visibly(
    services: Services, seen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze(services, shell(inline=["x"]))
    assert seen.of("wait.started") == []
    Web(monkeypatch)
    freeze(services, shell(scriptUri="HTTPS://h/a"), shell(scriptUri="https://h/b"))
    assert [event.what for event in seen.of("wait.started")] == ["Downloading scripts and files"]
    assert [(event.done, event.total) for event in seen.of("wait.progress")] == [(1, 2), (2, 2)]
    assert len(seen.of("wait.finished")) == 1
