from __future__ import annotations

import pytest

from builder.errors import NotFoundError, PreflightError
from builder.installer.media import MediumError, parse_variant, read_medium, take_out
from tests.unit.installer import made_media as made


@pytest.mark.parametrize(
    ("family", "version", "name", "variant"),
    [
        ("Red Hat Enterprise Linux", "7.9", "Red Hat Enterprise Linux 7.9", "rhel7.9"),
        ("Red Hat Enterprise Linux", "8.4", "Red Hat Enterprise Linux 8.4", "rhel8.4"),
        ("Red Hat Enterprise Linux", "9.6", "Red Hat Enterprise Linux 9.6", "rhel9.6"),
        ("Red Hat Enterprise Linux", "10.0", "Red Hat Enterprise Linux 10.0", "rhel10.0"),
        ("AlmaLinux", "9.4", "AlmaLinux 9.4", "almalinux9.4"),
        ("Rocky Linux", "8.10", "Rocky Linux 8.10", "rocky8.10"),
        ("CentOS Stream", "9", "CentOS Stream 9", "centos-stream9"),
        ("CentOS Linux", "8", "CentOS 8", "centos8"),
        ("Oracle Linux Server", "9.3", "Oracle Linux 9.3", "ol9.3"),
    ],
)
def test_a_medium_says_what_it_installs(tmp_path, family, version, name, variant):
    medium = read_medium(made.dvd(tmp_path / "dvd.iso", family, version, label="RHEL-8-4-0-BaseOS-x86_64"))
    assert (medium.release.name, medium.release.variant) == (name, variant)
    assert medium.label == "RHEL-8-4-0-BaseOS-x86_64"
    assert medium.release.family == "anaconda"
    assert medium.has_packages


def test_centos_7_tells_its_minor_version_only_in_discinfo(tmp_path):
    medium = read_medium(made.dvd(tmp_path / "c7.iso", "CentOS", "7", disc="7.9"))
    assert medium.release.variant == "centos7.9"


@pytest.mark.parametrize("names", ["rock_ridge", "joliet", "udf"])
def test_every_name_space_serves(tmp_path, names):
    file = made.dvd(tmp_path / "dvd.iso", "AlmaLinux", "9.4", names=names)
    medium = read_medium(file)
    take_out(medium, tmp_path / "vmlinuz", tmp_path / "initrd.img")
    assert (tmp_path / "vmlinuz").read_bytes() == made.KERNEL
    assert (tmp_path / "initrd.img").read_bytes() == made.INITRD


def test_a_boot_image_has_no_packages(tmp_path):
    file = made.dvd(tmp_path / "boot.iso", "Red Hat Enterprise Linux", "9.4", packages=False)
    assert not read_medium(file).has_packages


def test_debian(tmp_path):
    medium = read_medium(made.debian(tmp_path / "debian.iso"))
    assert (medium.release.variant, medium.release.family) == ("debian12.5.0", "debian")
    take_out(medium, tmp_path / "kernel", tmp_path / "initrd")
    assert (tmp_path / "initrd").read_bytes() == b"debian initrd"


def test_debian_of_another_architecture(tmp_path):
    with pytest.raises(MediumError, match="is for arm64"):
        read_medium(made.debian(tmp_path / "debian.iso", kind="Official arm64 NETINST"))


def test_a_kernel_that_is_not_what_treeinfo_says(tmp_path):
    file = made.dvd(tmp_path / "dvd.iso", "AlmaLinux", "9.4")
    data = file.read_bytes()
    at = data.index(made.INITRD)
    file.write_bytes(data[:at] + b"X" + data[at + 1 :])
    with pytest.raises(MediumError, match=r"is damaged: images/pxeboot/initrd\.img") as caught:
        take_out(read_medium(file), tmp_path / "k", tmp_path / "i")
    assert caught.value.details[0].startswith("expected sha256 ")


def test_a_debian_kernel_is_checked_too(tmp_path):
    file = made.debian(tmp_path / "debian.iso")
    file.write_bytes(file.read_bytes().replace(b"debian kernel", b"debian kernal"))
    with pytest.raises(MediumError, match=r"install\.amd/vmlinuz"):
        take_out(read_medium(file), tmp_path / "k", tmp_path / "i")


