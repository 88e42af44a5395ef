"""The pipelines of examples/ci: their files by the services' own schemas, and their commands, word for word,
from a clean clone, with the variables that each service sets.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from harness import ROOT, Cli, Quickstart, assert_nothing_left
from ruamel.yaml import YAML
from test_failing_build import template

pytestmark = pytest.mark.timeout(2400)
CI = ROOT / "examples" / "ci"
FILES = {
    "github-workflows": CI / "github.yml",
    "gitlab-ci": CI / "gitlab-ci.yml",
    "azure-pipelines": CI / "azure-pipelines.yml",
    "github-actions": ROOT / ".ci" / "github" / "action.yml",
}
BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    ("schema", "file"),
    [*FILES.items(), ("azure-pipelines", ROOT / ".ci" / "azure" / "goldsmith.yml")],
    ids=str,
)
def test_the_services_schemas_take_them(schema: str, file: Path) -> None:
    words = ["--regex-variant", "python", "--builtin-schema", f"vendor.{schema}", str(file)]
    done = subprocess.run(
        [BIN / "check-jsonschema", *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout


def test_a_linter_of_workflows_has_nothing_to_say(tmp_path: Path) -> None:
    """It would have each action named by a commit; a version is what people read and copy."""
    config = tmp_path / "zizmor.yml"
    rule = {"unpinned-uses": {"config": {"policies": {"*": "ref-pin"}}}}
    config.write_text(json.dumps({"rules": rule}))
    words = ["--offline", "--quiet", "--config", config, FILES["github-workflows"], FILES["github-actions"]]
    done = subprocess.run([BIN / "zizmor", *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", [FILES["github-actions"], ROOT / ".ci" / "azure" / "goldsmith.yml"], ids=str)
def test_templates_on_several_lines_are_all_built(file: Path, tmp_path: Path) -> None:
    """Of the steps' own words only the program is another: it tells what it was given."""
    build = tmp_path / ".venv" / "bin" / "build"
    build.parent.mkdir(parents=True)
    build.write_text('#!/bin/sh\nprintf "<%s>" "$@"\n')
    build.chmod(0o755)
    data = YAML(typ="safe").load(file)
    steps = data["runs"]["steps"] if "runs" in data else data["steps"]
    (words,) = [text for step in steps if "TEMPLATES" in (text := step.get("run") or step.get("bash") or "")]
    env = {
        "PATH": f"{build.parent}:{os.environ['PATH']}",
        "GITHUB_ACTION_PATH": str(tmp_path / "a" / "b"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "RUNNER_TEMP": str(tmp_path),
        "AGENT_TEMPDIRECTORY": str(tmp_path),
        "OUTPUT_DIR": "out",
        "TEMPLATES": "a.json\n  b.json c.json\n",
        "ARGUMENTS": "--offline\n--quiet\n",
    }
    (tmp_path / "a" / "b").mkdir(parents=True)
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", words],
        env=env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("<run><a.json><b.json><c.json><--output-dir><out>")
    assert done.stdout.endswith("<--offline><--quiet>")


@dataclass(frozen=True)
class Checkout:
    """A pipeline's working directory: a repository with a template, and a clean clone of Goldsmith."""

    path: Path
    cache: Path

    def run(self, command: str, env: dict[str, str], home: Path) -> str:
        """One command as the services run it: by bash, which ends at the first error."""
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("GOLDSMITH_", "GITHUB_", "VIRTUAL_ENV"))
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", command],
            cwd=self.path,
            env={**kept, "GOLDSMITH_HOME": str(home), **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=1800,
            check=False,
        )
        said = done.stdout.decode()  # as bytes: sections begin with a carriage return
        assert done.returncode == 0, f"$ {command}\n{said}"
        return said


def clean_copy(place: Path) -> None:
    """A clone of this repository, whoever owns it; where it came without its history, a copy without what
    was made in it.
    """
    if not (ROOT / ".git").exists():
        made = shutil.ignore_patterns(".venv", "__pycache__", "*.egg-info", ".*_cache")
        shutil.copytree(ROOT, place, ignore=made)
        return
    config = place.with_name("gitconfig")
    config.write_text("[safe]\n\tdirectory = *\n")
    argv = ["git", "clone", "-q", "--no-hardlinks", ROOT, place]
    env = {**os.environ, "GIT_CONFIG_GLOBAL": str(config)}
    subprocess.run(argv, check=True, timeout=120, env=env)


