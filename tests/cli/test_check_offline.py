"""`evalwire check --offline` and the pre-commit hook, which runs it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import Project, quiet_environment

HOOKS = Path(__file__).parents[2] / ".pre-commit-hooks.yaml"


@pytest.fixture
def begun(tmp_path) -> Project:
    project = Project(tmp_path, quiet_environment(PHOENIX_ENDPOINT="http://127.0.0.1:9"))
    assert project.run("init").returncode == 0
    return project


def test_a_sound_project_passes_without_phoenix(begun):
    done = begun.run("check", "--offline")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "ok      ticket_router: async task, evaluators exact_match, known_team\nok      gates: 2 gates\n"
    )
    assert begun.run("check", "--fetch-attempts", "1").returncode != 0, "with Phoenix, which is not there"


@pytest.mark.parametrize(
    ("file", "text", "code", "said"),
    [
        ("experiments/ticket_router/task.py", "def task(:\n", 1, "FAILED  ticket_router: SyntaxError"),
        ("testset.csv", "user_query,tags\na,b\n", 1, "FAILED  testset: "),
        ("evalwire.toml", "[gates]\nnothing = { min = 1 }\n", 1, "FAILED  gates: evalwire.toml: "),
        ("evalwire.toml", "[gates\n", 2, "is not valid TOML"),
        ("evalwire.toml", "[experiments]\nconcurency = 2\n", 2, "Perhaps you meant 'concurrency'"),
    ],
)
def test_a_defect_fails_it(begun, file, text, code, said):
    begun.write({file: text})
    done = begun.run("check", "--offline")
    assert done.returncode == code
    assert said in done.stdout + done.stderr


def test_a_dataset_without_rows_is_a_warning(begun):
    begun.experiment("other")
    done = begun.run("check", "--offline", "--json")
    assert done.returncode == 0
    warned = [one for one in json.loads(done.stdout)["findings"] if one["warning"]]
    assert [one["detail"] for one in warned] == [
        "testset.csv has no row for the dataset 'other'. A run needs this dataset in Phoenix"
    ]


def test_it_cannot_use_the_local_phoenix_at_once(begun):
    done = begun.run("check", "--offline", "--local")
    assert done.returncode == 2
    assert "cannot be combined with --local" in done.stderr


def test_the_hook_is_valid_and_its_command_runs(begun):
    [hook] = yaml.safe_load(HOOKS.read_text())
    assert {"id", "name", "entry", "language"} <= hook.keys()
    assert hook["language"] == "system", "it imports the user's code, with the packages of the user"
    command, *arguments = shlex.split(hook["entry"])
    assert command == "evalwire"
    assert begun.run(*arguments).returncode == 0
    seen = re.compile(hook["files"])
    changed = ["evalwire.toml", "evals/evalwire.toml", "testset.csv", "rows.jsonl", "experiments/a/task.py", "app.py"]
    assert [name for name in [*changed, "README.md", "notevalwire.toml", "a.py.txt"] if seen.search(name)] == changed


def test_the_commands_own_process_leaves_its_modules_out_of_garbage_collections(begun):
    """A process that calls the command as a function keeps its collector as it is."""
    task = begun.experiments / "ticket_router" / "task.py"
    task.write_text(f"import gc\n\nprint('frozen', gc.get_freeze_count() > 10_000)\n\n{task.read_text()}")
    assert "frozen True" in begun.run_process("check", "--offline").stdout
    called = "from evalwire.cli import main; main(['check', '--offline'])"
    done = subprocess.run([sys.executable, "-c", called], cwd=begun.directory, env=begun.environ, capture_output=True)
    assert b"frozen False" in done.stdout
