"""`build bench` without a build: its home, its edits, its figures, and what the builds are told."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from builder import gc, process
from builder.bench.home import bench_home
from builder.bench.results import AFTER_THE_END, Measured, MeasuredPhase, p95, summarized
from builder.bench.template import BenchTemplate
from builder.cli.app import main
from builder.run_record import PhaseRecord
from builder.runs import RunDirectory
from builder.settings import Home
from templates import DeploymentScope, Document, read

SCOPE = DeploymentScope("0", "g", "local")


def resource(customize: object, distribute: object = None) -> dict[str, Any]:
    return {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": "2024-02-01",
        "name": "web",
        "location": "local",
        "properties": {
            "source": {
                "type": "PlatformImage", "publisher": "D", "offer": "d", "sku": "1", "version": "latest"
            },
            "Customize": customize,
            "distribute": distribute or [{"type": "VHD", "runOutputName": "out"}],
        },
    }  # fmt: skip


def shell(*lines: str) -> dict[str, Any]:
    return {"type": "Shell", "inline": list(lines)}


FILE_STEP = {"type": "File", "sourceUri": "x", "destination": "/tmp/x"}


def document(tmp_path: Path, data: dict[str, Any]) -> Document:
    file = tmp_path / "t.json"
    file.write_text(json.dumps(data))
    return read(file, variables={"who": "me"}, parameters=None, strict=False, defaults=SCOPE)


def bench_template(tmp_path: Path, data: dict[str, Any]) -> BenchTemplate:
    found = document(tmp_path, data)
    return BenchTemplate(found, found.templates[0])


def lines_of(text: bytes) -> list[list[str]]:
    return [step.get("inline", []) for step in json.loads(text)["properties"]["Customize"]]


def test_an_edit_is_a_comment_in_the_last_inline_step(tmp_path: Path) -> None:
    made = bench_template(tmp_path, resource([shell("a"), shell("echo {{ who }}")]))
    assert (made.why_not, made.note) == ("", "")
    assert lines_of(made.text()) == [["a"], ["echo {{ who }}"]], "variables are filled in by the build"
    assert lines_of(made.text(3)) == [["a"], ["echo {{ who }}", "# build bench: edit 3"]]
    assert lines_of(made.text(4)) == [["a"], ["echo {{ who }}", "# build bench: edit 4"]]
    assert lines_of(made.text()) == [["a"], ["echo {{ who }}"]]


def test_another_step_is_edited_when_the_last_cannot_be_and_is_named(tmp_path: Path) -> None:
    made = bench_template(tmp_path, resource([shell("a"), FILE_STEP]))
    assert "step 1 of 2" in made.note
    assert lines_of(made.text(1)) == [["a", "# build bench: edit 1"], []]


@pytest.mark.parametrize(
    ("customize", "why"),
    [
        ([FILE_STEP], "none of its customizers is an inline Shell step"),
        ([], "it has no customizers"),
    ],
)
def test_what_cannot_be_edited_says_so(tmp_path: Path, customize: list[Any], why: str) -> None:
    assert bench_template(tmp_path, resource(customize)).why_not == why


def test_a_deployment_stays_one_and_computed_steps_are_not_guessed_at(tmp_path: Path) -> None:
    deployment = {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "variables": {"steps": [shell("a")]},
        "resources": [resource("[variables('steps')]")],
    }
    assert bench_template(tmp_path, deployment).why_not == "its customizers are computed"
    deployment["resources"] = [resource([shell("[concat('a', 'b')]")])]
    edited = json.loads(bench_template(tmp_path, deployment).text(1))
    (step,) = edited["resources"][0]["properties"]["Customize"]
    assert step["inline"] == ["[concat('a', 'b')]", "# build bench: edit 1"]


def test_nothing_is_written_to_the_places_a_template_names(tmp_path: Path) -> None:
    target = {"type": "VHD", "runOutputName": "out", "Uri": "/precious.vhd"}
    text = bench_template(tmp_path, resource([shell("a")], [target])).text()
    assert "precious" not in text.decode()


@pytest.fixture
def real(tmp_path: Path) -> Home:
    """A home with a base, an image, a registry and settings."""
    home = Home(tmp_path / "home")
    for name in (
        "cache/bases/k/disk.raw",
        "cache/bases/.k.tmp/disk.raw",
        "images/g/web/r.vhd",
        "settings.toml",
    ):
        path = home.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    catalogue = {"images": [{"versions": {"1": {"kind": "file", "path": "disks/a.raw"}}}]}
    (home.root / "catalogue.json").write_text(json.dumps(catalogue))
    with closing(sqlite3.connect(home.registry)) as registry:
        registry.execute("create table t (x)")
    return home


def test_its_home_is_furnished_from_the_real_one_and_goes(real: Home) -> None:
    with bench_home(real) as place:
        home = place.home
        assert home.root.is_relative_to(real.root / "cache")
        assert home.root.stat().st_mode & 0o077 == 0
        assert (home.bases / "k/disk.raw").samefile(real.bases / "k/disk.raw")
        assert not (home.bases / ".k.tmp").exists()
        path = json.loads((home.root / "catalogue.json").read_text())["images"][0]["versions"]["1"]["path"]
        assert path == str(real.root / "disks/a.raw")
        place.begin_anew()
        image = home.images / "g/web/r.vhd"
        assert image.samefile(real.images / "g/web/r.vhd")
        image.unlink()
        (place.out / "out.vhd").write_text("")
        home.registry.unlink()
        place.begin_anew()
        assert image.exists()
        assert (place.out / "out.vhd").exists(), "what is in its place already is not written again"
        with closing(sqlite3.connect(home.registry)) as registry:
            assert registry.execute("select name from sqlite_master").fetchall() == [("t",)]
    assert not (real.root / "cache/bench").exists()
    assert (real.images / "g/web/r.vhd").exists()


def layer(home: Home, name: str, kind: str) -> None:
    (home.layers / name).mkdir(parents=True)
    (home.layers / name / "meta.json").write_text(json.dumps({"kind": kind}))


def test_what_is_forgotten(real: Home) -> None:
    with bench_home(real) as place:
        place.forget(keep_warm_base=True)
        assert not place.knows_warm_base
        for name, kind in (("a", "boot"), ("b", "Shell"), ("c", "grow")):
            layer(place.home, name, kind)
        (place.home.layers / "d").mkdir()
        (place.home.finished / "x").mkdir(parents=True)
        place.forget(keep_warm_base=True)
        assert [item.name for item in place.home.layers.iterdir()] == ["a"]
        assert (place.knows_warm_base, place.home.finished.exists()) == (True, False)
        place.forget(keep_warm_base=False)
        assert not place.knows_warm_base


def test_one_whose_bench_was_killed_goes_with_gc_and_the_next_bench(real: Home) -> None:
    left = real.root / "cache/bench/0123"
    for clear in (lambda: gc.collect(real, None), lambda: bench_home(real).__enter__()):
        (left / "cache").mkdir(parents=True)
        with bench_home(real) as alive:
            (left / "cache").mkdir(parents=True, exist_ok=True)
            report = gc.collect(real, None, dry_run=True)
            assert [(item.kind, item.name) for item in report.removed] == [("bench", "0123")]
            assert alive.home.root.exists()
        clear()
        assert not left.exists()


def measured(case: str, seconds: float, *phases: tuple[str, str, float]) -> Measured:
    made = tuple(MeasuredPhase(label, where, took) for label, where, took in phases)  # type: ignore[arg-type]
    guest = sum(phase.seconds for phase in made if phase.where == "guest")
    return Measured(case, 1, seconds, guest, made)


def test_medians_and_p95() -> None:
    runs = [
        measured("warm", 3, ("Boot", "guest", 1)),
        measured("warm", 5, ("Boot", "guest", 2), ("Boot", "guest", 1), ("Flatten", "engine", 0.5)),
        measured("warm", 4, ("Boot", "guest", 3), ("Flatten", "engine", 0.7)),
        measured("cold", 9),
    ]
    warm, cold = summarized(runs)
    assert (warm.case, warm.builds, warm.median, warm.p95) == ("warm", 3, 4, pytest.approx(4.9))
    assert [(p.label, p.where, p.seconds) for p in warm.phases] == [
        ("Boot", "guest", 3),
        ("Flatten", "engine", 0.5),
    ]
    assert (warm.guest_median, warm.engine_median) == (3, 2)
    assert (cold.median, cold.p95, cold.phases) == (9, 9, ())
    assert p95([float(n) for n in range(1, 101)]) == pytest.approx(95.05)


class Builds:
    """Stands for the processes: notes what each was given, and leaves a run record."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.calls: list[dict[str, Any]] = []
        self.exit_code = 0

    def __call__(self, argv: list[str], **given: Any) -> process.Completed:
        home = Home(Path(given["env"]["GOLDSMITH_HOME"]))
        known = sorted(item.name for item in home.layers.iterdir()) if home.layers.is_dir() else []
        self.calls.append({"argv": argv, "known": known, "lines": lines_of(given["stdin"]), **given})
        for name, kind in (("warm", "boot"), ("step", "Shell")):
            if name not in known:
                layer(home, name, kind)
        run = RunDirectory.create(home)
        run.record.run_state = "Failed" if self.exit_code else "Succeeded"
        run.record.message = "it broke" if self.exit_code else ""
        run.record.phases = [PhaseRecord(name="Boot", seconds=0.0, where="guest", stage="Boot")]
        run.save()
        return process.Completed(tuple(argv), self.exit_code, "out\nlast line\n", "")


