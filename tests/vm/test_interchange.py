"""Disks of every format in and out, by the real command and the real qemu-img; no VM boots."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builder.cli.app import main
from builder.disk.extents import allocated_size, content_digest
from builder.disk.vhd import check_fixed_vhd
from builder.process import require, run

MIB = 1024**2
# No whole number of MiB: the disk has to grow.
SIZE = 96 * MIB + 512
ROOT = 36
LIMIT = 120


class Command:
    """`build` with a home of its own, in processes of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {**os.environ, "GOLDSMITH_HOME": str(home), "CI": "1"}
        self.argv = [sys.executable, "-m", "builder"]

    def run(self, *words: object, most: int = 0) -> subprocess.CompletedProcess[str]:
        """To its end; `most` bytes may a file have then."""

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

        return subprocess.run(
            [*self.argv, *map(str, words)],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
            preexec_fn=limit if most else None,
        )

    def call(self, *words: object) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of the command in this process: to start one takes longer."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GOLDSMITH_HOME", str(self.home))
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main([str(word) for word in words])
        return code, out.getvalue(), err.getvalue()

    def json(self, *words: object) -> Any:
        code, out, err = self.call(*words, "--json")
        assert code == 0, err
        return json.loads(out)

    def refused(self, *words: object, code: int = 2, most: int = 0) -> str:
        if most:
            done = self.run(*words, most=most)
            found = (done.returncode, done.stdout, done.stderr)
        else:
            found = self.call(*words)
        assert found[0] == code, found
        assert "Traceback" not in found[2] and "internal error" not in found[2]
        return found[2]

    def start(self, *words: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self.argv, *map(str, words)],
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def left(self) -> list[str]:
        """Files of work under way, and disks."""
        roots = (self.home / name for name in ("staging", "images", "regions"))
        return sorted(str(p.relative_to(self.home)) for r in roots for p in r.rglob("*") if p.is_file())


