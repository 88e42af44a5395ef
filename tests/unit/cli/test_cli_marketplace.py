"""`build marketplace` shows what the catalogues hold."""

import json

import pytest

from builder import cli


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("GOLDSMITH_HOME", str(tmp_path))
    own = {
        "publisher": "Me",
        "offer": "web",
        "sku": "1",
        "versions": {"1.0": {"kind": "file", "path": "web.qcow2", "format": "qcow2"}},
    }
    (tmp_path / "catalogue.json").write_text(json.dumps({"format": 1, "images": [own]}))
    return tmp_path


def test_list(capsys):
    assert cli.main(["marketplace", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("Debian:debian-12:12-gen2 ") and " V2 " in line for line in lines)
    assert any(line.startswith("Me:web:1 ") for line in lines)


def test_list_some(capsys):
    assert cli.main(["marketplace", "list", "WEB", "--json"]) == 0
    (image,) = json.loads(capsys.readouterr().out)
    assert (image["urn"], image["recipe"]["kind"]) == ("Me:web:1:1.0", "file")
    assert cli.main(["marketplace", "list", "nothing-like-it"]) == 2


def test_show_gives_a_source_to_paste(capsys, home):
    assert cli.main(["marketplace", "show", "me:WEB:1"]) == 0
    out = capsys.readouterr().out
    assert str(home / "web.qcow2") in out
    source = json.loads(out.partition('"source": ')[2])
    assert source == {
        "type": "PlatformImage",
        "publisher": "Me",
        "offer": "web",
        "sku": "1",
        "version": "latest",
    }


def test_show_as_json(capsys):
    assert cli.main(["marketplace", "show", "Debian:debian-12:12", "--json"]) == 0
    image = json.loads(capsys.readouterr().out)
    assert image["generation"] == "V1"
    assert image["recipe"]["suite"] == "bookworm"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("Debian", "publisher:offer:sku"), ("a:b:c:d:e", "publisher:offer:sku"), ("a::c", "publisher:offer:sku"),
     ("Debian:debian-12:13", "Did you mean Debian:debian-12:12"),
     ("Debian:debian-12:12:9.9", "Versions here")],
)  # fmt: skip
def test_show_what_is_not_there(capsys, name, hint):
    assert cli.main(["marketplace", "show", name]) == 2
    assert hint in capsys.readouterr().err
