"""`build import packer`."""

import json
from pathlib import Path

import pytest

import templates
from builder import cli
from builder.vm.sizes import smallest_size

PACKER = Path(__file__).parents[1] / "templates/packer"
SCOPE = templates.DeploymentScope("00000000-0000-0000-0000-000000000000", "goldsmith", "local")


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("GOLDSMITH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def test_the_template_goes_to_stdout_and_the_notes_to_stderr(capsys):
    assert cli.main(["import", "packer", str(PACKER / "azure-windows.json")]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["name"] == "azure-windows-win2022"
    for part in (
        "Has no counterpart",
        "builders[0].secure_boot_enabled",
        "azure-windows.json:28:",
        "Needs no counterpart",
    ):
        assert part in err


def test_an_entry_for_the_catalogue_is_shown(capsys):
    assert cli.main(["import", "packer", str(PACKER / "qemu-debian.json"), "--builder", "cloud"]) == 0
    out, err = capsys.readouterr()
    assert '"kind": "download"' in err
    # 2 CPUs and 2048 MiB.
    assert json.loads(out)["properties"]["vmProfile"]["vmSize"].startswith("Standard_")


def test_output_is_a_file_that_reads(tmp_path, capsys):
    file = tmp_path / "out.json"
    argv = ["import", "packer", str(PACKER / "azure-windows.json"), "--output", str(file)]
    assert cli.main(argv) == 0
    assert capsys.readouterr().out == ""
    assert templates.read(file, defaults=SCOPE).templates
    assert cli.main(argv) == 2
    assert "--force" in capsys.readouterr().err
    file.write_text("old")
    assert cli.main([*argv, "--force"]) == 0
    assert json.loads(file.read_text())["properties"]


def test_a_place_that_cannot_be_written(tmp_path, capsys):
    argv = ["import", "packer", str(PACKER / "azure-windows.json"), "-o", str(tmp_path / "no/out.json")]
    assert cli.main(argv) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_as_json(capsys):
    assert cli.main(["import", "packer", str(PACKER / "ubuntu.pkr.hcl"), "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["builder"] == "azure-arm.web"
    assert found["template"]["properties"]["source"]["type"] == "PlatformImage"
    note = found["notes"][0]
    assert set(note) == {"kind", "what", "where", "why", "advice", "suggestion"}
    assert note["where"]["line"] > 1
    assert err == ""


@pytest.mark.parametrize(
    "text", ["", "hello", "{}", '{"builders": 5}', "{", '{"builders": [{"type": "docker"}]}']
)
def test_a_bad_file_is_an_error_of_its_own(text, tmp_path, capsys):
    file = tmp_path / "bad"
    file.write_text(text)
    assert cli.main(["import", "packer", str(file)]) == 2
    err = capsys.readouterr().err
    assert "error:" in err
    assert "internal" not in err


def test_import_alone_shows_what_can_be_imported(capsys):
    assert cli.main(["import"]) in (0, 2)
    assert "packer" in "".join(capsys.readouterr())


def test_the_smallest_size():
    assert smallest_size(1, 512) == "Standard_B1ls"
    assert smallest_size(10_000, 1) is None
    assert smallest_size(1, 1 << 40) is None
