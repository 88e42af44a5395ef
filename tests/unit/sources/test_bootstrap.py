"""What goes into a bootstrap: the command and the files."""

import io
import tarfile
from pathlib import Path

import pytest

from builder.sources import bootstrap, debian
from builder.sources.bootstrap import mmdebstrap_argv, overlay_tar
from builder.sources.mirrors import Mirrors

UUID = "11111111-2222-3333-4444-555555555555"


def _argv(monkeypatch, mirrors: Mirrors = Mirrors("default")) -> list[str]:  # noqa: B008
    monkeypatch.setattr(bootstrap, "require", lambda program, package: program)
    return mmdebstrap_argv(
        "bookworm",
        Path("/o.tar"),
        mirrors,
        before=Path("/b c"),
        after=Path("/a"),
        packages=("jq",),
    )


def test_the_command(monkeypatch):
    argv = _argv(monkeypatch)
    assert {"--mode=root", "--variant=minbase", f"--keyring={bootstrap.KEYRING}"} <= set(argv)
    assert argv[-2:] == ["bookworm", "/o.tar"]
    include = next(word for word in argv if word.startswith("--include=")).partition("=")[2].split(",")
    assert {"waagent", "cloud-init", "openssh-server", "linux-image-cloud-amd64", "jq"} <= set(include)
    assert "--essential-hook=tar-in '/b c' /" in argv


def test_mirrors_come_last(monkeypatch):
    lines = ("deb http://a.example/debian bookworm main",)
    assert _argv(monkeypatch, Mirrors("machine", lines))[-1:] == list(lines)


def test_the_overlay_is_owned_by_root_and_always_the_same():
    files = {"etc/x": ("text\n", 0o600), "etc/a": ("", 0o755)}
    data = overlay_tar(files)
    assert data == overlay_tar(dict(reversed(files.items())))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = {m.name: m for m in tar}
        assert tar.extractfile("etc/x").read() == b"text\n"
    assert all((m.uid, m.gid, m.mtime) == (0, 0, 0) for m in members.values())
    assert (members["etc/x"].mode, members["etc/a"].mode) == (0o600, 0o755)


def test_the_image_finds_its_root_and_talks_on_the_serial_port():
    files = debian.files_after(UUID)
    config = files["boot/grub/grub.cfg"][0]
    assert f"root=UUID={UUID} ro console=tty0 console=ttyS0,115200" in config
    assert "net.ifnames=0" in config
    assert "rootdelay" not in config
    assert files["etc/fstab"][0].startswith(f"UUID={UUID} / ext4 ")


@pytest.mark.parametrize(
    "driver", ["hv_vmbus", "hv_storvsc", "hv_netvsc", "hv_utils", "virtio_blk", "ata_piix"]
)
def test_the_initramfs_carries_the_drivers(driver):
    hook, mode = debian.files_before(UUID)["etc/initramfs-tools/hooks/hypervisors"]
    assert f" {driver}" in hook
    assert mode == 0o755


def test_the_base_carries_no_identity_of_its_own():
    files = debian.files_after(UUID)
    assert files["etc/machine-id"][0] == ""
    assert "rm -f /etc/ssh/ssh_host_" in files["root/finish.sh"][0]
    assert "source /etc/network/interfaces.d/*" in files["etc/network/interfaces"][0]
