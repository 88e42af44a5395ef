"""A guest of 512 bytes that proves an accelerator works.

Assembled from probe.S. A boot sector in real mode is not enough: a half-working KVM emulates that
and dies later, in a real kernel. This one enters long mode with paging, then runs SSE arithmetic,
FXSAVE, CMPXCHG16B and system register writes, as every kernel does early on.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

from builder import process
from builder.errors import EnvironmentProblem

EXPECTED_OUTPUT = b"GOLDSMITH\n"
DEBUG_EXIT_CODE = 0x21 << 1 | 1
DISK_BYTES = 1 << 20

_CODE = bytes.fromhex(
    "faea067c000031c08ed88ec08ed0bc007cbf0010b90018f3ab66c70600100320000066c70600200330000066c7060030"
    "830000000f0116287d66b8b00600000f22e066b8001000000f22d866b9800000c00f32660d000100000f300f20c06683"
    "e0fb660d030000800f22c066ea737c0000080066b810008ed88ec08ed0bc007c000031c00fa20f31dbe30fae04250050"
    "00000fae0c2500500000b940420f00660fefc0660f76c9660ffac1ffc975f8660f70d01b660f7ed03d40420f00753ebf"
    "00510000480fc70f9c9d0f20d80f22d80f013c2500500000b9820000c031c031d20f30be007d0000baf8030000ac84c0"
    "7403eeebf8baf4000000b021eef4ebfd474f4c44534d4954480a000f1f4400000000000000000000ffff0000009aaf00"
    "ffff00000092cf001700107d"
)
BOOT_SECTOR = _CODE.ljust(510, b"\0") + b"\x55\xaa"


def probe_argv(qemu: str, accelerator: str, cpu_model: str, disk: Path, serial: Path) -> list[str]:
    """The QEMU command line of the probe; it ends by itself with DEBUG_EXIT_CODE."""
    escaped = str(serial).replace(",", ",,")
    disk_name = str(disk).replace(",", ",,")
    return [
        *(qemu, "-no-user-config", "-nodefaults", "-display", "none"),
        *("-machine", "q35", "-accel", accelerator, "-cpu", cpu_model, "-m", "64"),
        *("-blockdev", f"driver=raw,node-name=disk,file.driver=file,file.filename={disk_name}"),
        *("-device", "virtio-blk-pci,drive=disk"),
        *("-chardev", f"file,id=serial,path={escaped}", "-serial", "chardev:serial"),
        *("-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"),
        *("-monitor", "none"),
    ]


def run_probe(qemu: str, accelerator: str, cpu_model: str, *, timeout: float) -> str:
    """Run the probe guest; "" when it got through, otherwise why not.

    A broken KVM leaves QEMU alive and paused, so QEMU's complaint is looked for while it runs.
    """
    with tempfile.TemporaryDirectory(prefix="goldsmith-probe-") as folder:
        disk, serial, errors = (Path(folder) / name for name in ("disk", "serial", "stderr"))
        disk.write_bytes(BOOT_SECTOR)
        with disk.open("r+b") as file:
            file.truncate(DISK_BYTES)
        argv = probe_argv(qemu, accelerator, cpu_model, disk, serial)
        with errors.open("wb") as stderr:
            try:
                with process.spawn(argv, stderr=stderr) as child:
                    return _watch(child, serial, errors, timeout)
            except EnvironmentProblem as problem:
                return problem.message


def _watch(child: subprocess.Popen[bytes], serial: Path, errors: Path, timeout: float) -> str:
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        code = child.poll()
        complaint = errors.read_text(errors="replace")
        if "internal error" in complaint:
            reason = "emulation failure" if "emulation failure" in complaint else "internal error"
            return f"a guest dies under it ({reason})"
        if code is not None:
            if code == DEBUG_EXIT_CODE and serial.exists() and serial.read_bytes() == EXPECTED_OUTPUT:
                return ""
            last = complaint.strip().splitlines()
            return last[-1] if last else f"the probe guest ended wrongly (exit code {code})"
        time.sleep(0.02)
    return f"a guest makes no progress under it ({timeout:g} s)"