@pytest.fixture(scope="module")
def checkout(
    cli: Cli, quickstart: Quickstart, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Checkout]:
    path = tmp_path_factory.mktemp("pipeline")
    clean_copy(path / "goldsmith")
    for folder in (path / "image", path / "self" / "image"):
        folder.mkdir(parents=True)
        properties = template(
            "image", [{"type": "Shell", "name": "mark", "inline": ["echo made | sudo tee /etc/ci"]}]
        )
        properties["properties"]["validate"] = {
            "inVMValidations": [{"type": "Shell", "name": "marked", "inline": ["grep made /etc/ci"]}]
        }
        properties["properties"]["vnetConfig"] = {"subnetId": ""}
        (folder / "template.json").write_text(json.dumps(properties))
    cache = path / "from-the-last-build.tar"
    # Of all that the other tests left, what another template of the same source would have.
    layers = json.loads(cli("cache", "list", "--json").out)
    booted = next(one["id"] for one in layers if (one["kind"], one["template"]) == ("boot", "quickstart"))
    exported = cli("cache", "export", cache, booted, "--with-base")
    assert exported.code == 0, exported.text
    yield Checkout(path, cache)
    shutil.rmtree(path)  # gigabytes


def load(file: Path) -> Any:
    return YAML(typ="safe").load(file)


def begin(checkout: Checkout, cache: str) -> None:
    """As the service restores what the last pipeline kept."""
    there = checkout.path / cache
    there.parent.mkdir(exist_ok=True)
    there.unlink(missing_ok=True)
    there.hardlink_to(checkout.cache)
    for name in ("validators.xml", "summary.md", "image.env"):
        (checkout.path / name).unlink(missing_ok=True)


def check(checkout: Checkout, home: Path, said: str) -> None:
    """What each of them has in the end."""
    (suite,) = ET.parse(checkout.path / "validators.xml").getroot()
    assert [(case.get("name"), len(case)) for case in suite] == [("marked", 0)]
    assert list((checkout.path / "out").glob("*.vhd"))
    assert re.match(r"Wrote (\S+/)?goldsmith-cache\S*: ", said), said
    assert_nothing_left(home)


def test_githubs_steps(checkout: Checkout, tmp_path: Path) -> None:
    begin(checkout, "goldsmith-cache.tar")
    home = tmp_path / "home"
    summary, outputs = tmp_path / "summary", tmp_path / "outputs"
    outputs.touch()
    env = {
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_OUTPUT": str(outputs),
    }
    job = load(FILES["github-workflows"])["jobs"]["build"]
    said = {step["name"]: checkout.run(step["run"], env, home) for step in job["steps"] if "run" in step}
    lines = said["Build"].splitlines()
    assert "::group::Validate" in lines
    assert lines.count("::endgroup::") == sum(line.startswith("::group::") for line in lines)
    assert any(line.startswith("::warning title=") for line in lines), "vnetConfig means nothing here"
    assert any(
        line.startswith("::warning file=image/template.json,line=")
        for line in said["Check the template"].splitlines()
    )
    assert "## ✅ image: Succeeded" in summary.read_text()
    assert "state=Succeeded" in outputs.read_text().splitlines()
    check(checkout, home, said["Pack bases and layers"])


@pytest.mark.long
def test_azures_steps(checkout: Checkout, tmp_path: Path) -> None:
    begin(checkout, "goldsmith-cache/cache.tar")
    home, env = tmp_path / "home", {"TF_BUILD": "True"}
    pipeline = load(FILES["azure-pipelines"])
    said = {}
    for step in pipeline["steps"]:
        command = step.get("bash") or step.get("inputs", {}).get("inlineScript")
        if command:
            said[step["displayName"]] = checkout.run(command, env, home)
    lines = said["Build"].splitlines()
    assert "##[group]Validate" in lines
    assert any(line.startswith("##vso[task.logissue type=warning;") for line in lines)
    assert f"##vso[task.uploadsummary]{checkout.path}/summary.md" in lines
    assert "##vso[task.setvariable variable=state;isOutput=true]Succeeded" in lines
    assert "## ✅ image: Succeeded" in (checkout.path / "summary.md").read_text()
    check(checkout, home, said["Pack bases and layers"])


