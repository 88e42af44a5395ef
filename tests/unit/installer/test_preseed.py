"""The answers to Debian's installer, and the archive that carries them."""

from dataclasses import replace
from pathlib import Path

import pytest

from builder.deadline import Deadline
from builder.events import EventBus
from builder.installer import preseed
from builder.installer.cpio import archive
from builder.installer.installation import Wanted
from builder.redact import Redactor
from builder.services import Services
from builder.settings import Home, Settings
from builder.sources.mirrors import Mirrors

WANTED = Wanted("V2", "packer", "ssh-ed25519 AAAA build", "PRIVATE\n", "ssh-ed25519 BBBB host", ("vim",))
LINES = (
    "deb http://mirror.example/debian bookworm main",
    "deb http://mirror.example/debian bookworm-updates main",
    "deb https://127.0.0.1:8443/debian-security/ bookworm-security main",
)


@pytest.fixture
def rendered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    redactor = Redactor()
    services = Services(
        home=Home(tmp_path),
        settings=Settings(),
        bus=EventBus(redactor),
        redactor=redactor,
        deadline=Deadline(60),
        base_dir=tmp_path,
        output_dir=tmp_path,
    )

    def render(lines: tuple[str, ...] = LINES, wanted: Wanted = WANTED, version: str = "12.15"):
        monkeypatch.setattr(preseed, "find_mirrors", lambda *_: Mirrors("machine", lines))
        monkeypatch.setattr(preseed, "apt_proxies", lambda: {"http_proxy": "http://localhost:3128"})
        return preseed.render(version, wanted, services)

    return render


def answers(files) -> dict[str, str]:
    """Question -> answer, as debconf-set-selections reads them: a line may go on after a backslash."""
    text = files["preseed.cfg"][0].replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for line in lines:
        assert line.split()[2] in ("string", "boolean", "select", "multiselect", "password", "note"), line
    return {line.split()[1]: line.split(None, 3)[3] if len(line.split()) > 3 else "" for line in lines}


def test_the_mirror_is_this_machines_and_loopback_is_reached_as_the_guest_sees_it(rendered):
    found = answers(rendered())
    assert found["mirror/http/hostname"] == "mirror.example"
    assert found["mirror/http/directory"] == "/debian"
    assert found["mirror/http/proxy"] == "http://10.0.2.2:3128"
    assert found["mirror/suite"] == "bookworm"
    assert found["apt-setup/services-select"] == "security, updates"
    assert found["apt-setup/security_host"] == "10.0.2.2:8443"
    assert found["apt-setup/security_path"] == "/debian-security"
    assert found["apt-setup/security_protocol"] == "https"


def test_without_a_known_mirror_the_installer_takes_its_own(rendered):
    found = answers(rendered(()))
    assert not [name for name in found if name.endswith(("/hostname", "/directory")) and "mirror" in name]
    assert found["apt-setup/services-select"] == "security, updates"


def test_a_mirror_without_security_updates_is_not_asked_for_them(rendered):
    found = answers(rendered(LINES[:2]))
    assert found["apt-setup/services-select"] == "updates"
    assert "apt-setup/security_host" not in found


@pytest.mark.parametrize(("generation", "sign"), [("V1", "biosgrub"), ("V2", "method{ efi }")])
def test_one_root_and_what_the_firmware_needs(rendered, generation, sign):
    recipe = answers(rendered(wanted=replace(WANTED, generation=generation)))["partman-auto/expert_recipe"]
    assert sign in recipe
    assert recipe.count("mountpoint{") == 1
    assert "swap" not in recipe
    assert recipe.rstrip().endswith("mountpoint{ / } .")


def test_packages_and_nobody_with_a_password(rendered):
    found = answers(rendered())
    assert {"cloud-init", "waagent", "openssh-server", "sudo", "vim"} <= set(found["pkgsel/include"].split())
    assert found["base-installer/kernel/image"] == "linux-image-cloud-amd64"
    assert found["passwd/root-password-crypted"] == "!"
    assert found["passwd/make-user"] == "false"
    assert found["debian-installer/exit/poweroff"] == "true"


def test_files_beside_the_preseed_and_no_secret_in_it(rendered):
    files = rendered()
    assert files["goldsmith/host_key"] == ("PRIVATE\n", 0o600)
    assert not [
        name for name, (text, _) in files.items() if "PRIVATE" in text and name != "goldsmith/host_key"
    ]
    last, mode = files["usr/lib/finish-install.d/95goldsmith"]
    assert last.startswith("#!/bin/sh\nconsole='/dev/ttyS0'\nmarker='GOLDSMITH:'\n")
    assert mode == 0o755
    assert "hv_storvsc" in files["goldsmith/files/etc/initramfs-tools/hooks/hypervisors"][0]
    for name, (text, _) in files.items():
        if name.endswith(".sh"):
            assert text.startswith(("console=", "user=")), f"{name}: its settings come first"


@pytest.mark.parametrize(("version", "codename"), [("11", "bullseye"), ("13.1", "trixie")])
def test_releases_by_their_names(rendered, version, codename):
    assert answers(rendered((), version=version))["mirror/suite"] == codename


def test_the_digest_follows_the_texts(monkeypatch):
    before = preseed.digest()
    assert preseed.digest() == before
    monkeypatch.setattr(preseed, "EPOCH", preseed.EPOCH + 1)
    assert preseed.digest() != before


def test_it_is_appended_to_the_initrd_at_a_multiple_of_four(tmp_path: Path):
    initrd = tmp_path / "initrd"
    initrd.write_bytes(b"12345")
    preseed.add_to(initrd, {"preseed.cfg": ("d-i x/y string z\n", 0o644)})
    data = initrd.read_bytes()
    assert data[:8] == b"12345\0\0\0"
    assert data[8:14] == b"070701"
    assert initrd.stat().st_mode & 0o777 == 0o600


def entries(data: bytes) -> dict[str, tuple[int, bytes]]:
    """Read it back as the kernel does: a header of 13 numbers, the name, the content, each padded to four."""
    found, at = {}, 0
    while True:
        assert data[at : at + 6] == b"070701"
        numbers = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = numbers[1], numbers[6], numbers[11]
        name = data[at + 110 : at + 110 + name_size - 1].decode()
        start = at + 110 + name_size + -(110 + name_size) % 4
        if name == "TRAILER!!!":
            return found
        found[name] = mode, data[start : start + size]
        at = start + size + -size % 4


def test_an_archive_has_its_folders_first_and_can_be_read_back():
    found = entries(archive({"a/b/c.sh": (b"echo", 0o755), "a/d": (b"", 0o644), "l": (b"a/d", 0o120777)}))
    assert list(found) == ["a", "a/b", "a/b/c.sh", "a/d", "l"]
    assert found["a/b"] == (0o040755, b"")
    assert found["a/b/c.sh"] == (0o100755, b"echo")
    assert found["l"] == (0o120777, b"a/d")
