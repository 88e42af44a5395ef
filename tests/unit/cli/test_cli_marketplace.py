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
    assert image["catalogue"] == "yours"
    assert cli.main(["marketplace", "list", "nothing-like-it"]) == 2


def test_list_by_what_it_is(capsys):
    options = ["--publisher", "canonical", "--generation", "2", "--os", "linux", "--architecture", "X64"]
    assert cli.main(["marketplace", "list", *options, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {(image["publisher"], image["generation"]) for image in found} == {("Canonical", "V2")}
    assert cli.main(["marketplace", "list", "--generation", "V3"]) == 2
    assert "--generation V3: choose V1 or V2" in capsys.readouterr().err


def test_search_ranks(capsys):
    assert cli.main(["marketplace", "search", "debian 13", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [image["sku"] for image in found] == ["13", "13-gen2"]
    assert cli.main(["marketplace", "search", "debian", "windows"]) == 2


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
    assert [recipe["kind"] for recipe in image["recipes"]] == ["bootstrap", "download"]
    assert "fetched by us on" in image["recipes"][0]["mark"]
    assert image["recipes"][1]["mark"] == "never fetched by us"


def test_show_says_how_it_comes_what_proves_it_and_what_to_paste(capsys):
    assert cli.main(["marketplace", "show", "RESF:rockylinux-x86_64:9-base"]) == 0
    out = capsys.readouterr().out
    assert "Plan       resf:rockylinux-x86_64:9-base" in out
    assert "User       rocky" in out
    assert "downloaded from https://" in out
    assert "https alone proves it" in out
    assert "Mark     never fetched by us" in out
    source = json.loads(out.partition('"source": ')[2])
    assert source["planInfo"] == {
        "planName": "9-base",
        "planProduct": "rockylinux-x86_64",
        "planPublisher": "resf",
    }


def test_show_what_is_to_be_brought(capsys):
    assert cli.main(["marketplace", "show", "RedHat:RHEL:7-RAW"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("RedHat:RHEL:7.6\n")
    assert 'Or       a source of type "ISO"' in out
    assert "Mark" not in out


def test_show_follows_the_setting(capsys, monkeypatch):
    monkeypatch.setenv("GOLDSMITH_SOURCE_RECIPE", "bootstrap")
    assert cli.main(["marketplace", "show", "Canonical:ubuntu-24_04-lts:server", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recipe"]["kind"] == "bootstrap"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("Debian", "publisher:offer:sku"), ("a:b:c:d:e", "publisher:offer:sku"), ("a::c", "publisher:offer:sku"),
     ("Debian:debian-12:12-gen3", "Did you mean Debian:debian-12:12"),
     ("Debian:debian-12:12:9.9", "Versions here")],
)  # fmt: skip
def test_show_what_is_not_there(capsys, name, hint):
    assert cli.main(["marketplace", "show", name]) == 2
    assert hint in capsys.readouterr().err


def _raw(path):
    path.write_bytes(b"x" * 1024)
    return path


def test_fetch_gets_it_ready_and_says_when_it_was(capsys, home):
    disk = _raw(home / "me.raw")
    own = json.loads((home / "catalogue.json").read_text())
    own["images"][0]["versions"]["2.0"] = {"kind": "file", "path": str(disk), "format": "raw"}
    (home / "catalogue.json").write_text(json.dumps(own))
    assert cli.main(["marketplace", "fetch", "me:web:1"]) == 0
    assert capsys.readouterr().out == f"Me:web:1:2.0 was here already: 1.0 KiB, {disk}\n"
    assert cli.main(["marketplace", "fetch", "me:web:1:2.0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == str(disk)
    assert cli.main(["marketplace", "fetch", "me:web:1", "--recipe", "magic"]) == 2
    assert cli.main(["marketplace", "fetch", "RedHat:RHEL:8"]) == 2
    assert "is yours to bring" in capsys.readouterr().err


def test_provide_then_show(capsys, home):
    disk = _raw(home / "rhel.raw")
    assert cli.main(["marketplace", "provide", "RedHat:RHEL:8-gen2", str(disk), "--format", "raw"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"RedHat:RHEL:8-gen2:8.0.0 is {disk} (raw, 1.0 KiB).\nsha256 ")
    assert cli.main(["marketplace", "fetch", "RedHat:RHEL:8-gen2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == str(disk)
    disk.write_bytes(b"y" * 1024)
    assert cli.main(["marketplace", "fetch", "RedHat:RHEL:8-gen2"]) == 2
    assert "is not the file that RedHat:RHEL:8-gen2:8.0.0 promises" in capsys.readouterr().err


def test_a_team_catalogue_comes_is_listed_and_goes(capsys, home, tmp_path_factory):
    team = tmp_path_factory.mktemp("team") / "team.json"
    image = {"publisher": "Debian", "offer": "debian-12", "sku": "12",
             "versions": {"12.0.0": {"kind": "bootstrap", "suite": "bookworm", "sizeMib": 8192}}}  # fmt: skip
    team.write_text(json.dumps({"format": 1, "images": [image]}))
    assert cli.main(["marketplace", "add", str(team)]) == 0
    assert "It lies over Debian:debian-12:12:12.0.0." in capsys.readouterr().out
    assert cli.main(["marketplace", "add", str(team)]) == 2
    assert cli.main(["marketplace", "add", str(team), "--name", "b", "--sha256", "12"]) == 2
    capsys.readouterr()
    assert cli.main(["marketplace", "catalogues", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["images"], row["problem"]) for row in rows][1:] == [
        ("team", 1, ""),
        ("yours", 1, ""),
    ]
    assert cli.main(["marketplace", "update"]) == 0
    assert capsys.readouterr().out == "team: unchanged, 1 image.\n"
    (home / "catalogues/team.json").write_text("{")
    (home / "catalogue.json").write_text('{"format": 7}')
    assert cli.main(["marketplace", "catalogues"]) == 0
    assert "team.json:1:2" in capsys.readouterr().out
    (home / "catalogue.json").unlink()
    assert cli.main(["marketplace", "list"]) == 2
    assert "build marketplace remove team" in capsys.readouterr().err
    assert cli.main(["marketplace", "remove", "team"]) == 0
    assert cli.main(["marketplace", "list", "--json"]) == 0


def test_update_without_any(capsys):
    assert cli.main(["marketplace", "update"]) == 0
    assert "There are no team catalogues" in capsys.readouterr().out


def test_schema(capsys, tmp_path):
    assert cli.main(["marketplace", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["title"] == "Goldsmith catalogue"
    assert cli.main(["marketplace", "schema", "--output", str(tmp_path / "s.json")]) == 0
    assert json.loads((tmp_path / "s.json").read_text()) == schema
    assert cli.main(["marketplace", "schema", "--output", str(tmp_path / "none/s.json")]) == 2


def test_the_shell_completes_names(home):
    from builder.cli.marketplace import _complete

    assert _complete("debian:debian-13") == ["Debian:debian-13:13", "Debian:debian-13:13-gen2"]
    (home / "catalogue.json").write_text("{")
    assert _complete("debian:debian-13") == []


def test_no_token_of_an_address_is_shown(capsys, home):
    sums = {
        "url": "https://me:pw@x.example/SUMS?sig=hidden", "style": "detached",
        "signatureUrl": "https://x.example/SUMS.gpg?sig=hidden", "keyring": "acme.gpg",
    }  # fmt: skip
    recipe = {
        "kind": "download", "url": "https://me:pw@x.example/a.img?sig=hidden",
        "mirrors": ["https://y.example/a.img?sig=hidden"], "sums": sums,
    }  # fmt: skip
    image = {"publisher": "Me", "offer": "web", "sku": "1", "versions": {"1.0": recipe}}
    (home / "catalogue.json").write_text(json.dumps({"format": 1, "images": [image]}))
    for words in (["show", "me:web:1"], ["show", "me:web:1", "--json"], ["list", "web", "--json"]):
        assert cli.main(["marketplace", *words]) == 0
        out = capsys.readouterr().out
        assert "https://x.example/" in out
        assert "hidden" not in out
        assert "pw@" not in out


def test_update_goes_on_past_one_that_is_gone(capsys, tmp_path):
    for name in ("a", "b", "c"):
        file = tmp_path / f"{name}.json"
        file.write_text('{"format": 1, "images": []}')
        assert cli.main(["marketplace", "add", str(file)]) == 0
    (tmp_path / "a.json").unlink()
    (tmp_path / "b.json").write_text('{"format": 1,')
    (tmp_path / "c.json").write_text('{"format": 1, "images": [ ]}')
    capsys.readouterr()
    assert cli.main(["marketplace", "update"]) == 2
    shown = capsys.readouterr()
    assert shown.out == "c: changed, 0 images.\n"
    assert f"The file {tmp_path}/a.json does not exist" in shown.err
    assert f"{tmp_path}/b.json:1:14: " in shown.err
