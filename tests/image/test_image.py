"""What is in the image: its configuration, its budgets, and what its entrypoint does with a command."""

from __future__ import annotations

import json
import re
import statistics
import time
from pathlib import Path

import pytest
from typer.main import get_command

from evalwire.cli.app import app

pytestmark = pytest.mark.image

ROOT = Path(__file__).parents[2]
MEGABYTES_ABOVE_BASE = 110
START_SECONDS = 0.3

# Everything that a run imports, and what of it has no bytecode. Frozen modules are part of the interpreter.
WITHOUT_BYTECODE = """
import importlib, os, pkgutil, sys
import evalwire, phoenix.client, rich.progress
for module in pkgutil.walk_packages(evalwire.__path__, "evalwire."):
    if module.name != "evalwire.__main__":
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            if error.name != "psutil":  # of the local server, which the image does not have
                raise
files = [(name, module.__spec__.cached) for name, module in sys.modules.items() if getattr(module, "__spec__", None)]
print(len(files), *[name for name, cached in files if cached and not os.path.exists(cached)])
"""


@pytest.fixture(scope="module")
def config(docker, image):
    return json.loads(docker("image", "inspect", image).stdout)[0]["Config"]


def _lines(text):
    return sorted(line.split()[0] for line in text.splitlines() if line and not line.startswith((" ", "#")))


# --- configuration -------------------------------------------------------------------------------------


def test_the_user_is_a_number_and_not_root(config):
    """Platforms that forbid root can only tell by a number; group 0 is the one that any chosen user gets."""
    user, group = config["User"].split(":")
    assert int(user) > 10_000
    assert group == "0"


def test_there_is_no_health_check(config):
    """A job is healthy when it exits 0."""
    assert "Healthcheck" not in config


