"""Stands in for Anaconda on the test medium, and is no copy of it.

Like Anaconda it finds its medium and the kickstart by what the kernel was told, reads the kickstart with
pykickstart, does what the commands say to the disk, and runs the scripts. What it installs is a Debian,
since Red Hat's packages are not to be had; so `%packages` only decides what its `rpm` says is there.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path

from pykickstart.constants import (
    KS_SCRIPT_ONERROR,
    KS_SCRIPT_POST,
    KS_SCRIPT_PRE,
    KS_SCRIPT_TRACEBACK,
    KS_SHUTDOWN,
)
from pykickstart.parser import KickstartParser
from pykickstart.version import makeVersion

DISK = Path("/dev/vda")
ROOT = Path("/mnt/sysimage")
MEDIUM, ANSWERS = Path("/mnt/medium"), Path("/mnt/answers")
TYPES = {
    "biosboot": "21686148-6449-6E6F-744E-656564454649",
    "efi": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
    "": "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
}
TAR_RECORD = 10240
POWER_OFF = 0x4321FEDC


class Failed(Exception):
    pass


def main():
    say("Starting installer, one moment...")
    options = dict(word.partition("=")[::2] for word in Path("/proc/cmdline").read_text().split())
    mount_medium(options["inst.stage2"])
    path = kickstart_path(options["inst.ks"])
    family, version = treeinfo()
    say(f"anaconda 33.16-1 for {family} {version} started.")
    major = version.partition(".")[0]
    handler = read(path, major, missing_is_fatal=False)
    try:
        install(path, major, handler)
    except Exception as error:
        traceback.print_exc()
        run_scripts(handler, KS_SCRIPT_ONERROR, KS_SCRIPT_TRACEBACK)
        say(f"The exact error message is:\n\n{error}.\n\nThe installer will now terminate.")
        say("Pane is dead")
        time.sleep(86400)
    say("Installation complete")
    os.sync()
    ctypes.CDLL(None).reboot(POWER_OFF)


def install(path, major, handler):
    run_scripts(handler, KS_SCRIPT_PRE)
    handler = read(path, major, missing_is_fatal=True)  # what %pre wrote is included now
    check(handler)
    say("Generating updated storage configuration")
    say("Setting up the installation environment")
    partitions = partition(handler)
    mount_all(partitions)
    say("Starting package installation process")
    unpack()
    write_packages(handler)
    configure(handler, partitions)
    say("Performing post-installation setup tasks")
    say("Installing boot loader")
    boot_loader()
    say("Running post-installation scripts")
    run_scripts(handler, KS_SCRIPT_POST)
    run("umount", "--recursive", ROOT)


def mount_medium(stage2):
    kind, _, label = stage2.partition("LABEL=")
    if kind != "hd:":
        raise Failed(f"inst.stage2={stage2} is not understood")
    label = label.encode().decode("unicode_escape")  # \x20, as udev writes it
    device = find(label)
    if device is None:
        dracut_gives_up(f"/dev/disk/by-label/{label}")
    run("mount", "-o", "ro", device, MEDIUM)


def find(label):
    for _ in range(20):
        for device in sorted(Path("/dev").glob("sr*")):
            done = subprocess.run(
                ["blkid", "-o", "value", "-s", "LABEL", device], capture_output=True, text=True, check=False
            )
            if done.stdout.strip() == label:
                return device
        time.sleep(0.5)
    return None


def dracut_gives_up(what):
    say("dracut-initqueue[1]: Warning: dracut-initqueue timeout - starting timeout scripts")
    say("dracut-initqueue[1]: Warning: Could not boot.")
    say(f'Warning: {what} does not exist\n\nGenerating "/run/initramfs/rdsosreport.txt"\n\n')
    say("Entering emergency mode. Exit the shell to continue.")
    sys.stdout.write("dracut:/# ")
    sys.stdout.flush()
    time.sleep(86400)


def kickstart_path(option):
    kind, label, path = option.split(":")
    if kind != "hd" or not label.startswith("LABEL="):
        raise Failed(f"inst.ks={option} is not understood")
    device = find(label.removeprefix("LABEL="))
    if device is None:
        say(f"dracut-initqueue[1]: Warning: Can't get kickstart from {option}")
        time.sleep(86400)
    run("mount", "-o", "ro", device, ANSWERS)
    copy = Path("/run/install/ks.cfg")
    copy.parent.mkdir(parents=True)
    copy.write_bytes((ANSWERS / path.lstrip("/")).read_bytes())
    run("umount", ANSWERS)
    return copy


def treeinfo():
    import configparser

    tree = configparser.ConfigParser()
    tree.read(MEDIUM / ".treeinfo")
    return tree["general"]["family"], tree["general"]["version"]


def read(path, major, *, missing_is_fatal):
    handler = makeVersion(f"RHEL{major}")
    parser = KickstartParser(handler, missingIncludeIsFatal=missing_is_fatal)
    try:
        parser.readKickstart(str(path))
    except Exception as error:
        say(f"\nAn error occurred during reading the kickstart file:\n{error}\n")
        say("Pane is dead")
        time.sleep(86400)
    return handler


def check(handler):
    """What Anaconda would have asked a person for."""
    wrong = [
        what
        for what, is_there in (
            ("no installation source", handler.method.method == "cdrom"),
            ("no language", handler.lang.lang),
            ("no time zone", handler.timezone.timezone),
            ("no root password", handler.rootpw.lock or handler.rootpw.password),
            ("no partitions", handler.partition.partitions),
            ("it does not power off", handler.reboot.action == KS_SHUTDOWN),
        )
        if not is_there
    ]
    if wrong:
        raise Failed(f"Kickstart insufficient: {', '.join(wrong)}")


def partition(handler):
    """Partitions in the kickstart's order, the growing one last. Returns [(data, device)]."""
    if not handler.clearpart.initAll or handler.clearpart.disklabel != "gpt":
        raise Failed("the disk has no label and clearpart does not make a GPT")
    wanted = sorted(handler.partition.partitions, key=lambda part: part.grow)
    say(f"Creating disklabel on {DISK}")
    lines = ["label: gpt"]
    for part in wanted:
        size = "" if part.grow else f"size={part.size}MiB, "
        lines.append(f"{size}type={TYPES.get(part.fstype, TYPES[''])}")
    run("sfdisk", "--quiet", DISK, stdin="\n".join(lines) + "\n")
    made = []
    for number, part in enumerate(wanted, 1):
        device = Path(f"{DISK}{number}")
        wait_for(device)
        if part.fstype != "biosboot":
            say(f"Creating {part.fstype} on {device}")
        if part.fstype == "xfs":
            run("mkfs.xfs", "-q", "-f", device)
        elif part.fstype == "efi":
            run("mkfs.vfat", "-F", "32", device)
        elif part.fstype != "biosboot":
            raise Failed(f"a {part.fstype} cannot be made here")
        made.append((part, device))
    return made


