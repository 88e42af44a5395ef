"""Which kernel starts by default, in the forms that distributions write."""

from __future__ import annotations

import pytest

from builder.gate.boot_entry import find
from gate.image import Tree

DEBIAN = """\
if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
   set boot_once=true
else
   set default="SAVED"
fi
menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple-1' {
        load_video
        if [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi
        if [ x$feature_platform_search_hint = xy ]; then
          search --no-floppy --fs-uuid --set=root 1
        fi
        echo    'Loading Linux 6.1 ...'
        linux\t/boot/vmlinuz-6.1 root=UUID=1 ro console=ttyS0
        initrd\t/boot/initrd.img-6.1
}
submenu 'Advanced options for Debian GNU/Linux' $menuentry_id_option 'gnulinux-advanced-1' {
        menuentry 'Debian GNU/Linux, with Linux 5.10' --class debian $menuentry_id_option 'gnulinux-5.10' {
                linux   /boot/vmlinuz-5.10 root=UUID=1 ro quiet
                initrd  /boot/initrd.img-5.10
        }
}
"""
FILES = {f"/boot/{name}-{version}": "" for name in ("vmlinuz", "initrd.img") for version in ("6.1", "5.10")}


@pytest.mark.parametrize(
    ("default", "env", "version"),
    [
        ("0", "", "6.1"),
        ("1", "", "5.10"),
        ("gnulinux-5.10", "", "5.10"),
        ("gnulinux-advanced-1>gnulinux-5.10", "", "5.10"),
        ("Advanced options for Debian GNU/Linux>Debian GNU/Linux, with Linux 5.10", "", "5.10"),
        ("${saved_entry}", "# GRUB Environment Block\nsaved_entry=gnulinux-5.10\n####", "5.10"),
        ("${saved_entry}", "", "6.1"),
        ("nothing of the kind", "", "6.1"),
        ("99", "", "6.1"),
    ],
)
def test_debian(default: str, env: str, version: str) -> None:
    files = Tree(
        {**FILES, "/boot/grub/grub.cfg": DEBIAN.replace("SAVED", default), "/boot/grub/grubenv": env}
    )
    entry = find(files)
    assert entry is not None
    assert (entry.kernel, entry.version) == (f"/boot/vmlinuz-{version}", version)
    assert entry.initrds == (f"/boot/initrd.img-{version}",)
    assert entry.words is not None
    assert ("console=ttyS0" in entry.words) == (version == "6.1")


UBUNTU = """\
menuentry 'Ubuntu' --class ubuntu {
\tif [ "${initrdfail}" = 1 ]; then
\t  linux\t/boot/vmlinuz-6.1 root=PARTUUID=1 ro console=ttyS0
\t  initrd\t/boot/initrd.img-6.1
\telse
\t  linux\t/boot/vmlinuz-6.1 root=PARTUUID=1 ro console=ttyS0 panic=-1
\t  initrdfail
\tfi
}
"""


def test_ubuntu_first_tries_without_its_initramfs() -> None:
    entry = find(Tree({**FILES, "/boot/grub/grub.cfg": UBUNTU}))
    assert entry is not None
    assert entry.initrds == ("/boot/initrd.img-6.1",)
    assert entry.words == ("root=PARTUUID=1", "ro", "console=ttyS0", "panic=-1")


RED_HAT = 'set kernelopts="root=UUID=9 ro "\nload_env -f ${config_directory}/grubenv\ninsmod blscfg\nblscfg\n'
ENTRY = """\
title\tRed Hat Enterprise Linux
version {0}
linux /vmlinuz-{0}
initrd /initramfs-{0}.img $tuned_initrd
options $kernelopts $tuned_params
"""


def red_hat(env: str = "") -> Tree:
    files = {"/boot/grub2/grub.cfg": RED_HAT, "/boot/grub2/grubenv": env}
    for version in ("5.14.0-70.el9", "5.14.0-427.el9", "0-rescue-abc"):
        files[f"/boot/loader/entries/abc-{version}.conf"] = ENTRY.format(version)
        files[f"/boot/vmlinuz-{version}"] = files[f"/boot/initramfs-{version}.img"] = ""
    return Tree(files)


