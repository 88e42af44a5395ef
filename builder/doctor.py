"""Whether this machine can build: what is there, what is missing, what to install.

Every check is a function of what it looks at (a `which`, a path, a number), so that tests need no machine.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from builder.errors import ExitCode, GoldsmithError
from builder.settings import Home, Settings

Status = Literal["ok", "warn", "fail"]
Which = Callable[[str], str | None]
Version = Callable[[str], str]

GIB = 1024**3
# A Debian base, its layers and one VHD fit in ten; below four the quickstart itself fails.
DISK_FAIL, DISK_WARN = 4 * GIB, 10 * GIB
# The default guest has 2 GiB (settings.default_memory_mib); the host needs some beside it.
MEMORY_FAIL, MEMORY_WARN = 1 * GIB, 3 * GIB
MIN_PYTHON = (3, 11)
MIN_QEMU = (7, 2)


@dataclass(frozen=True, slots=True)
class Result:
    """One check. `found` says what is there, `advice` what to do, `packages` (Debian names) what to
    install.
    """

    name: str
    status: Status
    found: str
    advice: str = ""
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tool:
    """A program a build runs: what for, and the Debian package that has it."""

    program: str
    package: str
    purpose: str
    needed: bool = True


# No grub among them: a Debian source installs its own inside, and builder/disk/grub.py writes it to the disk.
TOOLS: tuple[Tool, ...] = (
    Tool("mmdebstrap", "mmdebstrap", "makes Debian sources"),
    Tool("mke2fs", "e2fsprogs", "makes file systems"),
    Tool("e2fsck", "e2fsprogs", "replays journals before the image is checked"),
    Tool("debugfs", "e2fsprogs", "reads images without mounting them"),
    Tool("sfdisk", "fdisk", "writes partition tables"),
    Tool("mformat", "mtools", "makes the EFI partition"),
    Tool("mcopy", "mtools", "fills the EFI partition"),
    Tool("unshare", "util-linux", "user namespaces"),
    Tool("fallocate", "util-linux", "keeps images sparse"),
    Tool("xfs_repair", "xfsprogs", "checks images whose file systems are XFS, as RHEL's are", needed=False),
    Tool("xfs_db", "xfsprogs", "frees what was deleted while open on XFS", needed=False),
    Tool("ssh", "openssh-client", "opens a shell in a kept machine", needed=False),
)


def which(program: str) -> str | None:
    """Like `shutil.which`, and in the system directories a plain user's PATH lacks."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")


def program_version(path: str) -> str:
    """The first line a program says of its version; empty when it says none."""
    from builder.process import run

    try:
        done = run([path, "--version"], timeout=10)
    except GoldsmithError:
        return ""
    lines = (done.stdout or done.stderr).splitlines()
    return lines[0].strip() if lines else ""


def check_python(version: tuple[int, int, int]) -> Result:
    """The interpreter this runs on."""
    found = ".".join(str(part) for part in version)
    if version[:2] < MIN_PYTHON:
        return Result("Python", "fail", found, "Goldsmith needs Python 3.11.", ("python3",))
    return Result("Python", "ok", found)


def check_qemu(find: Which, version_of: Version, program: str, package: str) -> Result:
    """A program of QEMU, at least 7.2."""
    path = find(program)
    if path is None:
        return Result(program, "fail", "not installed", packages=(package,))
    said = re.search(r"version (\d+)\.(\d+)(\.\d+)?", version_of(path))
    if said is None:
        return Result(program, "warn", path, "It does not tell its version; 7.2 or later is needed.")
    version = said.group(0).removeprefix("version ")
    if (int(said.group(1)), int(said.group(2))) < MIN_QEMU:
        return Result(program, "fail", version, "QEMU 7.2 or later is needed.", (package,))
    return Result(program, "ok", f"{version}, {path}")


def check_tool(find: Which, tool: Tool) -> Result:
    """A program with no demands on its version."""
    path = find(tool.program)
    if path is None:
        status: Status = "fail" if tool.needed else "warn"
        return Result(tool.program, status, f"not installed ({tool.purpose})", packages=(tool.package,))
    return Result(tool.program, "ok", path)


def try_namespaces() -> object:
    """Makes what a bootstrap runs in. Raises EnvironmentProblem."""
    from builder.sources.scratch import contained

    return contained()


def check_uidmap(
    find: Which, *, uid: int, user: str, subuid: str, attempt: Callable[[], object] = try_namespaces
) -> Result:
    """What a plain user needs to bootstrap: newuidmap, a range in /etc/subuid (text in `subuid`), and a
    kernel that lets them (`attempt` raises a GoldsmithError when it does not).
    """
    if uid == 0:
        return Result("user namespaces", "ok", "not needed, you are root")
    if find("newuidmap") is None:
        return Result("user namespaces", "fail", "newuidmap is not installed", packages=("uidmap",))
    owners = {line.split(":")[0] for line in subuid.splitlines()}
    if not owners & {user, str(uid)}:
        advice = f"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}"
        return Result("user namespaces", "fail", f"no range for {user} in /etc/subuid", advice)
    try:
        attempt()
    except GoldsmithError as error:
        return Result("user namespaces", "fail", f"refused: {' '.join(error.details)}", error.hint or "")
    return Result("user namespaces", "ok", f"newuidmap, range for {user}")


def check_accelerator(settings: Settings, home: Home) -> Result:
    """What a guest really runs under here: asks the VM room, which tries it."""
    from builder.vm.accelerator import choose

    try:
        chosen = choose(settings, home)
    except GoldsmithError as error:
        return Result("accelerator", "fail", error.message, error.hint or "")
    if chosen.name == "kvm":
        return Result("accelerator", "ok", f"KVM: {chosen.why}")
    found = f"software emulation (TCG): {chosen.why}"
    if settings.accelerator == "tcg":
        return Result("accelerator", "ok", found)
    advice = (
        "Builds work, ten to twenty times slower. KVM needs hardware virtualisation and access to /dev/kvm."
    )
    return Result("accelerator", "warn", found, advice)


