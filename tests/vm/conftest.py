"""One home, one bootstrapped base and one quickstart build for the whole ring.

Set GOLDSMITH_TEST_HOME to keep the base between runs of the inner loop; CI starts with none.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from azurite import Azurite, installed, place, running
from handover import give, give_nothing, take
from harness import BUILD_LIMIT, EXAMPLES, Cli, Quickstart, assert_nothing_left
from media import Medium, red_hat_medium

from builder.deadline import Deadline
from builder.events import EventBus
from builder.extensions import make_source
from builder.redact import Redactor
from builder.services import Services
from builder.settings import Home, Settings
from builder.sources.base import SourceDisk
from templates.model import PlatformImageSource


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rhel-iso", metavar="PATH", help="also install from this DVD of RHEL, CentOS, Alma, Rocky or Oracle"
    )
    parser.addoption(
        "--debian-installer",
        action="store_true",
        help="also install with Debian's own installer; the mirror must have all its components",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselected without its option, even where its file is named, rather than skipped."""
    if config.getoption("--debian-installer", default=False):
        return
    out = [item for item in items if item.path.name == "test_debian_installer.py"]
    if out:
        items[:] = [item for item in items if item not in out]
        config.hook.pytest_deselected(items=out)


def pytest_sessionfinish() -> None:
    """For a run of tests of which none needed the quickstart."""
    give_nothing()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Without the option there is no such test, rather than one that is skipped."""
    if "dvd" in metafunc.fixturenames:
        given = metafunc.config.getoption("--rhel-iso", default=None)
        metafunc.parametrize("dvd", ["stand-in", *([given] if given else [])], indirect=True, scope="session")


@pytest.fixture(scope="session")
def stand_in_dvd(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Medium:
    """A medium with RHEL's layout and a stand-in for its installer; kept with the kept home."""
    kept = os.environ.get("GOLDSMITH_TEST_HOME")
    return red_hat_medium(home / "media" if kept else tmp_path_factory.mktemp("media"))


@pytest.fixture(scope="session")
def dvd(request: pytest.FixtureRequest, stand_in_dvd: Medium) -> Medium:
    """What a test installs from."""
    return stand_in_dvd if request.param == "stand-in" else Medium.of(Path(request.param))


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = os.environ.get("GOLDSMITH_TEST_HOME")
    if kept:
        path = Path(kept)
        for name in ("registry.db", "registry.db-wal", "registry.db-shm", "settings.toml", "catalogue.json"):
            (path / name).unlink(missing_ok=True)
        for name in ("staging", "runs", "images", "regions", "uploads"):
            shutil.rmtree(path / name, ignore_errors=True)
        path.mkdir(parents=True, exist_ok=True)
        return path
    path = tmp_path_factory.mktemp("goldsmith-home")
    take(Cli(path, path))
    return path


@pytest.fixture(scope="session")
def cli(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    return Cli(home, tmp_path_factory.mktemp("work"))


@pytest.fixture
def no_leftovers(home: Path) -> Iterator[None]:
    """Whatever the test does, afterwards nothing may be left of it."""
    yield
    assert_nothing_left(home)


@pytest.fixture(scope="session")
def quickstart(cli: Cli, home: Path) -> Quickstart:
    """The quickstart example, built once by the command a person types."""
    out = cli.cwd / "out"
    out.mkdir()
    events = cli.cwd / "events.jsonl"
    result = cli(EXAMPLES / "quickstart" / "template.json", "--output-dir", out, "--events", events)
    lines = [json.loads(line) for line in events.read_text().splitlines()] if events.exists() else []
    if result.code == 0:
        give(cli)
    else:
        give_nothing()
    assert result.code == 0, result.text
    return Quickstart(result, out, lines)


@pytest.fixture(scope="session")
def base_disk(home: Path) -> SourceDisk:
    """The bootstrapped Debian 12, made once for the whole ring by the code under test."""
    redactor = Redactor()
    services = Services(
        home=Home(home),
        settings=Settings(),
        bus=EventBus(redactor),
        redactor=redactor,
        deadline=Deadline(BUILD_LIMIT),
        base_dir=home,
        output_dir=home,
    )
    model = PlatformImageSource(type="PlatformImage", publisher="Debian", offer="debian-12", sku="12")
    return make_source(model, services).prepare()


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """One Azurite for the whole ring."""
    program = installed(place() or tmp_path_factory.mktemp("azurite"))
    with running(program, tmp_path_factory.mktemp("azurite-data")) as found:
        yield found
