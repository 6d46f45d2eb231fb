"""Folders and files that cannot be read: a problem of their experiment on every Python, and the others run."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from unprivileged import AS_ON_3_14, drop_privileges

from conftest import EVALWIRE, Project

TASK = """
    async def task(example):
        if example is None:
            import not_there  # is looked for all the same: it may be an input
        return 1
"""
GOOD = {"task.py": TASK, "always.py": "def always(output):\n    return 1.0\n"}

LOAD = """
    import json, pathlib
    from evalwire.experiments import importable, load_experiments

    root = pathlib.Path("experiments")
    with importable(root):
        found = load_experiments(root)
    print(json.dumps({one.name: [problem.message for problem in one.problems] for one in found.experiments}))
"""


@pytest.fixture(params=["this Python", "3.14"])
def environ(
    request: pytest.FixtureRequest, project: Project, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """An environment with a search path that cannot be read, and with this Python's pathlib or that of 3.14."""
    site = tmp_path_factory.mktemp("site")
    (site / "closed").mkdir(0)
    if request.param == "3.14":
        (site / "sitecustomize.py").write_text(textwrap.dedent(AS_ON_3_14))
    return {**project.environ, "PYTHONPATH": f"{site}:{site}/closed"}


@pytest.fixture
def locked(project: Project) -> Iterator[Project]:
    """A project whose files get their permissions back, for pytest to remove them."""
    yield project
    for folder, folders, _ in os.walk(project.directory):
        Path(folder).chmod(0o755)
        for name in folders:
            if not Path(folder, name).is_symlink():
                Path(folder, name).chmod(0o755)


def ended(project: Project, command: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=project.directory,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=drop_privileges,
        check=False,
    )


def test_what_cannot_be_read_is_a_problem_of_its_experiment(locked, environ):
    names = ("closed", "enter_only", "list_only", "good", "file", "evaluator", "beyond/inner")
    locked.write({f"experiments/{name}/{file}": text for name in names for file, text in GOOD.items()})
    root = locked.experiments
    (root / "link").symlink_to(root / "beyond/inner")
    (root / "evaluator/linked.py").symlink_to(root / "beyond/inner/always.py")
    (root / "lost+found").mkdir(0)
    (root / "file/task.py").chmod(0)
    for name, mode in {"closed": 0, "enter_only": 0o300, "list_only": 0o600, "beyond": 0}.items():
        (root / name).chmod(mode)
    done = ended(locked, [sys.executable, "-c", textwrap.dedent(LOAD)], environ)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("good") == []
    assert found.keys() == {"closed", "enter_only", "list_only", "file", "evaluator", "link", "beyond"}
    user = f"{os.geteuid()} ({pwd.getpwuid(os.geteuid()).pw_name})"
    for name, (*others, message) in found.items():
        assert not others, name
        said = f" cannot be read by user {user}: Permission denied. Make it readable for all users: chmod -R a+rX "
        assert said in message


def test_the_message_names_an_owner_who_could_read_it(locked, environ):
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    locked.write({f"experiments/theirs/{file}": text for file, text in GOOD.items()})
    os.chown(locked.experiments / "theirs", 54321, 54321)
    (locked.experiments / "theirs").chmod(0o700)
    done = ended(locked, [sys.executable, "-c", textwrap.dedent(LOAD)], environ)
    ((message,),) = json.loads(done.stdout).values()
    assert message.endswith("/theirs; or run as its owner, user 54321 (with Docker: --user 54321).")


COMMANDS = """
    import pathlib
    from evalwire.cli import main

    root = pathlib.Path("experiments")
    for mode in (0, 0o300, 0o600):
        for verb in ("list", "run"):
            root.chmod(mode)
            print(mode, verb, main.main([verb], standalone_mode=False), root.stat().st_mode & 0o777 == mode)
"""


def test_a_folder_of_experiments_that_cannot_be_read_is_said(locked, environ):
    locked.write({f"experiments/good/{file}": text for file, text in GOOD.items()})
    done = ended(locked, [sys.executable, "-c", textwrap.dedent(COMMANDS)], environ)
    expected = [f"{mode} {verb} 2 True" for mode in (0, 0o300, 0o600) for verb in ("list", "run")]
    assert done.stdout.splitlines() == expected, done.stderr
    assert done.stderr.count("evalwire: cannot read the experiments directory: ") == len(expected)


@pytest.mark.needs_phoenix
def test_the_other_experiments_run(locked, phoenix_url, make_dataset, environ):
    good, closed = make_dataset(2), make_dataset(2)
    locked.write({f"experiments/{name}/{file}": text for name in (good, closed) for file, text in GOOD.items()})
    (locked.experiments / closed).chmod(0)
    done = ended(locked, [*EVALWIRE, "run"], {**environ, "PHOENIX_ENDPOINT": phoenix_url})
    assert done.returncode == 1, done.stderr
    report = json.loads((locked.directory / "test-results/results.json").read_text())
    assert {one["name"]: len(one["runs"]) for one in report["experiments"]} == {good: 2, closed: 0}
    assert f"/{closed} cannot be read by user " in done.stdout