def wait_for(device):
    for _ in range(50):
        if device.exists():
            return
        time.sleep(0.2)
    raise Failed(f"{device} does not appear")


def mount_all(partitions):
    for part, device in sorted(partitions, key=lambda pair: pair[0].mountpoint):
        if part.mountpoint.startswith("/"):
            place = ROOT / part.mountpoint.lstrip("/")
            place.mkdir(parents=True, exist_ok=True)
            run("mount", device, place)


def unpack():
    source = MEDIUM / "Packages/system.tar"
    total = source.stat().st_size // TAR_RECORD
    action = f"--checkpoint-action=exec=echo Installing system.x86_64 '('$TAR_CHECKPOINT/{total}')'"
    attributes = ("--numeric-owner", "--xattrs", "--xattrs-include=*")
    run("tar", "-xf", source, "-C", ROOT, *attributes, "--checkpoint=5000", action)
    for place in ("dev", "proc", "sys", "run"):
        run("mount", "--rbind", f"/{place}", ROOT / place)


def write_packages(handler):
    """What `rpm -q` finds: what the kickstart asks for, as far as the medium has it."""
    on_medium = set((MEDIUM / "Packages/names").read_text().split())
    asked = set(handler.packages.packageList)
    names = sorted(asked & on_medium) + sorted(f"@{group.name}" for group in handler.packages.groupList)
    folder = ROOT / "usr/share/stand-in"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "packages").write_text("\n".join(names) + "\n")
    missing = asked - on_medium
    if missing and handler.packages.handleMissing != 1:  # KS_MISSING_IGNORE
        raise Failed(f"packages are missing: {', '.join(sorted(missing))}")


def configure(handler, partitions):
    table = []
    for part, device in partitions:
        if part.mountpoint.startswith("/"):
            kind = {"efi": "vfat"}.get(part.fstype, part.fstype)
            table.append(f"UUID={uuid(device)} {part.mountpoint} {kind} defaults 0 0")
    (ROOT / "etc/fstab").write_text("\n".join(table) + "\n")
    loader = handler.bootloader
    (ROOT / "etc/default/grub").write_text(
        f"GRUB_TIMEOUT={loader.timeout}\nGRUB_DISABLE_OS_PROBER=true\nGRUB_DISABLE_RECOVERY=true\n"
        f'GRUB_CMDLINE_LINUX="rhgb quiet {loader.appendLine}"\n'
    )
    (ROOT / "root/anaconda-ks.cfg").write_text(str(handler))
    if handler.rootpw.lock:
        run("chroot", ROOT, "passwd", "--lock", "root")


def uuid(device):
    return subprocess.check_output(["blkid", "-o", "value", "-s", "UUID", device], text=True).strip()


def boot_loader():
    if Path("/sys/firmware/efi").exists():
        kind = ("--target=x86_64-efi", "--efi-directory=/boot/efi", "--removable", "--no-nvram")
        run("chroot", ROOT, "grub-install", *kind)
    else:
        run("chroot", ROOT, "grub-install", "--target=i386-pc", DISK)


def run_scripts(handler, *kinds):
    for script in handler.scripts:
        if script.type not in kinds:
            continue
        root = ROOT if script.inChroot and script.type == KS_SCRIPT_POST else Path("/")
        file = root / "tmp/ks-script"
        file.write_text(script.script)
        inside = ["chroot", root] if root == ROOT else []
        done = subprocess.run([*inside, script.interp, "/tmp/ks-script"], check=False)
        file.unlink(missing_ok=True)
        if done.returncode and script.errorOnFail:
            raise Failed(f"a script of the kickstart (line {script.lineno}) ended with {done.returncode}")


def run(*words, stdin=None):
    done = subprocess.run([str(word) for word in words], input=stdin, text=True, check=False)
    if done.returncode:
        raise Failed(f"{words[0]} ended with {done.returncode}")


def say(text):
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


main()
