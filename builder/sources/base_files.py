"""What a bootstrapped base carries beside its packages: configuration files and the script that finishes it.

Everything here ends up inside the image, so a change must raise `EPOCH` in bootstrap.py.
"""

from __future__ import annotations

from builder.sources.distribution import Distribution

# No rootdelay: Debian's initramfs waits for the root device by itself; told a delay, it sleeps all of it.
KERNEL_LINE = "console=tty0 console=ttyS0,115200 earlyprintk=ttyS0,115200 consoleblank=0 net.ifnames=0"

# Drivers for Hyper-V (Azure) and for QEMU's machines; udev loads what the machine has.
INITRAMFS_MODULES = (
    *("hv_vmbus", "hv_storvsc", "hv_netvsc", "hv_utils", "hyperv_keyboard", "pci_hyperv"),
    *("virtio_pci", "virtio_blk", "virtio_scsi", "virtio_net", "virtio_rng"),
    *("ata_piix", "ahci", "sd_mod", "sr_mod", "nvme", "isofs"),
)

_INITRAMFS_HOOK = f"""#!/bin/sh
# The drivers a disk needs under Hyper-V (Azure) and QEMU, whichever machine made this initramfs.
case "$1" in prereqs) exit 0 ;; esac
. /usr/share/initramfs-tools/hook-functions
manual_add_modules {" ".join(INITRAMFS_MODULES)}
"""

# NoCloud first costs nothing: ds-identify looks at labels and the chassis tag, and keeps what it found.
# Left out of the module lists: what only costs seconds here (grub-dpkg, locale, apt-configure,
# keys-to-console, snap, lxd, byobu and the configuration managers).
_CLOUD_CFG = """\
datasource_list: [NoCloud, Azure]
manage_etc_hosts: true
locale: C.UTF-8
apt_preserve_sources_list: true
disable_root: true
ssh_pwauth: false
cloud_init_modules: [migrator, seed_random, bootcmd, write-files, growpart, resizefs, disk_setup, mounts,
  set_hostname, update_hostname, update_etc_hosts, ca-certs, users-groups, ssh]
cloud_config_modules: [ssh-import-id, set-passwords, ntp, timezone, runcmd]
cloud_final_modules: [package-update-upgrade-install, write-files-deferred, scripts-vendor, scripts-per-once,
  scripts-per-boot, scripts-per-instance, scripts-user, phone-home, final-message, power-state-change]
"""

_DEFAULT_GRUB = f"""\
GRUB_DEFAULT=0
GRUB_TIMEOUT=0
GRUB_DISTRIBUTOR={{name}}
GRUB_CMDLINE_LINUX_DEFAULT=""
GRUB_CMDLINE_LINUX="{KERNEL_LINE}"
GRUB_TERMINAL="console serial"
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
GRUB_DISABLE_OS_PROBER=true
GRUB_DISABLE_RECOVERY=true
"""

# Good until the first update-grub in a guest writes the full one; the links name the newest kernel.
_GRUB_CFG = """\
serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
set timeout=0
menuentry "{menu_entry}" {{
    search --no-floppy --fs-uuid --set=root {uuid}
    linux /vmlinuz root=UUID={uuid} ro {kernel_line}
    initrd /initrd.img
}}
"""

# What the boot loader reads before it finds the root file system.
_GRUB_EARLY = """\
search --no-floppy --fs-uuid --set=root {uuid}
set prefix=($root)/boot/grub
configfile $prefix/grub.cfg
"""

_GRUB_MODULES = (
    "part_gpt part_msdos ext2 fat search search_fs_uuid search_label configfile normal linux "
    "echo test all_video gzio serial terminal minicmd"
)


def files_before(distribution: Distribution, uuid: str) -> dict[str, tuple[str, int]]:
    """Files (path -> text, mode) that must be there before the packages are configured."""
    return {
        "etc/initramfs-tools/hooks/hypervisors": (_INITRAMFS_HOOK, 0o755),
        "etc/fstab": (f"UUID={uuid} / ext4 rw,discard,errors=remount-ro 0 1\n", 0o644),
        "etc/kernel-img.conf": ("do_symlinks = yes\ndo_initrd = yes\nimage_dest = /\n", 0o644),
        "etc/default/locale": ("LANG=C.UTF-8\n", 0o644),
        "etc/default/grub": (_DEFAULT_GRUB.format(name=distribution.name), 0o644),
    }