@pytest.mark.long
def test_gitlabs_script(checkout: Checkout, tmp_path: Path) -> None:
    begin(checkout, "goldsmith-cache.tar")
    home = tmp_path / "home"
    env = {"GITLAB_CI": "true", "CI_PROJECT_DIR": str(checkout.path), "AZURE_ID_TOKEN": "none"}
    job = load(FILES["gitlab-ci"])["golden-image"]
    said = ""
    for command in (*job["before_script"], *job["script"], *job["after_script"]):
        if command.startswith(("apt-get", "git clone")):
            continue  # the container's own preparation; the clone is there
        said = checkout.run(command, env, home)
        if "build run" in command:
            assert "section_start:" in said
            assert ":validate[collapsed=true]\r" in said
    values = dict(line.split("=", 1) for line in (checkout.path / "image.env").read_text().splitlines())
    assert values["state"] == "Succeeded"
    assert Path(next(value for name, value in values.items() if name.endswith("_path"))).is_file()
    check(checkout, home, said)


def expression(name: str) -> str:
    return f"${{{{ {name} }}}}"


def inputs(words: dict[str, str], values: dict[str, str]) -> dict[str, str]:
    """A step's variables, each of which is one of the service's expressions, filled in."""
    known = {expression(name): value for name, value in values.items()}
    return {name: known[text] for name, text in words.items()}


@pytest.mark.long
def test_the_actions_steps(checkout: Checkout, tmp_path: Path) -> None:
    """`.ci/github` as a workflow's `uses:` runs it: the expressions filled in, its files of commands read."""
    begin(checkout, "goldsmith-cache.tar")
    home, runner = tmp_path / "home", tmp_path / "runner"
    runner.mkdir()
    outputs, summary = runner / "outputs", runner / "summary"
    outputs.touch()
    env = {
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_OUTPUT": str(outputs),
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_ACTION_PATH": str(checkout.path / "goldsmith" / ".ci" / "github"),
        "RUNNER_TEMP": str(runner),
    }
    values = {
        "inputs.templates": "image/template.json",
        "inputs.arguments": "--junit validators.xml",
        "inputs.output-dir": "out",
    }
    action = load(FILES["github-actions"])
    assert {f"inputs.{name}" for name in action["inputs"]} == {*values, "inputs.cache"}
    said = {
        step["name"]: checkout.run(step["run"], {**env, **inputs(step.get("env", {}), values)}, home)
        for step in action["runs"]["steps"]
        if "run" in step
    }
    assert "::group::Validate" in said["Build"].splitlines()
    assert "## ✅ image: Succeeded" in summary.read_text()
    told = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
    assert told["state"] == "Succeeded"
    for name, output in action["outputs"].items():
        assert output["value"] == expression(f"steps.build.outputs.{name}")
        assert name in told
    file = dict(line.split("=", 1) for line in Path(told["file"]).read_text().splitlines())
    assert file["run_id"] == told["run_id"]
    check(checkout, home, said["Pack bases and layers"])


def test_the_templates_steps_for_azure(checkout: Checkout, tmp_path: Path) -> None:
    """`.ci/azure/goldsmith.yml` as a pipeline expands it: parameters and variables filled in."""
    agent = tmp_path / "agent"
    agent.mkdir()
    home, env = tmp_path / "home", {"TF_BUILD": "True", "AGENT_TEMPDIRECTORY": str(agent)}
    begin(checkout, "goldsmith-cache/cache.tar")
    values = {
        "parameters.templates": "self/image/template.json",
        "parameters.arguments": f"--junit {checkout.path}/validators.xml",
        "parameters.outputDir": "out",
        "parameters.path": str(checkout.path / "goldsmith"),
    }
    steps = load(ROOT / ".ci" / "azure" / "goldsmith.yml")
    assert {f"parameters.{one['name']}" for one in steps["parameters"]} == set(values)
    said = {}
    for step in (one for one in steps["steps"] if "bash" in one):
        command = step["bash"].replace("$(Pipeline.Workspace)", str(checkout.path))
        title = step["displayName"]
        said[title] = checkout.run(command, {**env, **inputs(step.get("env", {}), values)}, home)
        for line in said[title].splitlines():
            if line.startswith("##vso[task.prependpath]"):
                env["PATH"] = f"{line.split(']', 1)[1]}:{env.get('PATH', os.environ['PATH'])}"
    lines = said["Build"].splitlines()
    assert "##[group]Validate" in lines
    assert f"##vso[task.uploadsummary]{agent}/goldsmith.md" in lines
    assert "##vso[task.setvariable variable=state;isOutput=true]Succeeded" in lines
    assert "## ✅ image: Succeeded" in (agent / "goldsmith.md").read_text()
    check(checkout, home, said["Pack bases and layers"])
