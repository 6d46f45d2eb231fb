"""`docker-compose.yml`, as its first lines say to use it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import urllib.request
import uuid
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

pytestmark = pytest.mark.image

ROOT = Path(__file__).parents[2]
EXPERIMENTS = ("doc_search", "invoice_fields", "support_router")


@pytest.fixture
def compose(docker, base_image):
    """`docker compose` in a project of its own, on a free port, gone afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    name = f"evalwire-tests-{uuid.uuid4().hex[:8]}"

    def run(*arguments, check=True, timeout=200):
        environ = {"PHOENIX_PORT": str(port)}
        return docker("compose", "-p", name, *arguments, check=check, timeout=timeout, environ=environ)

    def left_over():
        of_project = ("--filter", f"label=com.docker.compose.project={name}")
        listings = (("ps", "-aq"), ("volume", "ls", "-q"), ("network", "ls", "-q"))
        return [line for listing in listings for line in docker(*listing, *of_project).stdout.split()]

    run.port, run.name, run.left_over = port, name, left_over
    try:
        yield run
    finally:
        run("down", "-v", check=False)
        docker("image", "rm", f"{name}-evalwire", f"{name}-upload", check=False)


def commands_of_the_readme():
    """The block of commands that starts with Docker's, as it stands there."""
    blocks = [
        token.content for token in MarkdownIt().parse((ROOT / "README.md").read_text()) if token.type == "code_block"
    ]
    (block,) = [block for block in blocks if block.startswith("docker ")]
    return block.replace("\\\n", " ").splitlines()


@pytest.fixture
def reader(compose, tmp_path):
    """Run a line of the README in a shell in a clone, which has a port and a project's name of its own."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        if (source := ROOT / name).is_file():
            (target := tmp_path / "evalwire" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    environ = {
        **os.environ,
        "DOCKER_BUILDKIT": "1",
        "PHOENIX_PORT": str(compose.port),
        "COMPOSE_PROJECT_NAME": compose.name,
    }

    def run(line):
        line = line.replace(":6006", f":{compose.port}")
        done = subprocess.run(
            ["bash", "-c", line], cwd=tmp_path / "evalwire", env=environ, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=200,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    run.directory = tmp_path / "evalwire"
    return run


@pytest.mark.usefixtures("servers")  # of other tests: they take half a minute to start, and may do so meanwhile
def test_the_readmes_commands_and_compose_run_the_examples_and_leave_nothing(compose, reader):
    """The README's commands upload, build and run; one command of compose does it all, and exits as evalwire does."""
    upload, build, run, remove = commands_of_the_readme()
    reader(upload)
    reader(build)
    printed = reader(run)
    assert ": 3 experiments, 63 examples, none failed" in printed
    assert (reader.directory / "test-results/report.html").stat().st_uid == os.getuid()

    finished = compose("run", "--rm", "-T", "evalwire")
    assert ": 3 experiments, 63 examples, none failed" in finished.stdout
    assert "No report and no journal" not in finished.stderr, "an unfounded warning"
    assert re.search(r"PASSED \(\d+ gates passed\)", finished.stdout)
    assert all(f"\n{name} " in finished.stdout for name in EXPERIMENTS)
    assert finished.stdout.count(f"  http://localhost:{compose.port}/datasets/") == len(EXPERIMENTS)
    assert compose("run", "--rm", "-T", "evalwire", "run", "--no-such-flag", check=False).returncode == 2
    assert "PASSED" in compose("run", "--rm", "-T", "--no-deps", "evalwire", "report").stdout

    # Phoenix stays, for a person on this machine and for nobody else
    assert compose("port", "phoenix", "6006").stdout.strip() == f"127.0.0.1:{compose.port}"
    with urllib.request.urlopen(f"http://127.0.0.1:{compose.port}/readyz", timeout=5) as answer:
        assert answer.status == 200

    assert compose.left_over() != []
    reader(remove)
    assert compose.left_over() == []
