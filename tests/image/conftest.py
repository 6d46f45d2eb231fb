"""The image, and Phoenix servers to drive it against; whatever a session starts carries its label, and goes with it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import subprocess
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import image_session
import pytest

ROOT = Path(__file__).parents[2]
PROJECTS = Path(__file__).parent / "projects"
SESSION = os.environ.get(image_session.VARIABLE)  # several processes share it, and another one ends it
BUILD_ARGUMENTS = {
    "SOURCE": "https://git.example/team/evalwire",
    "VERSION": "0.0.0+test",
    "REVISION": "0123456789abcdef0123456789abcdef01234567",
}
ADMIN_SECRET = "an-admin-secret-of-these-tests-0123456789"
READY_SECONDS = 120.0
# Phoenix's image has no bytecode, and compiling takes half of the time of a start: the second server finds the first's.
AFTER_THE_OTHER = """
import os, sys, time, urllib.request
while True:
    try:
        urllib.request.urlopen("http://open:6006/readyz", timeout=5).close()
        break
    except OSError:
        time.sleep(0.2)
os.execv(sys.executable, [sys.executable, "-m", "phoenix.server.main", "serve"])
"""

Finished = subprocess.CompletedProcess[str]


@dataclass(frozen=True, slots=True)
class Docker:
    """The docker CLI; the containers and networks of a session carry its label."""

    session: str

    @property
    def label(self) -> str:
        """The label of this session: another may run beside it."""
        return image_session.label(self.session)

    def __call__(
        self,
        *arguments: str,
        check: bool = True,
        timeout: float = 60,
        stdin: str = "",
        environ: dict[str, str] | None = None,
    ) -> Finished:
        """Run `docker ARGUMENTS`."""
        finished = subprocess.run(
            ["docker", *arguments],
            cwd=ROOT,
            env={**os.environ, "DOCKER_BUILDKIT": "1", **(environ or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and finished.returncode:
            pytest.fail(f"docker {' '.join(arguments)}: exit {finished.returncode}\n{finished.stdout}{finished.stderr}")
        return finished

    def has_image(self, name: str) -> bool:
        """Whether the engine has it; BuildKit leaves the base images that it pulls elsewhere."""
        return self("image", "inspect", name, check=False).returncode == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A Phoenix in a container.

    Attributes:
        container: its name.
        url: for the host.
        options: of `docker run`, for a container that shall talk to it.
    """

    container: str
    url: str
    options: tuple[str, ...]