def check_firmware() -> Result:
    """UEFI firmware for generation 2 images."""
    from builder.vm.firmware import choose_firmware

    try:
        firmware = choose_firmware("V2")
    except GoldsmithError as error:
        return Result("UEFI firmware", "fail", error.message, packages=("ovmf",))
    return Result("UEFI firmware", "ok", str(firmware.code) if firmware else "")


def check_keyring(place: Path) -> Result:
    """Debian's archive keys, with which mmdebstrap verifies what it downloads (absent on other hosts)."""
    if place.exists():
        return Result("Debian keys", "ok", str(place))
    return Result("Debian keys", "fail", "not installed", packages=("debian-archive-keyring",))


def check_disk(free: int, home: Path) -> Result:
    """`free` bytes on the file system of `home`."""
    found = f"{free / GIB:.1f} GiB free in {home}"
    if free < DISK_FAIL:
        return Result("disk space", "fail", found, "A build needs 4 GiB; free some, or set GOLDSMITH_HOME.")
    if free < DISK_WARN:
        return Result("disk space", "warn", found, "10 GiB are comfortable; 'build gc' clears leftovers.")
    return Result("disk space", "ok", found)


def check_memory(available: int) -> Result:
    """`available` bytes of memory; 0 when the machine does not say."""
    if not available:
        return Result("memory", "warn", "unknown")
    found = f"{available / GIB:.1f} GiB available"
    if available < MEMORY_FAIL:
        return Result("memory", "fail", found, "A guest needs 1 GiB at least; end something.")
    if available < MEMORY_WARN:
        return Result("memory", "warn", found, "The default guest has 2 GiB; set default_memory_mib lower.")
    return Result("memory", "ok", found)


def check_home(home: Path) -> Iterable[Result]:
    """Whether the home can be written, and knows hard links (images are linked, not copied)."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=home, prefix=".doctor-") as folder:
            one, two = Path(folder, "one"), Path(folder, "two")
            one.write_bytes(b"x")
            yield Result("home", "ok", f"{home} is writable")
            try:
                two.hardlink_to(one)
            except OSError as error:
                advice = "Every image will be a full copy; a Linux file system avoids that."
                yield Result("hard links", "warn", f"not supported: {error.strerror}", advice)
            else:
                yield Result("hard links", "ok", "supported")
    except OSError as error:
        advice = "Set GOLDSMITH_HOME to a folder you can write."
        yield Result("home", "fail", f"{home}: {error.strerror}", advice)


def examine(
    home: Home, settings: Settings, *, find: Which = which, version_of: Version = program_version
) -> list[Result]:
    """All checks of this machine. The accelerator's may take ten seconds the first time."""
    results = [
        check_python(sys.version_info[:3]),
        check_qemu(find, version_of, "qemu-system-x86_64", "qemu-system-x86"),
        check_qemu(find, version_of, "qemu-img", "qemu-utils"),
    ]
    if results[1].status == "ok":
        results.append(check_accelerator(settings, home))
    results.append(check_firmware())
    results += [check_tool(find, tool) for tool in TOOLS]
    results += [_for_one_kind_of_source(result) for result in check_namespaces_and_keys(find)]
    results += check_home(home.root)
    results.append(check_disk(_free(home.root), home.root))
    results.append(check_memory(memory_available(_read("/proc/meminfo"))))
    return results


def check_for_build(find: Which = which, version_of: Version = program_version) -> list[Result]:
    """What every build runs, whatever its source is."""
    return [
        check_qemu(find, version_of, "qemu-system-x86_64", "qemu-system-x86"),
        check_qemu(find, version_of, "qemu-img", "qemu-utils"),
        *(check_tool(find, tool) for tool in TOOLS if tool.program in ("e2fsck", "debugfs")),
    ]


def check_for_bootstrap(find: Which = which) -> list[Result]:
    """What it takes to make a Debian source from packages."""
    return [*(check_tool(find, tool) for tool in TOOLS if tool.needed), *check_namespaces_and_keys(find)]


def check_namespaces_and_keys(find: Which) -> list[Result]:
    """What a bootstrap needs beside programs."""
    return [
        check_uidmap(find, uid=os.getuid(), user=_user(), subuid=_read("/etc/subuid")),
        check_keyring(Path("/usr/share/keyrings/debian-archive-keyring.gpg")),
    ]


def _for_one_kind_of_source(result: Result) -> Result:
    """A warning where no package helps: all but a bootstrap works without."""
    if result.status != "fail" or result.packages:
        return result
    advice = "Debian sources cannot be made here; others work, and 'build cache import' brings made ones."
    advice = f"{advice} {result.advice}".rstrip()
    return replace(result, status="warn", advice=advice)


def install_command(results: Iterable[Result]) -> str:
    """One line that installs everything missing; empty when nothing is."""
    packages = list(dict.fromkeys(name for result in results for name in result.packages))
    return f"sudo apt-get install {' '.join(packages)}" if packages else ""


def verdict(results: Iterable[Result]) -> ExitCode:
    """OK when no check failed, else ENVIRONMENT."""
    return ExitCode.ENVIRONMENT if any(result.status == "fail" for result in results) else ExitCode.OK


def memory_available(meminfo: str) -> int:
    """MemAvailable of /proc/meminfo's text in bytes; 0 when it is not there."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo, re.MULTILINE)
    return int(found.group(1)) * 1024 if found else 0


def _free(path: Path) -> int:
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
