"""`docker-compose.yml`, as its first lines say to use it."""

from __future__ import annotations

import re
import socket
import urllib.request
import uuid

import pytest

pytestmark = pytest.mark.image

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

    run.port, run.left_over = port, left_over
    try:
        yield run
    finally:
        run("down", "-v", check=False)
        docker("image", "rm", f"{name}-evalwire", f"{name}-upload", check=False)


@pytest.mark.usefixtures("servers")  # of other tests: they take half a minute to start, and may do so meanwhile
def test_compose_runs_the_examples_and_leaves_nothing(compose):
    """One command builds, starts Phoenix, uploads, runs, and exits as evalwire does; and does so again."""
    for _ in range(2):
        finished = compose("run", "--rm", "-T", "evalwire")
        assert ": 3 experiments, 63 examples, none failed" in finished.stdout
        assert "No report and no journal" not in finished.stderr, "a fright where nothing is wrong"
        assert re.search(r"PASSED \(\d+ gates held\)", finished.stdout), "and its gates held"
        assert all(f"\n{name} " in finished.stdout for name in EXPERIMENTS)
        assert finished.stdout.count(f"  http://localhost:{compose.port}/datasets/") == len(EXPERIMENTS)
    assert compose("run", "--rm", "-T", "evalwire", "run", "--no-such-flag", check=False).returncode == 2
    assert "PASSED" in compose("run", "--rm", "-T", "--no-deps", "evalwire", "report").stdout

    # Phoenix stays, for a person on this machine and for nobody else
    assert compose("port", "phoenix", "6006").stdout.strip() == f"127.0.0.1:{compose.port}"
    with urllib.request.urlopen(f"http://127.0.0.1:{compose.port}/readyz", timeout=5) as answer:
        assert answer.status == 200

    assert compose.left_over() != []
    compose("down", "-v")
    assert compose.left_over() == []
