"""Two users of the operating system at one home, as real processes of theirs; no VM boots."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import Cli, CliResult
from test_bad_input import BASE

GROUP = "7100"
# Numbers without names: no account has to be made.
ALICE, BOB, CAROL = "7101", "7102", "7103"
WEB = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/goldsmith"
    "/providers/Microsoft.Compute/galleries/team/images/web"
)
PUBLISH = f"""
from pathlib import Path
from builder.registry.records import Delivery
from builder.registry.store import Registry
from builder.settings import Home
registry = Registry(Home())
version = registry.complete_version(registry.reserve_version({WEB!r}).id, Delivery([], size=1))
print(version.version, version.created_by)
"""

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class User:
    """Somebody with a number, in the group that owns the home. They may read our own files wherever
    these lie (CAP_DAC_READ_SEARCH), and write only what their number and group may.
    """

    uid: str
    home: Path
    group: str = GROUP

    def __call__(self, *args: str | Path, caller: str = "") -> CliResult:
        return self.run([sys.executable, "-m", "builder", *map(str, args)], caller)

    def python(self, script: str) -> CliResult:
        return self.run([sys.executable, "-c", script])

    def run(self, argv: list[str], caller: str = "") -> CliResult:
        env = {**Cli(self.home, self.home).env, **({"GOLDSMITH_CALLER": caller} if caller else {})}
        kept = [
            f"{name}={env[name]}" for name in ("GOLDSMITH_HOME", "PATH", "GOLDSMITH_CALLER") if name in env
        ]
        who = [f"--reuid={self.uid}", f"--regid={self.group}", f"--groups={self.group}"]
        caps = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        shared = ["sh", "-c", 'umask 002; exec "$@"', "sh"]
        done = subprocess.run(
            [*ROOT, "setpriv", *who, *caps, "--", "env", *kept, *shared, *argv],
            cwd="/",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return CliResult(done.returncode, done.stdout, done.stderr)


ROOT = [] if os.geteuid() == 0 else ["sudo", "-n"]


@pytest.fixture
def home() -> Iterator[Path]:
    above = Path(tempfile.mkdtemp(prefix="gs-shared-", dir="/tmp"))
    above.chmod(0o755)  # pytest's own folders are nobody else's
    folder = above / "home"
    subprocess.run([*ROOT, "install", "-d", "-o", ALICE, "-g", GROUP, "-m", "2770", folder], check=True)
    yield folder
    subprocess.run([*ROOT, "rm", "-rf", above], check=True)


@pytest.fixture
def alice(home: Path) -> User:
    """Who came first: the home and the registry in it are hers."""
    user = User(ALICE, home)
    assert user("gallery", "create", "team").code == 0
    made = user("gallery", "definition", "create", "team/web", "-p", "me", "-f", "web", "-s", "1")
    assert made.code == 0, made.text
    return user


def test_a_second_user_is_denied_then_granted_and_succeeds(alice: User, home: Path) -> None:
    bob = User(BOB, home)
    assert "#7101" in alice("access", "whoami").out
    assert bob("gallery", "list", "--json").json() == []
    app = ("gallery", "definition", "create", "team/app", "-p", "me", "-f", "app", "-s", "1")
    denied = bob(*app)
    assert denied.code == 2
    assert "error: The client '#7102' with object id '7102' does not have" in denied.err
    granted = alice("access", "grant", "Contributor", "--to", "user:#7102", "--on", "team")
    assert granted.code == 0, granted.text
    assert bob(*app).code == 0
    published = bob.python(PUBLISH)
    assert published.out.split() == ["0.0.1", "user:#7102"], published.text
    assert bob("access", "grant", "Reader", "--to", "user:#7103", "--on", "team").code == 2
    assert alice("access", "revoke", "Contributor", "--from", "user:#7102", "--on", "team").code == 0
    again = bob.python(PUBLISH)
    assert "AuthorizationError" in again.err, again.text
    lines = json.loads(alice("gallery", "audit", "--json").out)
    told = {(one["caller"], one["outcome"], one["action"].split("/", 1)[1]) for one in lines}
    assert ("user:#7102", "Denied", "galleries/read") in told
    assert ("user:#7102", "Allowed", "galleries/images/versions/write") in told
    assert ("user:#7102", "Denied", "roleAssignments/write") in told


def test_a_build_is_refused_before_anything_boots(alice: User, home: Path) -> None:
    properties = {
        **BASE["properties"],
        "distribute": [{"type": "SharedImage", "runOutputName": "out", "galleryImageId": WEB}],
    }
    template = home.parent / "template.json"
    template.write_text(json.dumps({**BASE, "properties": properties}, indent=1))
    bob = User(BOB, home)
    refused = bob("validate", template)
    assert refused.code == 2, refused.text
    assert "AuthorizationFailed" in refused.text
    assert f"'Microsoft.Compute/galleries/images/versions/write' over scope '{WEB}'" in refused.text
    assert "build access grant Contributor --to 'user:#7102' --on team/web" in refused.text
    assert "template.json:" in refused.text, "at its place in the template"
    assert alice("access", "grant", "Contributor", "--to", "user:#7102", "--on", "team/web").code == 0
    assert "AuthorizationFailed" not in bob("validate", template).text


def test_groups_service_principals_and_root(alice: User, home: Path) -> None:
    carol = User(CAROL, home)
    assert carol("gallery", "show", "team").code == 2
    granted = alice("access", "grant", "Reader", "--to", f"group:#{GROUP}", "--on", "team")
    assert granted.code == 0, granted.text
    assert carol("gallery", "show", "team").code == 0
    delete = ("gallery", "definition", "delete", "team/web", "--yes")
    assert "The client 'ci'" in carol(*delete, caller="ServicePrincipal:ci").err
    assert alice("access", "grant", "Contributor", "--to", "sp:ci", "--on", "team/web").code == 0
    assert carol(*delete, caller="ServicePrincipal:ci").code == 0
    assert carol("gallery", "list", caller="User:root").code == 2, "nobody else can be claimed to be"
    root = User("0", home, group="0")
    assert "you are Owner of everything" in root("access", "whoami").out
    last = root("access", "revoke", "Owner", "--from", "user:#7101", "--on", "/")
    assert (last.code, "last Owner" in last.err) == (2, True), last.text
