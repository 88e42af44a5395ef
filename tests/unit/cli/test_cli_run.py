"""`build run` up to the engine: what is said before there is a run, and what a run is given."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from builder.cli.app import main
from builder.errors import ExitCode
from builder.events import ArtifactProduced, RunFinished, RunStarted, StageFinished, StageStarted
from builder.redact import MASK
from builder.settings import Home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("GOLDSMITH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("builder.redact._guarding", [])
    return Home()


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the engine was asked to build."""
    calls: list[Any] = []

    def build(document: Any, template: Any, services: Any, run: Any, options: Any) -> Any:
        calls.append(SimpleNamespace(template=template, services=services, run=run, options=options))
        return SimpleNamespace(exit_code=ExitCode.OK)

    monkeypatch.setattr("builder.engine.build", build)
    return calls


def resource(name: str = "web", command: str = "true") -> dict[str, Any]:
    return {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": "2024-02-01",
        "name": name,
        "location": "local",
        "properties": {
            "source": {
                "type": "PlatformImage",
                "publisher": "Debian",
                "offer": "debian-12",
                "sku": "12-gen2",
                "version": "latest",
            },
            "customize": [{"type": "Shell", "inline": [command]}],
            "distribute": [{"type": "VHD", "runOutputName": f"{name}-out"}],
        },
    }


def named(*steps: str) -> dict[str, Any]:
    data = resource()
    data["properties"]["customize"] = [
        {"type": "Shell", "inline": ["true"]} | ({"name": name} if name else {}) for name in steps
    ]
    return data


def write(file: Path, data: dict[str, Any]) -> str:
    file.write_text(json.dumps(data))
    return str(file)


def deployment(default: str) -> dict[str, Any]:
    return {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {"token": {"type": "secureString", "defaultValue": default}},
        "resources": [resource("second", "[parameters('token')]")],
    }


@pytest.mark.parametrize("service", ["none", "github", "azure", "gitlab"])
@pytest.mark.parametrize("face", [[], ["--plain"], ["--quiet"]])
def test_events_on_stdout_are_alone_there(
    home: Home,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    face: list[str],
    service: str,
) -> None:
    def build(_document: Any, template: Any, services: Any, run: Any, _options: Any) -> Any:
        folder = str(tmp_path)
        services.bus.emit(
            RunStarted(run_id=run.run_id, template=template.name, workspace="w", log_dir=folder)
        )
        services.bus.emit(StageStarted(stage="Source"))
        services.bus.warn("look", code="Look")
        services.bus.emit(StageFinished(stage="Source", outcome="succeeded", seconds=1))
        services.bus.emit(ArtifactProduced(run_output="disk", type="VHD", path="/disk.vhd"))
        services.bus.emit(RunFinished(run_id=run.run_id, state="Succeeded", seconds=1, exit_code=0))
        return SimpleNamespace(exit_code=ExitCode.OK)

    monkeypatch.setattr("builder.engine.build", build)
    file = write(tmp_path / "web.json", resource())
    summary = str(tmp_path / "summary.md")
    words = ["run", file, "--events", "-", "--ci", service, "--summary", summary, *face]
    assert main(words) == 0
    out, err = capsys.readouterr()
    kinds = [json.loads(line)["kind"] for line in out.splitlines()]
    assert "run.started" in kinds
    assert kinds[-1] == "run.finished"
    assert "/disk.vhd" in err
    assert ("##vso[task.uploadsummary]" in err) == (service == "azure")


def runs(home: Home) -> list[str]:
    return [item.name for item in home.runs.iterdir()] if home.runs.is_dir() else []


def test_services_know_the_run(home: Home, built: list[Any], tmp_path: Path) -> None:
    file = write(tmp_path / "t.json", resource())
    assert main(["run", file, "--quiet", "--on-error", "keep", "--wait"]) == 0
    (call,) = built
    assert call.services.run_id == call.run.run_id
    assert [call.run.run_id] == runs(home)
    assert (call.options.on_error, call.options.wait) == ("keep", True)


@pytest.mark.parametrize(
    ("words", "no_cache", "from_step"),
    [
        ((), False, None),
        (("--no-cache",), True, None),
        (("--from", "1"), False, "1"),
        (("--from=set UP",), False, "set UP"),
    ],
)
def test_the_engine_is_told_about_the_cache(
    home: Home,
    built: list[Any],
    tmp_path: Path,
    words: tuple[str, ...],
    no_cache: bool,
    from_step: str | None,
) -> None:
    file = write(tmp_path / "t.json", named("Set up"))
    assert main(["run", file, "--quiet", *words]) == 0
    (call,) = built
    assert (call.options.no_cache, call.options.from_step) == (no_cache, from_step)


def test_offline_is_a_setting_for_one_command(
    home: Home, built: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOLDSMITH_OFFLINE", "false")  # and put back afterwards
    file = write(tmp_path / "t.json", resource())
    assert main(["run", file, "--quiet"]) == 0
    assert main(["run", file, "--quiet", "--offline"]) == 0
    assert [call.services.settings.offline for call in built] == [False, True]


@pytest.mark.parametrize("step", ["3", "0", "install", ""])
def test_an_unknown_step_is_refused_before_anything_runs(
    home: Home, built: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], step: str
) -> None:
    """Also when only the last of several templates lacks it."""
    good = write(tmp_path / "a.json", named("Set up", "install", "", "4"))
    bad = write(tmp_path / "b.json", named("Set up", "Finish"))
    assert main(["run", good, bad, "--from", step]) == 2
    said = capsys.readouterr().err
    for expected in (f"--from {step}:", "'web'", "1. Set up", "2. "):
        assert expected in said
    assert (runs(home), built) == ([], [])