def test_an_iso_cut_short(tmp_path):
    file = made.dvd(tmp_path / "dvd.iso", "AlmaLinux", "9.4")
    whole = file.stat().st_size
    with file.open("r+b") as out:
        out.truncate(whole - 4096)
    with pytest.raises(MediumError, match=f"cut short: it has {whole - 4096} of its {whole} bytes"):
        read_medium(file)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"\n<!DOCTYPE html><html>", "but a web page"),
        (b"QFI\xfb" + bytes(100), "the image of a disk"),
        (bytes(510) + b"\x55\xaa" + bytes(99999), "disk or stick"),
        (b"hello" * 20000, "is not an ISO image"),
    ],
)
def test_what_is_no_iso(tmp_path, content, what):
    file = tmp_path / "x.iso"
    file.write_bytes(content)
    with pytest.raises(MediumError, match=what):
        read_medium(file)


def test_an_iso_that_is_not_there(tmp_path):
    with pytest.raises(NotFoundError, match="does not exist"):
        read_medium(tmp_path / "no.iso")


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({"casper/vmlinuz": b"x"}, "a live image of Ubuntu"),
        ({"live/filesystem.squashfs": b"x"}, "a live image of Debian"),
        ({"LiveOS/squashfs.img": b"x"}, "a live image"),
        ({"boot/x86_64/loader/linux": b"x"}, "a SUSE installation medium"),
        ({".disk/info": b"Debian", "install.386/vmlinuz": b"x"}, "32-bit"),
        ({"holiday.jpg": b"x"}, "no installation medium"),
    ],
)
def test_an_iso_of_another_kind(tmp_path, files, what):
    with pytest.raises(MediumError, match=what) as caught:
        read_medium(made.write(tmp_path / "x.iso", "SOMETHING", files))
    assert "SOMETHING" in caught.value.details[0]
    assert caught.value.hint


def test_windows_keeps_its_files_in_udf(tmp_path):
    files = {"sources/boot.wim": b"x", "setup.exe": b"x", "bootmgr": b"x"}
    with pytest.raises(MediumError, match="Windows installation medium"):
        read_medium(made.write(tmp_path / "w.iso", "CCCOMA_X64FRE", files, names="udf"))


def test_another_architecture(tmp_path):
    with pytest.raises(MediumError, match="is for aarch64"):
        read_medium(made.dvd(tmp_path / "a.iso", "Rocky Linux", "9.3", arch="aarch64"))


def test_a_release_nobody_wrote_a_kickstart_for(tmp_path):
    with pytest.raises(MediumError, match="here for 7, 8, 9 and 10"):
        read_medium(made.dvd(tmp_path / "a.iso", "Red Hat Enterprise Linux", "6.10"))


def test_an_unknown_distribution_can_be_named_by_the_template(tmp_path):
    file = made.dvd(tmp_path / "a.iso", "Hausmarke", "9.3")
    with pytest.raises(MediumError, match="installs Hausmarke") as caught:
        read_medium(file)
    assert "osVariant" in (caught.value.hint or "")
    assert read_medium(file, "rhel9.3").release.name == "Red Hat Enterprise Linux 9.3"


def test_a_variant_of_the_other_family_is_refused(tmp_path):
    file = made.dvd(tmp_path / "a.iso", "AlmaLinux", "9.3")
    with pytest.raises(MediumError, match="is another"):
        read_medium(file, "debian12")


@pytest.mark.parametrize("text", ["rhel6", "win2k19", "fedora40", "rhel", "debian9", ""])
def test_variants_that_are_not_known(text):
    with pytest.raises(PreflightError, match="is not known here"):
        parse_variant(text)


def test_a_treeinfo_without_sense(tmp_path):
    files = {".treeinfo": b"no section = x", **made.PXE}
    with pytest.raises(MediumError, match=r"\.treeinfo of .* cannot be read"):
        read_medium(made.write(tmp_path / "x.iso", "X", files))


def test_a_medium_without_its_kernel(tmp_path):
    files = {
        ".treeinfo": (made.sums() + made.NEW_TREE.format(family="AlmaLinux", version="9", arch="x86_64"))
    }
    file = made.write(tmp_path / "x.iso", "X", {".treeinfo": files[".treeinfo"].encode()})
    with pytest.raises(MediumError, match="has no images/pxeboot/vmlinuz"):
        read_medium(file)


def test_a_damaged_directory(tmp_path):
    file = made.dvd(tmp_path / "dvd.iso", "AlmaLinux", "9.4")
    with file.open("r+b") as out:
        out.seek(16 * 2048 + 156)  # the root directory's record in the primary descriptor
        out.write(b"\xff" * 34)
    with pytest.raises(MediumError, match="directory of the ISO"):
        read_medium(file)
