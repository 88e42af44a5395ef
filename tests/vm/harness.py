"""What the tests of this ring share: the command as a person runs it, and a look at what is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
BUILD_LIMIT = 2400


@dataclass(frozen=True)
class Cli:
    """The `build` command as a person runs it, in its own home."""

    home: Path
    cwd: Path

    @property
    def env(self) -> dict[str, str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith("GOLDSMITH_")}
        return {**env, "GOLDSMITH_HOME": str(self.home)}

    @property
    def argv(self) -> list[str]:
        return [sys.executable, "-m", "builder"]

    def __call__(
        self,
        *args: str | Path,
        timeout: float = BUILD_LIMIT,
        stdin: str = "",
        env: dict[str, str] | None = None,
    ) -> CliResult:
        done = subprocess.run(
            [*self.argv, *map(str, args)],
            cwd=self.cwd,
            env={**self.env, **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return CliResult(done.returncode, done.stdout, done.stderr)

    def start(self, *args: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.argv, *map(str, args)],
            cwd=self.cwd,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


@dataclass(frozen=True)
class CliResult:
    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err

    def json(self) -> object:
        return json.loads(self.out)


def qemu_processes(home: Path) -> list[str]:
    """Command lines of QEMU processes that use this home."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if "qemu-system" in line and str(home) in line:
            found.append(line)
    return found


def assert_nothing_left(home: Path) -> None:
    """No workspace, no QEMU, no half-made files."""
    staging = home / "staging"
    left = [p.name for p in staging.iterdir() if not p.name.startswith(".")] if staging.exists() else []
    assert left == []
    assert qemu_processes(home) == []
    journals = staging / ".journals"
    assert [p.name for p in journals.iterdir()] == [] if journals.exists() else True


@dataclass(frozen=True)
class Quickstart:
    result: CliResult
    out: Path
    events: list[dict[str, object]]

    def artifact(self, run_output: str) -> dict[str, object]:
        return next(e for e in self.events if e["kind"] == "artifact" and e["runOutput"] == run_output)

    @property
    def vhd(self) -> Path:
        return Path(str(self.artifact("quickstart-vhd")["path"]))