def files_after(distribution: Distribution, suite: str, uuid: str) -> dict[str, tuple[str, int]]:
    """Files (path -> text, mode) laid over the configured packages."""
    netplan = distribution.network(suite) == "netplan"
    grub = _GRUB_CFG.format(menu_entry=distribution.menu_entry, uuid=uuid, kernel_line=KERNEL_LINE)
    return {
        "etc/fstab": (f"UUID={uuid} / ext4 rw,discard,errors=remount-ro 0 1\n", 0o644),
        "etc/hostname": ("localhost\n", 0o644),
        "etc/hosts": (
            "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
            "ff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n",
            0o644,
        ),
        "etc/machine-id": ("", 0o444),
        **({} if netplan else _IFUPDOWN),
        "etc/cloud/cloud.cfg.d/90_base.cfg": (_CLOUD_CFG, 0o644),
        "etc/ssh/sshd_config.d/50-base.conf": (
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nClientAliveInterval 180\n",
            0o644,
        ),
        # The agent searches a fabric that only Hyper-V has; elsewhere it would spin and log.
        "etc/systemd/system/walinuxagent.service.d/10-only-on-hyper-v.conf": (
            "[Unit]\nConditionVirtualization=microsoft\n",
            0o644,
        ),
        "boot/grub/grub.cfg": (grub, 0o600),
        "boot/grub/early.cfg": (_GRUB_EARLY.format(uuid=uuid), 0o644),
        "root/finish.sh": (_FINISH.replace(_RESOLVER, _RESOLVED if netplan else ""), 0o755),
    }


_IFUPDOWN = {
    "etc/network/interfaces": (
        "source /etc/network/interfaces.d/*\n\nauto lo\niface lo inet loopback\n",
        0o644,
    )
}

_RESOLVER = "@RESOLVER@"
# Its stub is who answers for names where netplan configures systemd-networkd.
_RESOLVED = "ln -s ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf\n"
_FINISH = f"""#!/bin/sh
# Runs inside the tree, once, as the last thing before it becomes a disk.
set -eu
# waagent prepares the virtual machine, cloud-init provisions it; no resource disk, no swap.
sed -i -E \\
    -e 's/^#? ?Provisioning.Agent=.*/Provisioning.Agent=cloud-init/' \\
    -e 's/^#? ?Provisioning.Enabled=.*/Provisioning.Enabled=n/' \\
    -e 's/^#? ?ResourceDisk.Format=.*/ResourceDisk.Format=n/' \\
    -e 's/^#? ?ResourceDisk.EnableSwap=.*/ResourceDisk.EnableSwap=n/' /etc/waagent.conf
grep -q '^Provisioning.Agent=' /etc/waagent.conf || echo 'Provisioning.Agent=cloud-init' >>/etc/waagent.conf
# The boot loader comes from the image's own packages, so its modules always fit its core.
for platform in i386-pc x86_64-efi; do
    mkdir -p /boot/grub/$platform
    cp /usr/lib/grub/$platform/*.mod /usr/lib/grub/$platform/*.lst /boot/grub/$platform/
done
cp /usr/lib/grub/i386-pc/boot.img /boot/grub/i386-pc/
grub-mkimage -O i386-pc -c /boot/grub/early.cfg -p /boot/grub -o /boot/grub/i386-pc/core.img \\
    biosdisk {_GRUB_MODULES}
grub-mkimage -O x86_64-efi -c /boot/grub/early.cfg -p /boot/grub -o /boot/grub/x86_64-efi/core.efi \\
    {_GRUB_MODULES}
chmod 0644 /boot/grub/i386-pc/core.img /boot/grub/x86_64-efi/core.efi
passwd -l root >/dev/null
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
rm -f /etc/resolv.conf /boot/grub/early.cfg /root/finish.sh
{_RESOLVER}rm -f /var/lib/dbus/machine-id /var/lib/systemd/random-seed
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old
find /var/log -type f -delete
"""
