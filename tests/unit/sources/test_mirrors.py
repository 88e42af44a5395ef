"""Which mirror a bootstrap uses."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from builder.settings import Settings
from builder.sources.distribution import DEBIAN, UBUNTU
from builder.sources.mirrors import (
    AptSource,
    find_mirrors,
    parse_deb822,
    parse_lines,
    parse_proxies,
    read_apt,
)

STANZAS = """\
Types: deb deb-src
# a comment
URIs: http://one.example/debian
  http://two.example/debian
Suites: bookworm bookworm-updates
Components: main
 contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb-src
URIs: http://src.example/debian
Suites: bookworm
Components: main
"""


def _apt(tmp_path: Path, sources_list: str = "", sources: str = "") -> Path:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(sources_list)
    (tmp_path / "sources.list.d" / "debian.sources").write_text(sources)
    return tmp_path


def test_one_line_form_with_options_and_comments():
    text = (
        "# deb http://no.example x main\n"
        "deb [arch=amd64 signed-by=/k] http://a.example/debian bookworm main contrib # c\n"
    )
    assert parse_lines(text) == [AptSource("http://a.example/debian", "bookworm", ("main", "contrib"))]


def test_stanzas_multiply_uris_and_suites_and_skip_the_disabled():
    found = parse_deb822(STANZAS)
    assert [(s.uri, s.suite) for s in found] == [
        ("http://one.example/debian", "bookworm"),
        ("http://one.example/debian", "bookworm-updates"),
        ("http://two.example/debian", "bookworm"),
        ("http://two.example/debian", "bookworm-updates"),
    ]
    assert found[0].components == ("main", "contrib")


def test_the_setting_wins(tmp_path):
    apt = _apt(tmp_path, sources_list="deb http://a.example/debian bookworm main\n")
    found = find_mirrors(DEBIAN, "bookworm", Settings(debian_mirror="http://mine.example/debian"), apt)
    assert found.kind == "setting"
    assert found.lines[0] == "deb http://mine.example/debian bookworm main"
    assert found.key != find_mirrors(DEBIAN, "bookworm", Settings(), apt).key


def test_the_machines_own_debian_is_used(tmp_path):
    security = (
        "Types: deb\nURIs: http://s.example/sec\nSuites: bookworm-security\nComponents: main non-free\n"
    )
    apt = _apt(
        tmp_path,
        sources_list="deb http://a.example/debian bookworm main\ndeb http://third.example/apt stable main\n",
        sources=security,
    )
    found = find_mirrors(DEBIAN, "bookworm", Settings(), apt)
    assert found.kind == "machine"
    assert found.lines == (
        "deb http://a.example/debian bookworm main",
        "deb http://s.example/sec bookworm-security main",
    )


def test_another_distribution_or_local_media_mean_the_default(tmp_path):
    text = (
        "deb http://archive.example/ubuntu noble main\n"
        "deb cdrom:[x]/ bookworm main\n"
        "deb file:/m bookworm main\n"
    )
    found = find_mirrors(DEBIAN, "bookworm", Settings(), _apt(tmp_path, sources_list=text))
    assert (found.kind, found.lines) == ("default", ())


def test_the_same_archive_has_the_same_key_wherever_it_was_found(tmp_path):
    apt = _apt(tmp_path, sources_list="deb http://a.example/debian bookworm main\n")
    here = find_mirrors(DEBIAN, "bookworm", Settings(), apt)
    assert here.key == find_mirrors(DEBIAN, "bookworm", Settings(), tmp_path / "none").key


def test_no_apt_at_all(tmp_path):
    assert read_apt(tmp_path / "missing") == []


def test_an_address_with_a_password_stays_out_of_the_image(tmp_path):
    apt = _apt(tmp_path, sources_list="deb https://me:secret@a.example/debian bookworm main\n")
    assert find_mirrors(DEBIAN, "bookworm", Settings(), apt).kind == "default"
    with pytest.raises(ValidationError, match="would stand in every image"):
        Settings(debian_mirror="https://me:secret@a.example/debian")
    with pytest.raises(ValidationError, match="without spaces"):
        Settings(debian_mirror="http://a.example/debian main")


def test_proxies_of_apt():
    dump = """Acquire "";
Acquire::http "";
Acquire::http::Proxy "http://cache.example:3142";
Acquire::http::Proxy::local.example "DIRECT";
Acquire::HTTPS::proxy "DIRECT";
"""
    assert parse_proxies(dump) == {"http_proxy": "http://cache.example:3142"}
    assert parse_proxies('Acquire "";\n') == {}


def test_ubuntus_mirror_has_the_security_updates_too(tmp_path):
    settings = Settings(ubuntu_mirror="http://u.example/ubuntu", debian_mirror="http://d.example/debian")
    found = find_mirrors(UBUNTU, "noble", settings, tmp_path)
    assert found.lines == (
        "deb http://u.example/ubuntu noble main universe",
        "deb http://u.example/ubuntu noble-updates main universe",
        "deb http://u.example/ubuntu noble-security main universe",
    )
    assert found.key.startswith("setting deb http://u.example")


def test_a_machine_that_runs_that_ubuntu_lends_its_sources(tmp_path):
    text = (
        "deb http://u.example/ubuntu noble main restricted universe multiverse\n"
        "deb http://u.example/ubuntu noble-security main\n"
    )
    found = find_mirrors(UBUNTU, "noble", Settings(), _apt(tmp_path, sources_list=text))
    assert found.lines == (
        "deb http://u.example/ubuntu noble main universe",
        "deb http://u.example/ubuntu noble-security main",
    )
    assert found.key == "ubuntu" == find_mirrors(UBUNTU, "jammy", Settings(), tmp_path / "none").key