def test_red_hat_starts_the_newest_of_its_entries() -> None:
    entry = find(red_hat("kernelopts=root=UUID=1 ro console=ttyS0,115200n8 \n"))
    assert entry is not None
    assert entry.kernel == "/boot/vmlinuz-5.14.0-427.el9"
    assert entry.initrds == ("/boot/initramfs-5.14.0-427.el9.img",)
    assert entry.words == ("root=UUID=1", "ro", "console=ttyS0,115200n8")
    assert entry.where == "/boot/loader/entries/abc-5.14.0-427.el9.conf"


def test_red_hat_starts_the_saved_entry() -> None:
    entry = find(red_hat("saved_entry=abc-5.14.0-70.el9\n"))
    assert entry is not None
    assert entry.version == "5.14.0-70.el9"
    assert entry.words == ("root=UUID=9", "ro")


def test_boot_on_a_partition_of_its_own_and_efi_words() -> None:
    text = "menuentry 'x' {\n linuxefi /vmlinuz-3.10 ro\n initrdefi /intel.img /initramfs-3.10.img\n}\n"
    names = ("vmlinuz-3.10", "intel.img", "initramfs-3.10.img")
    entry = find(Tree({"/boot/efi/EFI/redhat/grub.cfg": text, **{f"/boot/{name}": "" for name in names}}))
    assert entry is not None
    assert (entry.kernel, *entry.initrds) == tuple(f"/boot/{name}" for name in names)


def test_without_a_boot_loader_the_newest_kernel() -> None:
    names = ("vmlinuz-6.9.1", "vmlinuz-6.10.0", "initramfs-6.10.0.img", "vmlinuz-0-rescue-a", "config-7")
    entry = find(Tree({f"/boot/{name}": "" for name in names}))
    assert entry is not None
    assert (entry.kernel, entry.initrds, entry.words) == (
        "/boot/vmlinuz-6.10.0", ("/boot/initramfs-6.10.0.img",), None,
    )  # fmt: skip
    assert find(Tree({"/boot/config": ""})) is None


NESTED = """\
set default="DEFAULT"
menuentry 'zero' --id a {
linux /boot/vmlinuz-0
}
submenu 'more' --id m {
menuentry 'one' --id b {
linux /boot/vmlinuz-1
}
submenu 'old' {
menuentry 'two' --id c {
linux /boot/vmlinuz-2
}
}
menuentry 'three' --id d {
linux /boot/vmlinuz-3
}
}
menuentry 'four' --id e {
linux /boot/vmlinuz-4
}
"""


@pytest.mark.parametrize(
    ("default", "version"),
    [
        ("0", "0"),
        ("1", "1"),  # a menu: its first entry
        ("2", "4"),  # a menu counts as one
        ("1>0", "1"),
        ("1>1>0", "2"),
        ("1>2", "3"),
        ("more>2", "3"),
        ("m>d", "3"),
        ("1>d", "3"),
        ("three", "3"),
        ("e", "4"),
        ("3", "0"),
        ("1>9", "0"),
        ("\u00b2", "0"),
    ],
)
def test_grub_counts_menus_in_menus(default: str, version: str) -> None:
    entry = find(Tree({"/boot/grub/grub.cfg": NESTED.replace("DEFAULT", default)}))
    assert entry is not None
    assert entry.version == version


def test_variables_of_variables_stay_small() -> None:
    value = "$a" * 500_000
    entry = find(Tree({"/boot/grub/grub.cfg": f"set a={value}\nmenuentry x {{\nlinux /k {value}\n}}\n"}))
    assert entry is not None
    assert len(entry.words or ()) < 10


@pytest.mark.parametrize(
    "text",
    [
        "menuentry 'x' {",
        "}}}}\n{",
        'set default="${saved_entry}"\n',
        "menuentry\nlinux",
        "set a=$a\nmenuentry x {\nlinux $a\n}\n",
        "set a=$b$b$b\nset b=$a$a$a\nmenuentry x {\nlinux /k $a\n}\n",
        "submenu 'a' {\nsubmenu 'b' {\n}\n",
    ],
)
def test_a_damaged_configuration_harms_nobody(text: str) -> None:
    entry = find(Tree({"/boot/grub/grub.cfg": text, "/boot/vmlinuz-1": ""}))
    assert entry is not None