@pytest.fixture(scope="session")
def docker() -> Iterator[Docker]:
    """The engine; without one these tests are skipped, unless the environment says that they must run."""
    try:
        subprocess.run(["docker", "version"], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        if os.environ.get("EVALWIRE_REQUIRE_IMAGE_TESTS") == "1":
            pytest.fail(f"no container engine answers, and EVALWIRE_REQUIRE_IMAGE_TESTS=1: {error}")
        pytest.skip("no container engine answers")
    own = SESSION or uuid.uuid4().hex[:8]
    try:
        yield Docker(own)
    finally:
        if SESSION is None:
            image_session.clean_up(own)


@contextlib.contextmanager
def turn(docker: Docker) -> Iterator[Path]:
    """Let one process of a session at a time make what they share; yield the folder for its notes."""
    folder = Path(tempfile.gettempdir()) / f"evalwire-tests-{docker.session}"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


@pytest.fixture(scope="session")
def base_image() -> str:
    """The image that the Dockerfile builds on."""
    found = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert found
    return found[1]


@pytest.fixture(scope="session")
def image(docker, base_image) -> str:
    """The image, built once."""
    name = image_session.image(docker.session)
    arguments = [word for item in BUILD_ARGUMENTS.items() for word in ("--build-arg", "=".join(item))]
    with turn(docker):
        if not docker.has_image(base_image):
            docker("pull", "-q", base_image, timeout=280)
        if not docker.has_image(name):
            docker("build", "-q", *arguments, "-t", name, ".", timeout=280)
    return name


@pytest.fixture(scope="session")
def evalwire(docker, image) -> Callable[..., Finished]:
    """`docker run --rm OPTIONS evalwire COMMAND`, to its end."""

    def run(
        *command: str, options: Sequence[str] = (), timeout: float = 60, stdin: str = "", **environ: str
    ) -> Finished:
        # by name only: `-e NAME` takes the value from the environment, as a CI job gives a secret
        variables = [word for name in environ for word in ("-e", name)]
        label = ("--label", docker.label)
        arguments = ("run", "--rm", "-i", *label, *variables, *options, image, *command)
        return docker(*arguments, check=False, timeout=timeout, stdin=stdin, environ=environ)

    return run


@pytest.fixture(scope="session")
def project() -> Callable[[str], tuple[str, ...]]:
    """The options that mount one of `projects/`, read-only, where evalwire looks for experiments."""
    return lambda name: ("-v", f"{PROJECTS / name}:/work/experiments:ro")


@pytest.fixture(scope="session")
def servers(docker) -> dict[str, Server]:
    """Two Phoenixes: `open`, and `locked`, which wants a key."""
    with turn(docker) as folder:
        note = folder / "servers.json"
        if not note.exists():
            note.write_text(json.dumps({name: asdict(server) for name, server in _start_servers(docker).items()}))
        noted = json.loads(note.read_text())
    return {name: Server(**{**fields, "options": tuple(fields["options"])}) for name, fields in noted.items()}


def _start_servers(docker: Docker) -> dict[str, Server]:
    found = re.search(r"image: (arizephoenix/phoenix:\S+)", (ROOT / "docker-compose.yml").read_text())
    assert found
    if not docker.has_image(found[1]):
        docker("pull", "-q", found[1], timeout=280)
    session = docker.session
    network = f"evalwire-tests-{session}"
    docker("network", "create", "--label", docker.label, network)
    locked = ("PHOENIX_ENABLE_AUTH=true", "PHOENIX_SECRET=a-secret-of-these-tests-0123456789abcdef")
    docker("volume", "create", "--label", docker.label, f"{network}-bytecode")
    bytecode = ("-v", f"{network}-bytecode:/bytecode", "-e", "PYTHONPYCACHEPREFIX=/bytecode")
    python = docker("image", "inspect", "-f", "{{index .Config.Entrypoint 0}}", found[1]).stdout.strip()
    started = {}
    for name, variables, script in (
        ("open", (), ""),
        ("locked", (*locked, f"PHOENIX_ADMIN_SECRET={ADMIN_SECRET}"), AFTER_THE_OTHER),
    ):
        container = f"evalwire-tests-{session}-{name}"
        settings = [word for variable in ("PHOENIX_TELEMETRY_ENABLED=false", *variables) for word in ("-e", variable)]
        place = ("--network", network, "--network-alias", name, "-p", "127.0.0.1::6006", *bytecode)
        command = ("--entrypoint", python, found[1], "-c", script) if script else (found[1],)
        docker("run", "-d", "--name", container, "--label", docker.label, *place, *settings, *command)
        docker("network", "connect", "bridge", container)  # before its port is read: Docker may publish it anew
        port = docker("port", container, "6006/tcp").stdout.split(":")[-1].strip()
        options = ("--network", network, "-e", f"PHOENIX_ENDPOINT=http://{name}:6006")
        started[name] = Server(container=container, url=f"http://127.0.0.1:{port}", options=options)
    return started


def _ready(docker: Docker, server: Server, evalwire: Callable[..., Finished], **environ: str) -> Server:
    """The server, once it answers and has the testset."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{server.url}/readyz", timeout=5):
            break
        assert time.monotonic() < deadline, f"Phoenix is not ready after {READY_SECONDS:.0f} s"
        time.sleep(0.5)
    testset = ("-v", f"{PROJECTS / 'testset.csv'}:/work/testset.csv:ro")
    with turn(docker):
        uploaded = evalwire("upload", "--csv", "testset.csv", options=(*server.options, *testset), **environ)
    assert uploaded.returncode == 0, uploaded.stderr
    return server


@pytest.fixture(scope="session")
def phoenix(docker, servers, evalwire) -> Server:
    """A Phoenix without authentication that has the testset."""
    return _ready(docker, servers["open"], evalwire)


@pytest.fixture(scope="session")
def locked_phoenix(docker, servers, evalwire) -> Server:
    """A Phoenix with authentication that has the testset; `admin_secret` is a key to it."""
    return _ready(docker, servers["locked"], evalwire, PHOENIX_API_KEY=ADMIN_SECRET)


@pytest.fixture(scope="session")
def admin_secret() -> str:
    """The key of `locked_phoenix`."""
    return ADMIN_SECRET
