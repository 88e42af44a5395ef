"""The container image of `build`, made as docs/container.md says, and containers of it."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from . import engine

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "goldsmith-test-box:1"
BARE = "goldsmith-test-bare:1"
BUILD_LIMIT = 2400
USER = 1000
# What this machine says of the way out goes into the base, as docs/container.md advises.
_WAY_OUT = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "http_proxy", "https_proxy", "no_proxy")

ALLOW_NAMESPACES = ("--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined")
NO_PRIVILEGE = ("--cap-drop", "ALL", "--security-opt", "no-new-privileges")


def make_bare(place: Path) -> str:
    """A bare Debian that knows this machine's way to the package servers. Returns its name."""
    engine.ensure_base()
    lines = [f"FROM {engine.BASE}"]
    bundle = os.environ.get("PIP_CERT") or ssl.get_default_verify_paths().cafile
    if bundle and Path(bundle).is_file():
        shutil.copyfile(bundle, place / "ca.crt")
        lines += ["COPY ca.crt /etc/ca.crt", "ENV PIP_CERT=/etc/ca.crt SSL_CERT_FILE=/etc/ca.crt"]
    lines += [f'ENV {name}="{os.environ[name]}"' for name in _WAY_OUT if "://" in os.environ.get(name, "")]
    (place / "Dockerfile").write_text("\n".join(lines) + "\n")
    docker("build", "--tag", BARE, place, timeout=300)
    return BARE


def make_image(base: str) -> str:
    """The image of the recipe. Returns its name."""
    recipe = ROOT / ".ci" / "container" / "Dockerfile"
    words = ("--network", "host", "--build-arg", f"BASE={base}", "--tag", IMAGE, "--file", recipe, ROOT)
    docker("build", *words, timeout=1800)
    return IMAGE


@contextmanager
def volume() -> Iterator[str]:
    """A volume that goes with the test."""
    name = f"goldsmith-test-{uuid.uuid4().hex[:8]}"
    docker("volume", "create", name, timeout=60)
    try:
        yield name
    finally:
        docker("volume", "rm", "--force", name, timeout=60)


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


@dataclass(frozen=True)
class Box:
    """`docker run` of the image: a volume as the home, a folder as the place of work, further options.

    The containers use this machine's network, as nothing is said about the engine's own here.
    """

    home: str
    work: Path
    options: tuple[str, ...] = ()
    image: str = IMAGE
    mounts: tuple[str, ...] = field(default=())

    def with_options(self, *options: str) -> Box:
        return replace(self, options=options)

    def argv(self, *more: str) -> list[str]:
        there = [f"{self.home}:/goldsmith", f"{self.work}:/work", *self.mounts]
        volumes = [word for mount in there for word in ("-v", mount)]
        return ["docker", "run", "--init", "--network", "host", *volumes, *self.options, *more, self.image]

    def __call__(self, *words: str) -> Done:
        name = f"goldsmith-test-{uuid.uuid4().hex[:8]}"
        try:
            done = subprocess.run(
                [*self.argv("--rm", "--name", name), *words],
                capture_output=True, text=True, timeout=BUILD_LIMIT, check=False,
            )  # fmt: skip
        except BaseException:
            docker("rm", "--force", name, timeout=60)
            raise
        return Done(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def started(self, *words: str) -> Iterator[str]:
        """A container in the background; its name. It goes in the end."""
        name = f"goldsmith-test-{uuid.uuid4().hex[:8]}"
        subprocess.run(
            [*self.argv("--detach", "--name", name), *words], check=True, capture_output=True, timeout=120
        )
        try:
            yield name
        finally:
            docker("rm", "--force", name, timeout=60)


@contextmanager
def machine(
    image: str, options: Sequence[str], command: Sequence[str] = ("sleep", "infinity")
) -> Iterator[str]:
    """A container that only waits, as a runner's does for its commands; its name. It goes in the end."""
    name = f"goldsmith-test-{uuid.uuid4().hex[:8]}"
    docker("run", "--detach", "--name", name, *options, image, *command, timeout=120)
    try:
        yield name
    finally:
        docker("rm", "--force", name, timeout=60)


def template(name: str, *lines: str) -> dict[str, Any]:
    return {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": "2025-10-01",
        "name": name,
        "location": "local",
        "identity": {"type": "None"},
        "properties": {
            "source": {
                "type": "PlatformImage",
                "publisher": "Debian",
                "offer": "debian-12",
                "sku": "12",
                "version": "latest",
            },
            "customize": [
                {"type": "Shell", "name": f"step{number}", "inline": [line]}
                for number, line in enumerate(lines, 1)
            ],
            "distribute": [{"type": "VHD", "runOutputName": f"{name}-vhd"}],
        },
    }


def write(box: Box, content: dict[str, Any]) -> None:
    (box.work / f"{content['name']}.json").write_text(json.dumps(content))


def logs(name: str) -> str:
    done = subprocess.run(["docker", "logs", name], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout + done.stderr


def execute(name: str, words: Sequence[str], env: dict[str, str], work: str) -> str:
    """A command in a running container, which must succeed; what it said."""
    variables = [word for key, value in env.items() for word in ("--env", f"{key}={value}")]
    done = subprocess.run(
        ["docker", "exec", "--workdir", work, *variables, name, *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=BUILD_LIMIT, check=False,
    )  # fmt: skip
    said = done.stdout.decode()  # as bytes: sections begin with a carriage return
    assert done.returncode == 0, f"$ {words[-1]}\n{said}"
    return said


def docker(*words: str | Path, timeout: float) -> None:
    """A command of the engine, which must succeed."""
    done = subprocess.run(
        ["docker", *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
