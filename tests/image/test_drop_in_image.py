"""A project of evalwire 0.6's shape in an image of the team's own, and uploads to a Phoenix that wants a key."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from evalwire.datasets import upload as uploading
from evalwire.phoenix.access import read_access
from evalwire.phoenix.connection import connect
from evalwire.phoenix.server import Phoenix
from evalwire.uploader import DatasetUploader

pytestmark = pytest.mark.image

PROJECT = Path(__file__).parents[1] / "support/drop_in"
DOCKERFILE = """\
FROM {image}
USER 0
RUN --mount=type=cache,target=/cache UV_CACHE_DIR=/cache evalwire-install langgraph langchain-core
USER 12021:0
"""


@pytest.fixture(scope="module")
def derived(docker, image):
    name = f"{image}-langgraph"
    docker("build", "-q", "-t", name, "-", timeout=280, stdin=DOCKERFILE.format(image=image))
    yield name
    docker("image", "rm", name, check=False)


def test_the_project_runs_mounted_read_only(docker, derived, phoenix, tmp_path):
    """As any user, with a read-only root: nothing of it is edited, and nothing is written beside it."""
    before = sorted(path.relative_to(PROJECT) for path in PROJECT.rglob("*") if "__pycache__" not in path.parts)
    place = ("--read-only", "--tmpfs", "/tmp", "-v", f"{PROJECT}:/work:ro", "--user", "54321:54321")
    for command, said in (("validate", "valid"), ("upload", "created, 3 examples"), ("run", "PASSED: 2 experiments")):
        arguments = ("run", "--rm", "--label", docker.label, *place, *phoenix.options, derived, command)
        finished = docker(*arguments, check=False, timeout=120)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        assert said in finished.stdout
    after = sorted(path.relative_to(PROJECT) for path in PROJECT.rglob("*") if "__pycache__" not in path.parts)
    assert after == before


def test_an_upload_in_parts_needs_no_more_than_the_key(locked_phoenix, admin_secret, tmp_path, monkeypatch):
    """Its marks and removals go another way than its rows, with the same credentials."""
    monkeypatch.setattr(uploading, "ROWS_PER_PART", 2)
    client = connect(read_access({"PHOENIX_ENDPOINT": locked_phoenix.url, "PHOENIX_API_KEY": admin_secret}))
    for count in (5, 1):
        with (tmp_path / "set.csv").open("w", newline="") as file:
            rows = [(f"q{n}", "a", "in-parts") for n in range(count)]
            csv.writer(file).writerows([("user_query", "expected_output", "tags"), *rows])
        DatasetUploader(tmp_path / "set.csv", client).upload("overwrite")
        assert len(Phoenix(client).datasets.fetch("in-parts").examples) == count
