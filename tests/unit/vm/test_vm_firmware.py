import json

import pytest

from builder.errors import EnvironmentProblem
from builder.vm.firmware import choose_firmware


@pytest.fixture
def shelf(tmp_path):
    """Writes descriptors with files that exist."""

    def put(name, directory="usr", **changes):
        folder = tmp_path / directory
        folder.mkdir(exist_ok=True)
        code, variables = tmp_path / f"{name}_CODE_4M.fd", tmp_path / f"{name}_VARS_4M.fd"
        if "code" in changes:
            code = tmp_path / changes.pop("code")
        code.write_bytes(b"code")
        variables.write_bytes(b"vars")
        data = {
            "interface-types": ["uefi"],
            "mapping": {
                "device": "flash",
                "executable": {"filename": str(code), "format": changes.pop("format", "raw")},
                "nvram-template": {"filename": str(variables), "format": "raw"},
            },
            "targets": [{"architecture": "x86_64", "machines": ["pc-i440fx-*", "pc-q35-*"]}],
            "features": ["acpi-s3"],
        } | changes
        (folder / f"{name}.json").write_text(json.dumps(data))
        return code

    return put


def choose(tmp_path, *directories):
    return choose_firmware("V2", directories=[tmp_path / d for d in directories or ("usr",)], known=())


def test_generation_1_is_qemus_own():
    assert choose_firmware("V1", directories=(), known=()) is None


def test_secure_boot_arm_and_bios_are_passed_over(tmp_path, shelf):
    shelf("10-secure", features=["secure-boot", "requires-smm"])
    shelf("20-arm", targets=[{"architecture": "aarch64", "machines": ["virt-*"]}])
    shelf("30-bios", **{"interface-types": ["bios"]})
    shelf("40-pc", targets=[{"architecture": "x86_64", "machines": ["pc-i440fx-*"]}])
    shelf("45-memory", mapping={"device": "memory", "filename": "/x"})
    wanted = shelf("50-plain")
    assert choose(tmp_path).code == wanted


def test_format_is_taken_from_the_descriptor(tmp_path, shelf):
    shelf("50-plain", format="qcow2")
    found = choose(tmp_path)
    assert (found.code_format, found.vars_format) == ("qcow2", "raw")


def test_4m_wins_over_an_earlier_2m(tmp_path, shelf):
    shelf("10-small", code="OVMF_CODE.fd")
    wanted = shelf("60-large")
    assert choose(tmp_path).code == wanted


def test_an_administrators_file_hides_its_namesake(tmp_path, shelf):
    shelf("50-plain", directory="usr")
    wanted = shelf("50-plain", directory="etc", code="own_4M.fd")
    assert choose(tmp_path, "etc", "usr").code == wanted


def test_an_empty_file_switches_its_namesake_off(tmp_path, shelf):
    shelf("50-plain", directory="usr")
    wanted = shelf("60-other", directory="usr")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "50-plain.json").write_text("")
    assert choose(tmp_path, "etc", "usr").code == wanted


def test_broken_descriptors_and_missing_files_are_passed_over(tmp_path, shelf):
    shelf("10-gone").unlink()
    (tmp_path / "usr" / "20-broken.json").write_text("{")
    (tmp_path / "usr" / "30-list.json").write_text("[]")
    wanted = shelf("50-plain")
    assert choose(tmp_path).code == wanted


def test_known_paths_without_descriptors(tmp_path):
    code, variables = tmp_path / "c.fd", tmp_path / "v.fd"
    code.touch()
    variables.touch()
    found = choose_firmware("V2", directories=(), known=[(tmp_path / "no", variables), (code, variables)])
    assert (found.code, found.code_format) == (code, "raw")


def test_missing_firmware_says_what_to_install(tmp_path):
    with pytest.raises(EnvironmentProblem) as caught:
        choose(tmp_path)
    assert "apt-get install ovmf" in caught.value.hint


def test_variables_are_copied_once(tmp_path, shelf):
    shelf("50-plain")
    firmware = choose(tmp_path)
    target = firmware.private_vars(tmp_path / "mine.fd")
    assert target.read_bytes() == b"vars"
    target.write_bytes(b"changed by the guest")
    firmware.private_vars(target)
    assert target.read_bytes() == b"changed by the guest"
    assert firmware.vars_template.read_bytes() == b"vars"
