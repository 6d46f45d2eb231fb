"""Fixtures of the whole suite: a real Phoenix, projects on disk, and the program as a user starts it."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import postgres
import pytest
from hypothesis import settings
from in_process import run_in_process
from kill_tally import COUNTS, FIGURES, measured, tally
from losses import TALLY
from postgres import free_port

from evalwire.phoenix.connection import _skip_server_imports, connect
from evalwire.phoenix.local import LocalServer, local_phoenix

EVALWIRE = [sys.executable, "-m", "evalwire"]

_skip_server_imports()  # whichever test imports the client first: the server behind it takes ten seconds

# `pytest --hypothesis-profile nightly` looks further, elsewhere each night, and prints how to see a failure again.
settings.register_profile("ci", max_examples=25, deadline=None, derandomize=True, database=None)
settings.register_profile("nightly", max_examples=500, deadline=None, database=None, print_blob=True)
settings.load_profile("ci")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what drives a browser by the fixture that starts it."""
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)


def pytest_collection_finish() -> None:
    """Leave the collected tests out of garbage collections, which take 6% of the time of the unit tests."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what was counted in a process of pytest-xdist to the one that prints it."""
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        numbers = {name: getattr(TALLY, name) for name in ("runs", "calls", "compared", "lost", "twice")}
        output["tally"] = {"injected": dict(TALLY.injected), **numbers}
        output["counts"], output["figures"] = COUNTS, FIGURES


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add up what the processes of pytest-xdist counted."""
    output = getattr(node, "workeroutput", {})
    TALLY.add(**output.get("tally", {}))
    tally(**output.get("counts", {}))
    measured(**output.get("figures", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the tests of faults and kills counted; docs/reliability.md quotes it."""
    counted = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in sorted(COUNTS.items()))
    lines = TALLY.lines()
    lines += [f"kills: {counted}"] if counted else []
    lines += [f"{name.replace('_', ' ')}: {figure}" for name, figure in sorted(FIGURES.items())]
    if lines:
        terminalreporter.section("reliability")
    for line in lines:
        terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own settings do not reach the tests."""
    for name in list(os.environ):
        if name.startswith(("PHOENIX_", "OTEL_", "EVALWIRE_")) and not name.startswith("EVALWIRE_TEST_"):
            monkeypatch.delenv(name)
    for name in ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def local_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A real Phoenix in a folder, which the processes of this session share."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with (folder / "phoenix.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        port = folder / "phoenix.port"  # of this session: another one would find the usual port free, too
        if not port.exists():
            port.write_text(str(free_port()))
    with local_phoenix(folder / "phoenix", os.environ, port=int(port.read_text())) as server:
        yield server


@pytest.fixture(scope="session")
def phoenix_url(request: pytest.FixtureRequest) -> str:
    """A real Phoenix: the one that EVALWIRE_TEST_PHOENIX names, else the one of this session."""
    named = os.environ.get("EVALWIRE_TEST_PHOENIX")
    url: str = named or request.getfixturevalue("local_server").url
    return url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real Phoenix whose data are in a PostgreSQL."""
    with postgres.phoenix() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def each_phoenix_url(request: pytest.FixtureRequest) -> str:
    """A real Phoenix on SQLite, and one on PostgreSQL."""
    url: str = request.getfixturevalue("phoenix_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture
def client(phoenix_url: str) -> Any:
    """The Phoenix client that a user's script would make."""
    return connect(base_url=phoenix_url)


@pytest.fixture
def make_dataset(client: Any) -> Callable[..., str]:
    """Uploads a dataset under a name of its own: `make_dataset([{"input": ..., "output": ...}])`."""

    def make(examples: list[dict[str, Any]] | int = 3, *, name: str | None = None) -> str:
        name = name or f"set_{uuid.uuid4().hex[:12]}"
        if isinstance(examples, int):
            examples = [
                {"input": {"q": f"question {n}"}, "output": {"expected_output": f"answer {n}"}} for n in range(examples)
            ]
        client.datasets.create_dataset(name=name, examples=examples, timeout=60)
        return name

    return make


@pytest.fixture
def spans_of(client: Any) -> Callable[..., list[Any]]:
    """The spans of a project, once Phoenix, which inserts them in the background, has as many as expected."""

    def spans_of(project: str, *, at_least: int, **selected: Any) -> list[Any]:
        found: list[Any] = []
        deadline = time.monotonic() + 20
        while len(found) < at_least and time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPStatusError):  # no such project yet
                found = client.spans.get_spans(project_identifier=project, limit=1000, **selected)
            time.sleep(0.05)
        return found

    return spans_of


@pytest.fixture(scope="session")
def evals() -> Any:
    """The phoenix-evals package."""
    import phoenix.evals

    return phoenix.evals


# Where the server is installed too, `import phoenix.client` imports all of it, which takes ten seconds.
_SCRIPT = """
import runpy, sys
from evalwire.phoenix import connection
connection._skip_server_imports()
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def script_command(path: str) -> list[str]:
    """Return the command that runs a script as `python PATH` does where Phoenix's server is not installed."""
    return [sys.executable, "-c", _SCRIPT, path]


class Project:
    """A user's project on disk: `write` files into it, `run` evalwire in it."""

    def __init__(self, directory: Path, environ: Mapping[str, str]) -> None:
        self.directory = directory
        self.environ = dict(environ)

    @property
    def experiments(self) -> Path:
        return self.directory / "experiments"

    def write(self, files: Mapping[str, str]) -> Project:
        """Write files, named relative to the project's folder."""
        for name, text in files.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return self

    def experiment(self, name: str, *, task: str | None = None, **evaluators: str) -> Project:
        """Write an experiment folder; without evaluators, one that always scores 1."""
        files = {"task.py": task or "async def task(example):\n    return example.input['q']\n"}
        files |= {f"{stem}.py": text for stem, text in (evaluators or {"always": ALWAYS}).items()}
        return self.write({f"experiments/{name}/{file}": text for file, text in files.items()})

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        """Start a command in a process of its own."""
        return subprocess.Popen(
            [*EVALWIRE, *arguments],
            cwd=self.directory,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, in this process."""
        return run_in_process(arguments, cwd=self.directory, environ={**self.environ, **environ})

    def run_process(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a process of its own: for signals, `os._exit`, threads that stay, several jobs at once."""
        process = self.start(*arguments, **environ)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


ALWAYS = "def always(output):\n    return 1.0\n"


def quiet_environment(**extra: str) -> dict[str, str]:
    """The environment of a process under test: no settings of the developer's, a wide terminal."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PHOENIX_", "OTEL_", "EVALWIRE_"))
    }
    for name in ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        kept.pop(name, None)
    return {**kept, **extra}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project without a Phoenix (nothing listens where it would look)."""
    return Project(tmp_path, quiet_environment(PHOENIX_ENDPOINT="http://127.0.0.1:9", EVALWIRE_FETCH_ATTEMPTS="1"))


@pytest.fixture
def phoenix_project(tmp_path: Path, phoenix_url: str) -> Project:
    """An empty project with the real Phoenix."""
    return Project(tmp_path, quiet_environment(PHOENIX_ENDPOINT=phoenix_url))