def test_no_cache_and_from_contradict_each_other(
    home: Home, built: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "t.json", resource())
    assert main(["run", file, "--no-cache", "--from", "1"]) == 2
    assert "exclude each other" in capsys.readouterr().err
    assert built == []


def test_several_builds_at_once_cannot_ask(
    home: Home, built: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [write(tmp_path / f"{name}.json", resource(name)) for name in ("a", "b")]
    assert main(["run", *files, "--jobs", "2", "--on-error", "ask"]) == 2
    assert "one build at a time" in capsys.readouterr().err
    assert main(["run", *files, "--jobs", "0"]) == 2
    assert built == []
    assert main(["run", files[0], "--jobs", "2", "--on-error", "ask", "--quiet"]) == 0
    assert len(built) == 1, "one template needs no process of its own"


@pytest.mark.parametrize(
    ("codes", "code"),
    [((0, 0), 0), ((0, 5), 5), ((5, 2, 0), 2), ((2, 1), 1), ((1, 4, 3), 1), ((3, 4), 4), ((1, 130, 0), 130)],
)
def test_of_several_templates_the_worst_exit_code_counts(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codes: tuple[int, ...], code: int
) -> None:
    results = iter(codes)
    done: list[int] = []

    def build(*_: Any) -> Any:
        done.append(next(results))
        return SimpleNamespace(exit_code=ExitCode(done[-1]))

    monkeypatch.setattr("builder.engine.build", build)
    files = [write(tmp_path / f"{number}.json", resource(f"web{number}")) for number in range(len(codes))]
    assert main(["run", *files, "--quiet"]) == code
    until = codes.index(130) + 1 if 130 in codes else len(codes)
    assert done == list(codes[:until]), "a cancel ends all, nothing else does"


@pytest.mark.parametrize("place", ["/proc/foo", "file"])
def test_an_unusable_home(
    home: Home,
    built: list[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    place: str,
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GOLDSMITH_HOME", str(tmp_path / place))
    assert main(["run", write(tmp_path / "t.json", resource())]) == ExitCode.ENVIRONMENT
    said = capsys.readouterr().err
    assert "cannot be used" in said
    assert "hint: Set GOLDSMITH_HOME" in said
    assert built == []


def test_runs_that_cannot_be_made(
    home: Home, built: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.root.mkdir()
    home.runs.write_text("no folder")
    assert main(["run", write(tmp_path / "t.json", resource())]) == ExitCode.ENVIRONMENT
    assert str(home.runs) in capsys.readouterr().err


def test_nothing_is_recorded_when_events_cannot_be_written(
    home: Home, built: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "t.json", resource())
    assert main(["run", file, "--events", "/nonexist/x"]) == 2
    assert "Events cannot be written" in capsys.readouterr().err
    assert (runs(home), built) == ([], [])


def test_all_templates_are_looked_at_before_the_first_is_built(
    home: Home, built: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write(tmp_path / "a.json", resource())
    bad = write(tmp_path / "b.json", deployment("x"))
    assert main(["run", good, bad]) == 2
    assert "too short to be hidden" in capsys.readouterr().err
    assert (runs(home), built) == ([], [])


def test_settings_are_looked_at_first(home: Home, built: list[Any], tmp_path: Path) -> None:
    (home.root / "settings.toml").mkdir(parents=True)
    assert main(["run", write(tmp_path / "t.json", resource())]) == ExitCode.ENVIRONMENT
    assert (runs(home), built) == ([], [])


@pytest.mark.parametrize("debug", ["", "1"])
def test_a_crash_keeps_secrets(
    home: Home,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    debug: str,
) -> None:
    def crash(*_args: Any) -> None:
        raise RuntimeError("left with hunter2-canary in hand")

    monkeypatch.setattr("builder.engine.build", crash)
    monkeypatch.setenv("GOLDSMITH_DEBUG", debug)
    assert main(["run", write(tmp_path / "t.json", deployment("hunter2-canary"))]) == 1
    (file,) = (home.root / "crash").iterdir()
    for text in (file.read_text(), capsys.readouterr().err):
        assert f"left with {MASK} in hand" in text
        assert "hunter2" not in text


def test_two_templates_that_write_one_blob_are_refused_before_any_run(
    home: Home, built: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / name for name in ("a.json", "b.json")]
    for file, place in zip(files, ("vhds/?sp=rcwd&sig=geheim", "vhds/same.vhd"), strict=True):
        data = resource(file.stem)
        uri = f"https://acct.blob.core.windows.net/{place}"
        data["properties"]["distribute"][0] |= {"runOutputName": "same", "uri": uri}
        file.write_text(json.dumps(data))
    assert main(["run", *map(str, files)]) == ExitCode.BAD_TEMPLATE
    said = capsys.readouterr().err
    assert "'a' and 'b' would both write https://acct.blob.core.windows.net/vhds/same.vhd." in said
    assert "geheim" not in said
    assert built == []


def test_two_templates_that_write_one_vhd_are_refused_before_any_run(
    home: Home, built: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / name for name in ("a.json", "b.json")]
    for file in files:
        data = resource(file.stem)
        data["properties"]["distribute"][0]["runOutputName"] = "same"
        file.write_text(json.dumps(data))
    assert main(["run", *map(str, files), "--output-dir", str(tmp_path)]) == ExitCode.BAD_TEMPLATE
    said = capsys.readouterr().err
    assert f"'a' and 'b' would both write {tmp_path / 'same.vhd'}." in said
    assert built == []
    assert not home.runs.exists()
