"""Real SSH in containers: every provisioner meets a real sshd here."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder.vm.access import BuildAccess
from builder.vm.ssh import SshGuest
from builder.vm.ssh_link import Endpoint

from . import box, engine
from .box import ALLOW_NAMESPACES, USER, Box, Done, template, write
from .recorder import Recorder


@pytest.fixture(scope="session")
def access() -> BuildAccess:
    return BuildAccess.generate()


@pytest.fixture(scope="session")
def docker_engine(access: BuildAccess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    keys = tmp_path_factory.mktemp("keys")
    keys.chmod(0o755)
    (keys / "authorized_keys").write_text(access.client_key.public + "\n")
    (keys / "host_key").write_text(access.host_key.private)
    os.environ["GOLDSMITH_TEST_KEYS"] = str(keys)
    try:
        with engine.running_engine():
            engine.ensure_base()
            yield
    except engine.EngineError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def docker_compose_command() -> str:
    return "docker-compose" if shutil.which("docker-compose") else "docker compose"


@pytest.fixture(scope="session")
def docker_compose_file() -> str:
    return str(Path(__file__).parent / "docker-compose.yml")


@pytest.fixture(scope="session")
def docker_setup(docker_engine: None) -> list[str]:
    return ["build --quiet guest", "up --no-build -d"]


@pytest.fixture(scope="session")
def docker_cleanup() -> list[str]:
    return ["down -v --timeout 1"]


@pytest.fixture(scope="session")
def docker_compose_project_name() -> str:
    # One name per process: two sessions on one machine must not share containers.
    return f"goldsmith-test-{os.getpid()}"


class Containers:
    """Guests by service name, and what only the outside of a container can do."""

    def __init__(self, docker_services, project: str, access: BuildAccess) -> None:
        self._services = docker_services
        self._project = project
        self._access = access

    def connect(self, service: str) -> SshGuest:
        endpoint = Endpoint("127.0.0.1", self._services.port_for(service, 22))
        guest = SshGuest(endpoint, self._access)
        guest.connect(timeout=20)
        return guest

    def inside(self, service: str, *argv: str) -> str:
        """The output of a command run as root through the engine, not through SSH."""
        found = subprocess.run(
            ["docker", "ps", "-q", "-f", f"label=com.docker.compose.project={self._project}",
             "-f", f"label=com.docker.compose.service={service}"],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        name = found.stdout.split()[0]
        done = subprocess.run(
            ["docker", "exec", name, *argv], capture_output=True, text=True, timeout=60, check=False
        )
        assert "Error" not in done.stderr, done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def containers(docker_services, docker_compose_project_name: str, access: BuildAccess) -> Containers:
    return Containers(docker_services, docker_compose_project_name, access)


@pytest.fixture
def connect(containers: Containers) -> Iterator[Callable[[str], SshGuest]]:
    guests: list[SshGuest] = []

    def open_guest(service: str) -> SshGuest:
        guests.append(containers.connect(service))
        return guests[-1]

    yield open_guest
    for guest in guests:
        guest.disconnect()


@pytest.fixture
def guest(connect: Callable[[str], SshGuest]) -> SshGuest:
    return connect("guest")


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(scope="session")
def bare(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    return box.make_bare(tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="session")
def image(bare: str) -> str:
    return box.make_image(bare)


@pytest.fixture(scope="session")
def plain(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """As the engine runs it by default, with a home of its own and a folder that belongs to the user."""
    work = tmp_path_factory.mktemp("work")
    for folder in (work, *work.parents):
        if folder == Path("/tmp"):
            break
        folder.chmod(0o755)
    os.chown(work, USER, USER)
    with box.volume() as home:
        yield Box(home, work)


@pytest.fixture(scope="session")
def built(plain: Box) -> Done:
    """The first build: from nothing, so the base is bootstrapped in the container."""
    write(plain, template("first", "echo one | sudo tee /etc/made"))
    return plain.with_options(*ALLOW_NAMESPACES)("run", "first.json", "--output-dir", "out", "--plain")