def test_the_environment_suits_any_user_and_a_read_only_root(config):
    """A home for users without an entry, nothing written beside sources, and no endpoint from a mounted folder."""
    environ = dict(variable.split("=", 1) for variable in config["Env"])
    expected = {
        "HOME": "/tmp",
        "PHOENIX_DISCOVER_CONFIG": "false",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    assert environ.items() >= expected.items()
    assert config["WorkingDir"] == "/work"
    assert config["Entrypoint"] == ["/app/entrypoint.sh"]
    assert not config["Cmd"]


def test_labels_say_what_it_is_and_where_it_is_from(config):
    """The OCI labels are there, those of the build with the build's arguments."""
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    assert {"title", "description", "licenses", "source", "version", "revision"} <= {k for k, v in labels.items() if v}
    assert (labels["title"], labels["licenses"]) == ("evalwire", "Apache-2.0")
    assert (labels["version"], labels["revision"]) == ("0.0.0+test", "0123456789abcdef0123456789abcdef01234567")


# --- contents ------------------------------------------------------------------------------------------


def test_dependencies_are_those_of_the_lock(evalwire):
    """What is installed and what /app/constraints.txt says is what requirements.lock says, and evalwire."""
    version = evalwire("--version").stdout.split()[1]
    expected = sorted([*_lines((ROOT / "requirements.lock").read_text()), f"evalwire=={version}"])
    assert _lines(evalwire("cat", "/app/constraints.txt").stdout) == expected
    assert _lines(evalwire("uv", "pip", "freeze", "--no-cache").stdout) == expected


def test_the_lock_is_of_no_machine():
    """Every line of the lock is a version, a hash or a comment: no index, no folder of whoever made it."""
    lock = (ROOT / "requirements.lock").read_text()
    body = [line for line in lock.splitlines() if not re.match(r"\s*#", line)]
    assert [line for line in body if not re.fullmatch(r"\S+==\S+ \\|    --hash=sha256:[0-9a-f]{64}( \\)?", line)] == []
    assert "http:" not in lock
    assert "https:" not in lock
    assert "make lock" in lock.splitlines()[1]


def test_only_what_is_needed_is_sent_to_the_build():
    """The context is an allowlist, so that a new file (a `.env`, a cache) stays outside."""
    entries = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert entries[0] == "*"
    allowed = {entry[1:] for entry in entries if entry.startswith("!")}
    assert allowed == {"app", "entrypoint.sh", "image", "LICENSE", "pyproject.toml", "README.md", "requirements.lock"}


@pytest.mark.parametrize("user", [(), ("--user", "54321:0")], ids=["own user", "group 0"])
def test_a_job_cannot_change_its_own_program(evalwire, user):
    """Neither the image's user nor another one of its group may write in /app."""
    found = evalwire("find", "/app", "!", "-type", "l", "-writable", options=user)
    assert (found.returncode, found.stdout) == (0, "")


def test_everything_that_a_run_imports_is_compiled(evalwire):
    """No start compiles anything: the standard library, the dependencies and evalwire have their bytecode."""
    finished = evalwire("python", "-c", WITHOUT_BYTECODE)
    assert finished.returncode == 0, finished.stderr
    count, *missing = finished.stdout.split()
    assert missing == [], finished.stderr
    assert int(count) > 300


# --- budgets -------------------------------------------------------------------------------------------


def test_it_is_small(docker, image, base_image, record_testsuite_property):
    """At most 110 MB above its base, uv included."""
    sizes = [int(docker("image", "inspect", "-f", "{{.Size}}", name).stdout) for name in (image, base_image)]
    above = (sizes[0] - sizes[1]) / 1e6
    record_testsuite_property("megabytes_above_base", above)
    assert above <= MEGABYTES_ABOVE_BASE


@pytest.mark.alone
def test_it_starts_fast(evalwire, record_testsuite_property):
    """`evalwire --version` takes at most 0.3 s more than a container that does nothing; medians of 5."""

    def seconds(*command, options=()):
        began = time.monotonic()
        assert evalwire(*command, options=options).returncode == 0
        return time.monotonic() - began

    def difference(count):
        pairs = [(seconds("--version"), seconds(options=("--entrypoint", "true"))) for _ in range(count)]
        version, nothing = (statistics.median(column) for column in zip(*pairs, strict=True))
        record_testsuite_property("start_seconds", (version, nothing))
        return version - nothing

    # the machine may have been busy with something else: once more, with the same budget
    assert difference(5) <= START_SECONDS or difference(10) <= START_SECONDS


# --- the entrypoint ------------------------------------------------------------------------------------


def test_the_entrypoint_knows_every_verb():
    """Its list of verbs is the CLI's, or a verb would be taken for a program."""
    script = (ROOT / "entrypoint.sh").read_text()
    words = re.search(r"^-\* \| (.+)\)", script, re.MULTILINE)
    assert words
    assert words[1].split(" | ") == sorted(get_command(app).commands)


def test_the_entrypoint_decides_nothing():
    """Under 15 lines, and ends in `exec`: what runs is PID 1 and gets the signals."""
    lines = (ROOT / "entrypoint.sh").read_text().splitlines()
    assert len(lines) < 15
    assert lines[-1] == 'exec "$@"'


def test_flags_and_verbs_are_evalwires(evalwire):
    """A first word that is a flag or a verb needs no `evalwire` before it."""
    version = evalwire("--version")
    assert re.fullmatch(r"evalwire \d\S+\n", version.stdout)
    assert evalwire("evalwire", "--version").stdout == version.stdout
    assert "Usage: evalwire upload" in evalwire("upload", "--help").stdout


@pytest.mark.parametrize("command", [(), ("",), ("", "--quiet")], ids=["none", "empty", "empty, then a flag"])
def test_no_command_means_run(evalwire, command):
    """Without a command, or with an empty one as a CI variable gives it, it runs; here it finds nothing to run."""
    finished = evalwire(*command)
    assert finished.returncode == 1
    assert "no experiment in /work/experiments/" in finished.stderr


def test_other_commands_run_as_they_are(evalwire):
    """CI systems start the image with a shell, or with `cat` to keep it; nothing of evalwire is in the way."""
    shell = evalwire("sh", "-c", "exit 7")
    assert (shell.returncode, shell.stdout, shell.stderr) == (7, "", "")
    assert evalwire("cat", stdin="to be\nor not").stdout == "to be\nor not"
    assert evalwire("python", "-c", "import evalwire, os; print(os.getpid())").stdout == "1\n"
    assert evalwire("uv", "--version").stdout.startswith("uv ")
