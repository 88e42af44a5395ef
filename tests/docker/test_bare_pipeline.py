"""The pipeline that begins on a bare machine, GitLab's: word for word, in a bare container."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from ruamel.yaml import YAML

from . import box
from .box import ROOT, Box, Done, template

pytestmark = [pytest.mark.timeout(3600), pytest.mark.long]
ADDRESS = "https://gitlab.example.com/tools/"
PROJECT = "/builds/project"


def mirror(place: Path) -> None:
    """This repository as it is committed, whoever owns it; where it came without its history, as it is."""
    source = ROOT
    place.parent.mkdir()
    config = place.with_name("gitconfig")
    config.write_text("[safe]\n\tdirectory = *\n[user]\n\tname = test\n\temail = test@example.com\n")
    env = {**os.environ, "GIT_CONFIG_GLOBAL": str(config)}

    def git(*words: str | Path, cwd: Path | None = None) -> None:
        subprocess.run(["git", *words], check=True, capture_output=True, timeout=120, env=env, cwd=cwd)

    if not (ROOT / ".git").exists():
        source = place.with_name("copy")
        made = shutil.ignore_patterns(".venv", "__pycache__", "*.egg-info", ".*_cache")
        shutil.copytree(ROOT, source, ignore=made)
        git("init", "-q", cwd=source)
        git("add", "--all", cwd=source)
        git("commit", "-q", "-m", "as it is", cwd=source)
    git("clone", "-q", "--bare", source, place)


def test_gitlabs_job_on_a_bare_machine(bare: str, plain: Box, built: Done, tmp_path: Path) -> None:
    assert built.code == 0, built.text
    job = YAML(typ="safe").load(ROOT / "examples" / "ci" / "gitlab-ci.yml")["golden-image"]
    mirror(tmp_path / "mirror" / "goldsmith.git")
    project = tmp_path / "project"
    (project / "image").mkdir(parents=True)
    image = template("image", "echo one | sudo tee /etc/made", "echo two")
    validate = {"inVMValidations": [{"type": "Shell", "name": "made", "inline": ["grep one /etc/made"]}]}
    image["properties"]["validate"] = validate
    (project / "image" / "template.json").write_text(json.dumps(image))
    # As the service restores what the last pipeline kept.
    assert plain("cache", "export", "kept.tar", "--template", "first", "--with-base").code == 0
    shutil.move(plain.work / "kept.tar", project / "goldsmith-cache.tar")
    env = {
        "CI": "true",
        "GITLAB_CI": "true",
        "CI_PROJECT_DIR": PROJECT,
        "AZURE_ID_TOKEN": "none",
        "GOLDSMITH_HOME": f"{PROJECT}/.goldsmith",
        # The example's server is this machine.
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "url.file:///mirror/.insteadOf",
        "GIT_CONFIG_VALUE_0": ADDRESS,
        "GIT_CONFIG_KEY_1": "safe.directory",
        "GIT_CONFIG_VALUE_1": "*",
    }
    volumes = ["-v", f"{project}:{PROJECT}", "-v", f"{tmp_path / 'mirror'}:/mirror:ro"]
    with box.machine(bare, ["--init", "--network", "host", *volumes]) as name:
        lines = [*job["before_script"], *job["script"]]
        said = box.execute(name, shell(lines), env, PROJECT)
        packed = box.execute(name, shell(job["after_script"]), env, PROJECT)
    assert "This machine can build." in said
    assert "section_start:" in said
    assert ":validate[collapsed=true]\r" in said
    assert "\nWrote goldsmith-cache.tar" in f"\n{packed}"
    (suite,) = ET.parse(project / "validators.xml").getroot()
    assert [(case.get("name"), len(case)) for case in suite] == [("made", 0)]
    values = dict(line.split("=", 1) for line in (project / "image.env").read_text().splitlines())
    assert values["state"] == "Succeeded"
    assert (project / "out" / "image-vhd.vhd").is_file()
    assert "## ✅ image: Succeeded" in (project / "summary.md").read_text()


def shell(lines: list[str]) -> list[str]:
    """As the runner runs a job's lines: one after the other in one shell, which ends at the first error."""
    return ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", "\n".join(lines)]
