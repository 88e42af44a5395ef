"""What goes into a bootstrap: the command and the files, for each family."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from builder.errors import EnvironmentProblem
from builder.sources import bootstrap
from builder.sources.base_files import files_after, files_before
from builder.sources.bootstrap import Bootstrap, mmdebstrap_argv, overlay_tar
from builder.sources.distribution import DEBIAN, UBUNTU, Distribution
from builder.sources.mirrors import Mirrors

UUID = "11111111-2222-3333-4444-555555555555"


def _argv(
    monkeypatch,
    mirrors: Mirrors = Mirrors("default"),  # noqa: B008
    distribution: Distribution = DEBIAN,
    suite: str = "bookworm",
) -> list[str]:
    monkeypatch.setattr(bootstrap, "require", lambda program, package: program)
    return mmdebstrap_argv(
        distribution,
        suite,
        Path("/o.tar"),
        mirrors,
        before=Path("/b c"),
        after=Path("/a"),
        packages=("jq",),
    )


def _included(argv: list[str]) -> list[str]:
    return next(word for word in argv if word.startswith("--include=")).partition("=")[2].split(",")


def test_the_command(monkeypatch):
    argv = _argv(monkeypatch)
    keyring = "--keyring=/usr/share/keyrings/debian-archive-keyring.gpg"
    assert {"--mode=root", "--variant=minbase", keyring} <= set(argv)
    assert argv[-2:] == ["bookworm", "/o.tar"]
    assert not any(word.startswith("--components") for word in argv)
    assert {"waagent", "cloud-init", "openssh-server", "linux-image-cloud-amd64", "jq"} <= set(
        _included(argv)
    )
    assert "--essential-hook=tar-in '/b c' /" in argv


@pytest.mark.parametrize(
    ("suite", "has", "lacks"),
    [
        ("xenial", {"ifupdown", "isc-dhcp-client"}, {"netplan.io", "systemd-resolved"}),
        ("bionic", {"netplan.io"}, {"ifupdown", "systemd-resolved"}),
        ("jammy", {"netplan.io", "zstd"}, {"ifupdown", "systemd-resolved"}),
        ("noble", {"netplan.io", "zstd", "systemd-resolved"}, {"ifupdown"}),
    ],
)
def test_ubuntu_comes_with_its_own_kernel_agent_and_network(monkeypatch, suite, has, lacks):
    argv = _argv(monkeypatch, distribution=UBUNTU, suite=suite)
    included = _included(argv)
    assert {"linux-image-virtual", "initramfs-tools", "walinuxagent", "grub-pc-bin", "jq"} | has <= set(
        included
    )
    assert not ({"waagent", "linux-image-cloud-amd64", "libnss-myhostname"} | lacks) & set(included)
    assert len(included) == len(set(included))
    assert "--keyring=/usr/share/keyrings/ubuntu-archive-keyring.gpg" in argv
    assert "--components=main,universe" in argv
    assert argv[-2:] == [suite, "/o.tar"]


def test_components_stand_in_the_lines_of_a_mirror(monkeypatch):
    lines = ("deb http://u.example/ubuntu noble main universe",)
    argv = _argv(monkeypatch, Mirrors("machine", lines, "ubuntu"), UBUNTU, "noble")
    assert argv[-1:] == list(lines)
    assert not any(word.startswith("--components") for word in argv)


def test_a_keyring_that_is_not_there_is_said_before_anything_runs(tmp_path, services, monkeypatch):
    from dataclasses import replace

    from builder.disk.assemble import DiskLayout

    monkeypatch.setattr(bootstrap, "inside_namespace", lambda: [])
    nobody = replace(UBUNTU, keyring=tmp_path / "none.gpg")
    made = Bootstrap(nobody, "noble", Mirrors("default"), DiskLayout("x"), tmp_path)
    with pytest.raises(EnvironmentProblem, match="come from Ubuntu") as caught:
        made.build(tmp_path / "disk.raw", deadline=services.deadline, bus=services.bus)
    assert "ubuntu-keyring" in (caught.value.hint or "")


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
    files = files_after(DEBIAN, "bookworm", UUID)
    config = files["boot/grub/grub.cfg"][0]
    assert f"root=UUID={UUID} ro console=tty0 console=ttyS0,115200" in config
    assert "net.ifnames=0" in config
    assert "rootdelay" not in config
    assert files["etc/fstab"][0].startswith(f"UUID={UUID} / ext4 ")


@pytest.mark.parametrize(
    "driver", ["hv_vmbus", "hv_storvsc", "hv_netvsc", "hv_utils", "virtio_blk", "ata_piix"]
)
def test_the_initramfs_carries_the_drivers(driver):
    hook, mode = files_before(DEBIAN, UUID)["etc/initramfs-tools/hooks/hypervisors"]
    assert f" {driver}" in hook
    assert mode == 0o755


def test_the_base_carries_no_identity_of_its_own():
    files = files_after(DEBIAN, "bookworm", UUID)
    assert files["etc/machine-id"][0] == ""
    assert "rm -f /etc/ssh/ssh_host_" in files["root/finish.sh"][0]
    assert "source /etc/network/interfaces.d/*" in files["etc/network/interfaces"][0]


def test_what_lies_in_a_debian_base_did_not_change():
    """Its files decide the base together with EPOCH: another digest here means raising EPOCH, too."""
    digests = [
        hashlib.sha256(overlay_tar(files)).hexdigest()[:16]
        for files in (files_before(DEBIAN, UUID), files_after(DEBIAN, "bookworm", UUID))
    ]
    assert (bootstrap.EPOCH, digests) == (1, ["7d497e0a71a9b559", "e8562b86375949b5"])


def test_ubuntu_is_named_in_its_boot_menu_and_netplan_does_the_network():
    before, after = files_before(UBUNTU, UUID), files_after(UBUNTU, "noble", UUID)
    assert "GRUB_DISTRIBUTOR=Ubuntu\n" in before["etc/default/grub"][0]
    assert 'menuentry "Ubuntu" {' in after["boot/grub/grub.cfg"][0]
    assert "etc/network/interfaces" not in after
    finish = after["root/finish.sh"][0]
    assert finish.index("rm -f /etc/resolv.conf") < finish.index(
        "ln -s ../run/systemd/resolve/stub-resolv.conf"
    )


def test_the_oldest_ubuntu_has_no_netplan():
    after = files_after(UBUNTU, "xenial", UUID)
    assert "etc/network/interfaces" in after
    assert "systemd/resolve" not in after["root/finish.sh"][0]
