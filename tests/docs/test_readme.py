"""README.md: its length and order, and each of its commands, run in a fresh clone as it stands there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
import yaml
from markdown_it import MarkdownIt

from conftest import quiet_environment
from evalwire.phoenix.local import LocalServer

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()
BLOCKS = [token.content for token in MarkdownIt().parse(TEXT) if token.type == "code_block"]
COMMANDS = [
    line.split("  #")[0].strip()
    for block in BLOCKS
    for line in block.replace("\\\n", " ").splitlines()
    if not line.startswith(("- ", " "))
]
# `tests/image/test_compose.py` runs the commands of Docker.
RUN_HERE = ["make demo", "make serve", "evalwire init my-evals", "cd my-evals", "evalwire run --local"]
DATASETS = {"doc_search", "invoice_fields", "support_router", "ticket_router"}
ENVIRONMENT = "python3 -m venv .venv && . .venv/bin/activate"  # the tests have one
FROM_THE_NETWORK = ["pip install '.[local]'"]


def test_it_is_short_and_in_the_order_of_a_reader():
    assert len(TEXT.splitlines()) <= 130
    headings = re.findall(r"^## (.*)", TEXT, re.MULTILINE)
    assert headings == ["Try it", "In your pipeline", "Write an experiment", "Exit codes", "More features"]
    assert TEXT.index("docs/pictures/") < TEXT.index("## Try it")


def test_every_command_is_run_or_checked():
    docker = [command for command in COMMANDS if command.startswith("docker ")]
    assert sorted(COMMANDS) == sorted([*RUN_HERE, ENVIRONMENT, *FROM_THE_NETWORK, *docker])
    assert len(docker) == 4


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The files of the repository as they are now, with an installation that needs no network."""
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, files):
        if (source := ROOT / name).is_file():
            (target := tmp_path / "evalwire" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    clone = tmp_path / "evalwire"
    programs = clone / ".venv/bin"
    programs.mkdir(parents=True)
    program = programs / "evalwire"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m evalwire "$@"\n')
    program.chmod(0o755)
    (clone / ".venv/installed").touch()  # newer than pyproject.toml, so that make installs nothing
    return clone


@pytest.fixture
def environ(clone: Path, local_server: LocalServer) -> Iterator[Mapping[str, str]]:
    """The environment of a reader whose local Phoenix runs already, with evalwire on the path."""
    yield quiet_environment(
        PATH=f"{clone / '.venv/bin'}{os.pathsep}{os.environ['PATH']}",
        PYTHONPATH=str(clone / "app"),
        EVALWIRE_LOCAL_DIR=str(local_server.directory),
    )
    with httpx.Client(base_url=local_server.url) as phoenix:  # other tests use these names, too
        for dataset in phoenix.get("/v1/datasets", params={"limit": 1000}).raise_for_status().json()["data"]:
            if dataset["name"] in DATASETS:
                phoenix.delete(f"/v1/datasets/{dataset['id']}").raise_for_status()


@pytest.mark.needs_phoenix
def test_the_commands_run_in_a_fresh_clone(clone, environ):
    """The demo passes, its Phoenix is shown, and a new project passes."""
    script = "\n".join(["set -e", *(command for command in COMMANDS if command in RUN_HERE and "serve" not in command)])
    done = subprocess.run(["bash", "-c", script], cwd=clone, env=environ, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    results = re.findall(r"^PASSED .*?: (\d+) experiments?, (\d+) examples, none failed", done.stdout, re.MULTILINE)
    assert results == [("3", "63")] * 2 + [("1", "10")] * 2, "each result is in the first line and in the last"
    for reports in ("examples/test-results", "my-evals/test-results"):
        assert (clone / reports / "report.html").is_file()

    served = subprocess.Popen(
        shlex.split(next(command for command in COMMANDS if "serve" in command)),
        cwd=clone, env=environ, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert served.stdout is not None
        lines = (served.stdout.readline() for _ in range(5))
        assert any("http://127.0.0.1:" in line for line in lines)
    finally:
        if served.poll() is None:
            os.killpg(served.pid, signal.SIGINT)
        served.communicate(timeout=30)


def test_the_installation_names_extras_that_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for command in FROM_THE_NETWORK:
        assert set(re.search(r"\[(.*)\]", command)[1].split(",")) <= set(extras)


def test_the_step_uses_inputs_that_the_action_has():
    (block,) = [block for block in BLOCKS if "uses: " in block]
    checkout, step = yaml.safe_load(block)
    inputs = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    assert step["uses"] == f"./{checkout['with']['path']}"
    assert step["with"].keys() <= inputs.keys()