@pytest.fixture
def build(tmp_path: Path) -> Command:
    return Command(tmp_path / "home")


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT with an EFI partition and a small Linux that was never generalized."""
    folder = tmp_path_factory.mktemp("a disk")
    path, root = folder / "disk.raw", folder / "root"
    with path.open("wb") as file:
        file.truncate(SIZE)
        file.seek(2 * MIB)
        file.write(random.Random(5).randbytes(3 * MIB))
    table = f"label: gpt\nstart=2048, size={33 * 2048}, type=uefi\nstart={ROOT * 2048}, size={48 * 2048}\n"
    run([require("sfdisk", "fdisk"), "-q", path], stdin=table.encode(), timeout=60)
    for name, text in {
        "etc/machine-id": "0123\n",
        "etc/fstab": "",
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
        "root/.bash_history": "ls\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    argv = [require("mke2fs", "e2fsprogs"), "-q", "-F", "-t", "ext4", "-d", root]
    run([*argv, "-E", f"offset={ROOT * MIB}", path, "49152k"], timeout=60)
    return path


@pytest.fixture(scope="module")
def shared(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Command:
    """A home with the managed image `web`, which has two data disks, one of them empty."""
    build = Command(tmp_path_factory.mktemp("shared") / "home")
    data, empty = disk.with_name("data.qcow2"), disk.with_name("empty.raw")
    run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", disk, data], timeout=60)
    with empty.open("wb") as file:
        file.truncate(8 * MIB)
    found = build.json("images", "import", disk, "--name", "web", "--data-disk", f"3={data}")
    assert found["image"]["dataDisks"][0]["lun"] == 3
    return build


def web(build: Command) -> Any:
    return build.json("images", "show", "web")


def test_what_is_imported_is_a_sparse_vhd_and_told_how_it_is_known(build: Command, disk: Path) -> None:
    found = build.json("images", "import", disk, "--name", "web", "-g", "rg", "-l", "westus")
    image, looks = found["image"], found["looks"]
    assert (image["osType"], image["generation"], image["osState"]) == ("Linux", "V2", "Generalized")
    assert (looks["osWhy"], looks["generationWhy"]) == (
        "its root file system has /etc",
        "it has an EFI system partition",
    )
    assert any("/etc/machine-id is not empty" in line for line in looks["findings"])
    assert any("/root/.bash_history" in line for line in looks["findings"])
    info = check_fixed_vhd(Path(image["path"]))
    assert info.virtual_size == image["size"] == 97 * MIB
    assert image["sizeOnDisk"] == allocated_size(Path(image["path"])) < 24 * MIB
    assert image["digest"] == content_digest(Path(image["path"]), 97 * MIB)
    assert image["location"] == "westus" and "/resourceGroups/rg/" in image["id"]
    assert build.left() == [str(Path(image["path"]).relative_to(build.home))]
    # What a person sees of the same.
    code, out, err = build.call("images", "import", disk, "--name", "web", "-g", "rg", "--replace")
    assert code == 0
    assert "does not look generalized" in err and "it has an EFI system partition" in out
    assert "grew from" in err


def test_a_second_one_of_that_name_only_replaces_when_told(build: Command, disk: Path) -> None:
    first = build.json("images", "import", disk, "--name", "web")["image"]
    assert "--replace" in build.refused("images", "import", disk, "--name", "WEB")
    assert Path(first["path"]).exists()
    second = build.json("images", "import", disk, "--id", first["id"], "--replace")["image"]
    assert second["path"] != first["path"] and not Path(first["path"]).exists()
    assert len(build.left()) == 1


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.vhd", ()),
        ("a.vhd", ("--format", "vhd-dynamic")),
        ("a.vhdx", ()),
        ("a.qcow2", ()),
        ("a.qcow2", ("--compress", "zlib")),
        ("a.qcow2", ("--compress", "none")),
        ("a.raw", ()),
        ("a.vmdk", ()),
        ("a.vmdk", ("--compress", "zlib")),
        ("a.vhd.zst", ()),
        ("a.raw.xz", ()),
        ("a.vhdx.gz", ()),
        ("a.vmdk.zst", ()),
    ],
)
def test_what_goes_out_comes_in_as_it_was(
    shared: Command, build: Command, tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    told = shared.json("images", "export", "web", out / name, *options, "--checksum")
    files = {one["lun"]: one for one in told["files"]}
    stem, endings = name.split(".", 1)
    names = [name, f"{name}.sha256", f"{stem}-lun3.{endings}"]
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
    sums = dict(line.split("  ")[::-1] for line in (out / f"{name}.sha256").read_text().splitlines())
    for one in files.values():
        path = Path(one["path"])
        assert sums[path.name] == one["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()
    again = build.json("images", "import", out / name, "--name", "x", "--data-disk", f"3={files[3]['path']}")
    before, image = web(shared), again["image"]
    assert (image["digest"], image["size"]) == (before["digest"], before["size"])
    assert image["dataDisks"][0]["digest"] == before["dataDisks"][0]["digest"] == files[3]["digest"]
    assert image["sizeOnDisk"] < 24 * MIB
    if "vmdk" in name and not name.endswith(".zst"):
        assert f'"{name}"'.encode() in (out / name).read_bytes()[: 32 * 512]


def test_nothing_is_overwritten_unless_told(shared: Command, tmp_path: Path) -> None:
    for name in ("web.vhd", "web-lun3.vhd", "web.vhd.sha256"):
        place = tmp_path / name
        place.write_text("mine")
        assert "--force" in shared.refused("images", "export", "web", tmp_path / "web.vhd", "--checksum")
        assert [path.name for path in tmp_path.iterdir()] == [name] and place.read_text() == "mine"
        place.unlink()
    (tmp_path / "web.vhd").write_text("mine")
    shared.json("images", "export", "web", tmp_path / "web.vhd", "--force")
    assert check_fixed_vhd(tmp_path / "web.vhd").virtual_size == 97 * MIB
    own = web(shared)["path"]
    assert "of the image itself" in shared.refused("images", "export", "web", own, "--force")
    assert "no folder" in shared.refused("images", "export", "web", tmp_path / "none" / "a.vhd")


def test_a_specialized_disk_becomes_a_version_and_goes_out(
    build: Command, disk: Path, tmp_path: Path
) -> None:
    said = build.refused("images", "import", disk, "--name", "m", "--os-state", "Specialized")
    assert "--to GALLERY/DEFINITION" in said
    build.json("gallery", "create", "g")
    options = ("-p", "a", "-f", "b", "-s", "c", "--os-state", "Specialized")
    build.json("gallery", "definition", "create", "g/m", *options)
    assert "is not Generalized" in build.refused("images", "import", disk, "--to", "g/m")
    found = build.json("images", "import", disk, "--os-state", "Specialized", "--to", "g/m/1.0.0")["version"]
    assert (found["version"], found["osState"], found["source"]) == (
        "1.0.0",
        "Specialized",
        "imported from disk.raw (raw)",
    )
    copy = build.json("gallery", "version", "create", "g/m", "--from", "g/m/latest")
    assert (copy["version"], copy["digest"], copy["parent"]) == (
        "1.0.1",
        found["digest"],
        found["id"].lower(),
    )
    told = build.json("images", "export", "g/m/latest", tmp_path / "m.qcow2")
    assert told["files"][0]["digest"] == found["digest"]
    assert len(build.left()) == 2


def test_wrong_files_are_refused_with_what_to_do(build: Command, disk: Path, tmp_path: Path) -> None:
    vhd, cut = tmp_path / "a.vhd", tmp_path / "cut.vhd"
    options = ["-o", "subformat=dynamic,force_size=on"]
    run(["qemu-img", "convert", "-f", "raw", "-O", "vpc", *options, disk, vhd], timeout=60)
    cut.write_bytes(vhd.read_bytes()[: 3 * MIB])
    said = build.refused("images", "import", cut, "--name", "x")
    assert "it was cut" in said and "Get the file anew" in said and "--format raw" in said

    secret, locked = tmp_path / "key", tmp_path / "locked.qcow2"
    secret.write_text("secret")
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "--object", f"secret,id=k,file={secret}"]
    cipher = "encrypt.format=aes,encrypt.key-secret=k"  # LUKS measures the machine, which may be busy
    run([*argv, "-o", cipher, locked, "4M"], timeout=60)
    said = build.refused("images", "import", locked, "--name", "x")
    assert "encrypted" in said and "hint:" in said

    overlay = tmp_path / "overlay.qcow2"
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", disk, "-F", "raw", overlay], timeout=60)
    said = build.refused("images", "import", overlay, "--name", "x")
    assert "needs another file below it" in said and "hint:" in said

    (tmp_path / "text").write_text("no disk" * 100)
    assert "--format raw" in build.refused("images", "import", tmp_path / "text", "--name", "x")
    assert "does not exist" in build.refused("images", "import", tmp_path / "none.vhd", "--name", "x")
    broken = tmp_path / "a.vhdx.gz"
    broken.write_bytes(b"\x1f\x8b\x08" + bytes(100))
    assert "damaged" in build.refused("images", "import", broken, "--name", "x")
    assert build.left() == []


def test_a_disk_without_room_is_said_and_nothing_is_left(
    shared: Command, build: Command, disk: Path, tmp_path: Path
) -> None:
    """The kernel refuses the bytes beyond a limit, as it does without room."""
    said = build.refused("images", "import", disk, "--name", "x", code=3, most=20 * MIB)
    assert "no room" in said and "hint:" in said
    assert build.left() == []
    out = tmp_path / "out"
    out.mkdir()
    for name in ("a.vhd", "a.raw", "a.vmdk", "a.vhd.zst"):
        said = shared.refused("images", "export", "web", out / name, code=3, most=2 * MIB)
        assert "hint:" in said, name
        assert list(out.iterdir()) == []
    assert [path for path in shared.left() if path.startswith("staging")] == []


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A disk that takes a moment."""
    path = tmp_path_factory.mktemp("large") / "large.raw"
    noise = random.Random(6).randbytes(MIB)
    with path.open("wb") as file:
        for number in range(768):
            file.write(number.to_bytes(4, "big") + noise[4:])
        file.seek(510)
        file.write(b"\x55\xaa")
    yield path
    path.unlink()


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
def test_what_is_stopped_in_the_middle_leaves_nothing(
    build: Command, large: Path, tmp_path: Path, signum: signal.Signals, code: int
) -> None:
    words = ("images", "import", large, "--name", "x", "--os-type", "Linux", "--generation", "V1")
    with build.start(*words) as child:
        _until(lambda: any(allocated_size(p) > MIB for p in build.home.glob("staging/*/os.vhd")), child)
        child.send_signal(signum)
        assert child.wait(LIMIT) == code
    if signum == signal.SIGKILL:
        assert any(name.endswith("os.vhd") for name in build.left())
        assert "import_goldsmith_x" in build.call("gc")[1]
    assert build.left() == []
    build.json(*words)

    out = tmp_path / "out"
    out.mkdir()
    with build.start("images", "export", "x", out / "a.qcow2") as child:
        _until(lambda: any(allocated_size(path) > MIB for path in out.iterdir()), child)
        child.send_signal(signum)
        assert child.wait(LIMIT) == code
    if signum == signal.SIGKILL:
        (part,) = out.iterdir()
        assert part.name.startswith(".a.qcow2.") and part.name.endswith(".part")
        build.call("gc")
    assert list(out.iterdir()) == []
    assert [path for path in build.left() if path.startswith("staging")] == []
    build.call("images", "delete", "x", "--yes")


def _until(holds: Any, child: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + LIMIT
    while not holds():
        assert child.poll() is None, "it ended before it could be stopped"
        assert time.monotonic() < end
        time.sleep(0.002)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