@pytest.fixture
def builds(real: Home, monkeypatch: pytest.MonkeyPatch) -> Builds:
    made = Builds(real)
    monkeypatch.setattr("builder.bench.bench.process.run", made)
    monkeypatch.setenv("GOLDSMITH_HOME", str(real.root))
    monkeypatch.setattr("builder.redact._guarding", [])
    (real.root / "catalogue.json").unlink()
    return made


def test_each_case_begins_where_it_should(
    builds: Builds, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "t.json"
    file.write_text(json.dumps(resource([shell("echo {{ who }}")])))
    words = ["bench", str(file), "-n", "2", "--var", "who=canary-value", "--json"]
    assert main([*words, "--case", "unchanged,warm,edited,cold"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert [(build["case"], build["number"]) for build in out["builds"]] == [
        *(("cold", 1), ("cold", 2), ("warm", 1), ("warm", 2)),
        *(("edited", 1), ("edited", 2), ("unchanged", 1), ("unchanged", 2)),
    ]
    everything = ["step", "warm"]
    assert [call["known"] for call in builds.calls[1:]] == [
        *([], [], ["warm"], ["warm"]),
        *(everything, everything, everything, everything, everything),
    ]
    plain, first, second = (
        ["echo {{ who }}", *more] for more in ([], ["# build bench: edit 1"], ["# build bench: edit 2"])
    )
    assert [call["lines"] for call in builds.calls] == [
        *([plain] for _ in range(5)),
        *([first], [second], [plain], [plain], [plain]),
    ]
    assert {call["cwd"] for call in builds.calls} == {tmp_path}
    assert not any("canary" in word for call in builds.calls for word in call["argv"])
    assert {phase["label"] for case in out["cases"] for phase in case["phases"]} == {"Boot", AFTER_THE_END}


def test_a_table_for_people(builds: Builds, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "t.json"
    file.write_text(json.dumps(resource([FILE_STEP])))
    assert main(["bench", str(file), "-n", "1", "--case", "edited,unchanged"]) == 0
    said = capsys.readouterr()
    assert "edited: left out: none of its customizers is an inline Shell step" in said.err
    assert [line.split()[0] for line in said.out.splitlines() if line][:2] == ["Case", "unchanged"]


@pytest.mark.parametrize(("code", "expected"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 1), (130, 130)])
def test_a_build_that_fails_ends_it(
    builds: Builds, real: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], code: int, expected: int
) -> None:
    builds.exit_code = code
    file = tmp_path / "t.json"
    file.write_text(json.dumps(resource([shell("a")])))
    assert main(["bench", str(file)]) == expected
    said = capsys.readouterr().err
    assert f"ended with exit code {code}: it broke" in said
    assert "last line" in said
    assert not (real.root / "cache/bench").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--case", "hot"), "choose of cold, warm, edited, unchanged"),
        (("--case", ","), "choose of"),
        (("-n", "0"), "greater than or equal to 1"),
        (("--case", "edited"), "cannot be edited"),
    ],
)
def test_mistakes_are_told_before_anything_is_built(
    builds: Builds, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    file = tmp_path / "t.json"
    file.write_text(json.dumps(resource([FILE_STEP])))
    assert main(["bench", str(file), *words]) == 2
    assert said in capsys.readouterr().err
    assert builds.calls == []
