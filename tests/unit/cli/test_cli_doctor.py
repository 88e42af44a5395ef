"""The doctor's checks, each without a machine, and its verdict."""

import json
from pathlib import Path

import pytest

from builder import cli, doctor
from builder.doctor import GIB, Result, Tool
from builder.errors import EnvironmentProblem, ExitCode

NOTHING = {}.get


def has(**programs):
    return programs.get


def version(text):
    return lambda _path: text


def test_python():
    assert doctor.check_python((3, 11, 2)).status == "ok"
    assert doctor.check_python((3, 10, 9)).status == "fail"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)", "ok"),
        ("QEMU emulator version 10.0.2", "ok"),
        ("qemu-img version 6.2.0", "fail"),
        ("", "warn"),
    ],
)
def test_qemu(said, status):
    result = doctor.check_qemu(has(q="/usr/bin/q"), version(said), "q", "qemu-utils")
    assert result.status == status


def test_missing_programs_name_their_package():
    missing = [
        doctor.check_qemu(NOTHING, version(""), "qemu-img", "qemu-utils"),
        doctor.check_tool(NOTHING, Tool("mformat", "mtools", "x")),
        doctor.check_tool(NOTHING, Tool("mcopy", "mtools", "x")),
        doctor.check_uidmap(NOTHING, uid=1000, user="ann", subuid="ann:1:65536"),
    ]
    assert {result.status for result in missing} == {"fail"}
    assert doctor.install_command(missing) == "sudo apt-get install qemu-utils mtools uidmap"
    assert doctor.verdict(missing) == ExitCode.ENVIRONMENT


def test_something_optional_missing_is_a_warning():
    result = doctor.check_tool(NOTHING, Tool("ssh", "openssh-client", "x", needed=False))
    assert (result.status, doctor.verdict([result])) == ("warn", ExitCode.OK)


def test_uidmap():
    find = has(newuidmap="/usr/bin/newuidmap")
    assert doctor.check_uidmap(NOTHING, uid=0, user="root", subuid="").status == "ok"

    def check(subuid, attempt=list):
        return doctor.check_uidmap(find, uid=1000, user="ann", subuid=subuid, attempt=attempt)

    def refuse():
        raise EnvironmentProblem("no namespace", details=("unshare: not permitted",), hint="Allow it.")

    assert check("bob:1:65536\nann:2:65536").status == "ok"
    assert check("1000:2:65536").status == "ok"
    result = check("bob:1:65536")
    assert result.status == "fail"
    assert "usermod" in result.advice
    refused = check("ann:1:65536", refuse)
    assert (refused.status, refused.found, refused.advice) == (
        "fail", "refused: unshare: not permitted", "Allow it.",
    )  # fmt: skip


def test_without_user_namespaces_a_machine_builds_from_other_sources(monkeypatch):
    refused = Result("user namespaces", "fail", "refused: not permitted", "Allow it.")
    no_keys = Result("Debian keys", "fail", "not installed", packages=("debian-archive-keyring",))
    shown = [doctor._for_one_kind_of_source(one) for one in (refused, no_keys)]
    assert [one.status for one in shown] == ["warn", "fail"]
    assert "cache import" in shown[0].advice
    assert shown[0].advice.endswith("Allow it.")


@pytest.mark.parametrize(("free", "status"), [(3 * GIB, "fail"), (5 * GIB, "warn"), (50 * GIB, "ok")])
def test_disk(free, status):
    assert doctor.check_disk(free, Path("/h")).status == status


@pytest.mark.parametrize(
    ("free", "status"), [(0, "warn"), (GIB // 2, "fail"), (2 * GIB, "warn"), (8 * GIB, "ok")]
)
def test_memory(free, status):
    assert doctor.check_memory(free).status == status


def test_meminfo():
    assert doctor.memory_available("MemTotal: 9 kB\nMemAvailable:   2048 kB\n") == 2 * 1024**2
    assert doctor.memory_available("") == 0


def test_home(tmp_path):
    results = list(doctor.check_home(tmp_path / "new"))
    assert [result.status for result in results] == ["ok", "ok"]
    assert list((tmp_path / "new").iterdir()) == []


def test_home_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    (result,) = doctor.check_home(tmp_path / "file")
    assert result.status == "fail"


def test_home_without_hard_links(tmp_path, monkeypatch):
    def refuse(*_args):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert [result.status for result in doctor.check_home(tmp_path)] == ["ok", "warn"]


@pytest.fixture
def found(monkeypatch, tmp_path):
    monkeypatch.setenv("GOLDSMITH_HOME", str(tmp_path))
    results = [Result("qemu", "ok", "8.0"), Result("ovmf", "fail", "none", packages=("ovmf",))]
    monkeypatch.setattr(doctor, "examine", lambda *_args, **_more: results)
    return results


def test_command(found, capsys):
    assert cli.main(["doctor"]) == 3
    out = capsys.readouterr().out
    assert "FAIL  ovmf  none" in out
    assert "sudo apt-get install ovmf" in out
    assert "cannot build yet" in out
    del found[1]
    assert cli.main(["doctor"]) == 0
    assert "This machine can build." in capsys.readouterr().out


def test_command_as_json(found, capsys):
    assert cli.main(["doctor", "--json"]) == 3
    data = json.loads(capsys.readouterr().out)
    assert data["ready"] is False
    assert data["install"] == "sudo apt-get install ovmf"
    assert [check["status"] for check in data["checks"]] == ["ok", "fail"]
