"""The files whose changes run an experiment again."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from reporting import result

from evalwire.experiments import importable, load_experiments, read_inputs
from evalwire.jobs import WatchedFiles
from evalwire.model import with_inputs

TASK = "from shared import prompt\n\nasync def task(example):\n    return prompt()\n"


class Project:
    """Two experiments; `search` reads a module and a data file beside the experiments directory."""

    def __init__(self, folder):
        self.folder, self.root = folder, folder / "experiments"
        for name in ("search", "router"):
            self.write(
                f"experiments/{name}/task.py", TASK if name == "search" else "def task(example):\n    return 1\n"
            )
            self.write(f"experiments/{name}/e.py", "def e(output):\n    return 1\n")
        self.write(
            "shared.py",
            "from pathlib import Path\nTEXT = Path(__file__).with_name('prompt.txt').read_text()\n\ndef prompt():\n    return TEXT\n",
        )
        self.write("prompt.txt", "hello")
        self.write("evalwire.toml", "")

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self):
        """Return results as a run leaves them."""
        with importable(self.root):
            experiments = load_experiments(self.root).experiments
            return [
                with_inputs(result(each.name, [], evaluators=()), read_inputs(each))
                if not each.problems
                else replace(result(each.name, [], evaluators=()), opened=None)
                for each in experiments
            ]


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path.resolve())


def watched(project, names=()):
    files = WatchedFiles(project.root, names, [project.folder / "evalwire.toml"])
    files.note_run([each for each in project.run() if not names or each.name in names])
    assert files.changed() == frozenset()
    return files


def after(files, project, name, text):
    project.write(name, text)
    changed = files.changed()
    affected = files.affected(changed)
    files.accept(changed)
    assert files.changed() == frozenset()
    return sorted(str(path.relative_to(project.folder)) for path in changed), affected


@pytest.mark.parametrize(
    ("name", "text", "affected"),
    [
        ("experiments/search/task.py", "def task(example):\n    return 2\n", ["search"]),
        ("experiments/router/e.py", "def e(output):\n    return 0\n", ["router"]),
        ("shared.py", "def prompt():\n    return 'x'\n", ["search"]),
        ("prompt.txt", "bye", ["search"]),
        ("evalwire.toml", "[gates]\n", ["router", "search"]),
        ("experiments/search/new.py", "def new(output):\n    return 1\n", ["search"]),
        ("experiments/search/data/new.txt", "new", ["search"]),
        ("experiments/added/task.py", "def task(example):\n    return 1\n", ["added"]),
    ],
)
def test_a_change_affects_the_experiments_that_read_the_file(project, name, text, affected):
    assert after(watched(project), project, name, text) == ([name], affected)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("experiments/search/task.py", TASK + "# a comment\n"),
        ("unrelated.py", "x = 1\n"),
        ("experiments/search/.task.py.swp", "x"),
        ("experiments/search/task.py~", "x"),
        ("experiments/search/__pycache__/task.pyc", "x"),
        ("experiments/README.md", "x"),
    ],
)
def test_other_changes_run_nothing(project, name, text):
    assert after(watched(project), project, name, text) == ([], [])


def test_a_file_without_a_new_content_did_not_change(project):
    files = watched(project)
    os.utime(project.folder / "prompt.txt", (1, 1))
    assert files.changed() == frozenset()


def test_a_removed_file_changed_and_a_removed_experiment_does_not_run(project):
    files = watched(project)
    (project.root / "search" / "e.py").unlink()
    (project.root / "router" / "task.py").unlink()
    changed = files.changed()
    assert {path.name for path in changed} == {"e.py", "task.py"}
    assert files.affected(changed) == ["search"]


def test_only_selected_experiments_run(project):
    files = watched(project, names=("router",))
    assert after(files, project, "experiments/search/task.py", "x = 1\n") == ([], [])
    assert after(files, project, "evalwire.toml", "[gates]\n") == (["evalwire.toml"], ["router"])


def test_files_that_a_run_writes_do_not_run_it_again(project):
    files = WatchedFiles(project.root, (), [])
    project.write("experiments/search/cache.json", "1")  # during the run
    files.note_run(project.run())
    assert files.changed() == frozenset()
    project.write("experiments/search/cache.json", "2")
    assert files.changed() == frozenset()


def test_a_change_during_a_run_is_noticed_after_it(project):
    files = WatchedFiles(project.root, (), [])
    results = project.run()
    project.write("prompt.txt", "changed meanwhile")
    files.note_run(results)
    assert files.affected(files.changed()) == ["search"]


def test_an_experiment_that_cannot_be_loaded_waits_for_any_module(project):
    project.write("shared.py", "def prompt(:\n")
    files = WatchedFiles(project.root, (), [])
    files.note_run(project.run())
    changed, affected = after(files, project, "shared.py", "def prompt():\n    return 1\n")
    assert changed == ["shared.py"]
    assert "search" in affected
