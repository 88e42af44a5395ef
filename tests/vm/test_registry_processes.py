"""Several processes at one registry; no VM boots."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from builder.registry.store import Registry
from builder.settings import Home
from templates.model.gallery import DefinitionProperties, Gallery, Identifier, ImageDefinition

GALLERY = "/subscriptions/0/resourceGroups/rg/providers/Microsoft.Compute/galleries/team"
WEB = f"{GALLERY}/images/web"
PRELUDE = f"""
import sys, time
from pathlib import Path
from builder.registry.store import Registry
from builder.registry.records import Delivery
from builder.settings import Home
WEB = {WEB!r}
"""


def start(home: Home, body: str) -> subprocess.Popen[str]:
    script = PRELUDE + "registry = Registry(Home(Path(sys.argv[1])))\n" + textwrap.dedent(body)
    return subprocess.Popen([sys.executable, "-c", script, str(home.root)], stdout=subprocess.PIPE, text=True)


@pytest.fixture
def shared(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    fill(Registry(home))
    return home


def fill(registry: Registry) -> None:
    """A gallery with a definition."""
    registry.create_gallery(Gallery(id=GALLERY, name="team"))
    identifier = Identifier(publisher="p", offer="o", sku="s")
    properties = DefinitionProperties(os_type="Linux", identifier=identifier)
    registry.create_definition(ImageDefinition(id=WEB, name="web", properties=properties))


def test_no_number_is_given_twice(shared: Home) -> None:
    body = """
        for _ in range(10):
            version = registry.reserve_version(WEB)
            registry.complete_version(version.id, Delivery([], size=1))
            print(version.version, flush=True)
    """
    children = [start(shared, body) for _ in range(4)]
    numbers = [line for child in children for line in child.communicate(timeout=120)[0].split()]
    assert [child.returncode for child in children] == [0] * 4
    assert sorted(numbers, key=lambda n: int(n.split(".")[2])) == [f"0.0.{n}" for n in range(1, 41)]


def test_a_new_home_is_made_once(tmp_path: Path) -> None:
    home = Home(tmp_path / "fresh")
    children = [start(home, "print(len(registry.list_galleries()))") for _ in range(4)]
    assert [child.communicate(timeout=120)[0] for child in children] == ["0\n"] * 4


def test_what_a_killed_process_held_is_given_back(shared: Home) -> None:
    child = start(shared, "print(registry.reserve_version(WEB, '1.0.0').id, flush=True); time.sleep(100)")
    assert child.stdout is not None
    held = child.stdout.readline().strip()
    registry = Registry(shared)
    assert registry.reclaim().versions == ()
    os.kill(child.pid, signal.SIGKILL)
    child.communicate(timeout=60)
    assert registry.reclaim().versions == (held,)
    assert registry.reserve_version(WEB, "1.0.0").id == held
