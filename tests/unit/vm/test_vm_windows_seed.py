"""The seed of a Windows guest: its files, read back from the ISO."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pycdlib
import pytest

from builder.vm.access import BuildAccess, KeyPair, read_key
from builder.vm.seed import write_seed
from builder.vm.windows_seed import SETUP

NAMES = {"u": "urn:schemas-microsoft-com:unattend"}


def files_of(path: Path) -> dict[str, str]:
    iso = pycdlib.PyCdlib()
    iso.open(str(path))
    found = {}
    for child in iso.list_children(joliet_path="/"):
        name = child.file_identifier().decode("utf-16-be")
        if child.is_file():
            with iso.open_file_from_iso(joliet_path=f"/{name}") as file:
                found[name] = file.read().decode()
    iso.close()
    return found


@pytest.fixture
def access() -> BuildAccess:
    return BuildAccess.generate()


def test_the_files_of_a_windows_seed(tmp_path: Path, access: BuildAccess) -> None:
    path = write_seed(tmp_path / "seed.iso", access, instance_id="one", os_type="Windows")
    files = files_of(path)
    assert set(files) == {"meta-data", "user-data", "Unattend.xml", SETUP}
    assert files["meta-data"] == "instance-id: one\n"
    assert files["user-data"] == files[SETUP]
    script = files[SETUP]
    assert script.startswith("#ps1_sysnative\n$user = 'packer'\n")
    assert f"$publicKey = '{access.client_key.public}'\n" in script
    assert access.host_key.private in script
    assert access.client_key.private not in script
    assert "$create = $true\n" in script
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_answer_file_is_xml_that_setup_takes(tmp_path: Path, access: BuildAccess) -> None:
    text = files_of(write_seed(tmp_path / "seed.iso", access, os_type="Windows"))["Unattend.xml"]
    root = ElementTree.fromstring(text)
    assert [item.get("pass") for item in root.findall("u:settings", NAMES)] == ["specialize", "oobeSystem"]
    command = root.find(".//u:RunSynchronousCommand/u:Path", NAMES)
    assert command is not None
    assert command.text is not None
    assert len(command.text) <= 259, "longer ones are refused (Microsoft-Windows-Deployment reference)"
    assert f"-File %i:\\{SETUP}" in command.text
    passwords = {
        ElementTree.fromstring(
            files_of(write_seed(tmp_path / f"{n}.iso", access, os_type="Windows"))["Unattend.xml"]
        ).findtext(".//u:AdministratorPassword/u:Value", namespaces=NAMES)
        for n in range(2)
    }
    assert len(passwords) == 2


def test_a_declared_account_is_not_made(tmp_path: Path, access: BuildAccess) -> None:
    own = replace(access, declared=True, password="opens-it", client_key=KeyPair("", ""))
    script = files_of(write_seed(tmp_path / "seed.iso", own, os_type="Windows"))[SETUP]
    assert "$create = $false\n" in script
    assert "$publicKey = ''\n" in script
    assert "opens-it" not in script


def test_what_opens_a_declared_account_is_never_written(tmp_path: Path, access: BuildAccess) -> None:
    own = replace(access, declared=True, password="opens-it")
    own.save(tmp_path / "access.json")
    text = (tmp_path / "access.json").read_text()
    assert "opens-it" not in text
    assert access.client_key.private.splitlines()[-2] not in text
    loaded = BuildAccess.load(tmp_path / "access.json")
    assert (loaded.declared, loaded.password, loaded.client_key.private) == (True, None, "")
    assert set(own.secrets()) == {access.client_key.private, access.host_key.private, "opens-it"}


@pytest.mark.parametrize("text", ["", "hello", "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n"])
def test_what_is_no_key_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="no private key"):
        read_key(text)
