"""`evalwire new`: an experiment that runs, in a project that exists, which stays as it is otherwise."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from conftest import Project, quiet_environment
from evalwire.cli.project_templates import Template

TESTSET = "user_query,expected_output,tags\nhello,hello,echo\nhi,hey,echo\n"


@pytest.fixture
def begun(tmp_path) -> Project:
    """A project of `evalwire init`, without any address in its environment."""
    project = Project(tmp_path, quiet_environment())
    assert project.run("init").returncode == 0
    return project


def findings(project: Project, name: str) -> list[tuple[bool, str]]:
    done = project.run("check", "--offline", "--json", "--name", name)
    assert done.returncode == 0, done.stdout
    return [(one["warning"], one["detail"]) for one in json.loads(done.stdout)["findings"]]


def test_it_writes_a_task_and_an_evaluator_and_says_which_rows_they_need(begun):
    before = {path: path.read_bytes() for path in begun.directory.rglob("*") if path.is_file()}
    done = begun.run("new", "doc_search")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "wrote experiments/doc_search/task.py\n"
        "wrote experiments/doc_search/exact_match.py\n"
        "next, add rows to testset.csv with doc_search in the column tags, and run:\n"
        "  evalwire run --local doc_search\n"
    )
    assert all(path.read_bytes() == content for path, content in before.items())
    assert "async task, evaluators exact_match" in dict(map(reversed, findings(begun, "doc_search")))
    assert (
        True,
        "testset.csv has no row for the dataset 'doc_search'. A run needs this dataset in Phoenix",
    ) in findings(begun, "doc_search")


def test_it_runs_in_a_project_with_other_columns(begun):
    toml = '[dataset]\ncsv_path = "t.csv"\ninput_keys = ["the \\"question\\""]\noutput_keys = ["answer"]\n'
    begun.write({"evalwire.toml": toml, "t.csv": '"the ""question""",answer,tags\nhello,hello,echo\n'})
    done = begun.run("new", "echo")
    assert done.stdout.endswith("t.csv has 1 row for it: tags = echo\nnext:\n  evalwire run --local echo\n")
    assert 'example.input["the \\"question\\""]' in (begun.experiments / "echo/task.py").read_text()
    assert 'make_exact_match_evaluator(key="answer")' in (begun.experiments / "echo/exact_match.py").read_text()
    assert not any(warning for warning, _ in findings(begun, "echo"))


@pytest.mark.needs_phoenix
def test_it_runs(begun, phoenix_url):
    begun.write({"testset.csv": TESTSET.replace("echo", "echo_of_new")})
    assert begun.run("new", "echo_of_new").returncode == 0
    done = begun.run("run", "--upload", "echo_of_new", PHOENIX_ENDPOINT=phoenix_url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "50.0%" in done.stdout


@pytest.mark.parametrize("template", get_args(Template))
def test_every_template_is_complete(begun, template):
    done = begun.run("new", "other", "--template", template)
    assert done.returncode == 0
    written = sorted(path.name for path in (begun.experiments / "other").iterdir())
    assert len(written) >= 2
    assert "task.py" in written
    assert all(f"wrote experiments/other/{name}\n" in done.stdout for name in written)
    assert ("the experiment imports these packages: " in done.stdout) == (template != "basic")
    for path in (begun.experiments / "other").iterdir():
        compile(path.read_text(), str(path), "exec")


def test_a_template_whose_evaluators_read_another_column_says_so(begun):
    done = begun.run("new", "other", "--template", "rag")
    line = "finds_document reads the column expected_document of the testset"
    assert f"{line}; add it to output_keys under [dataset] in evalwire.toml\nthe experiment imports" in done.stdout
    begun.write(
        {"evalwire.toml": '[dataset]\ncsv_path = "testset.csv"\noutput_keys = ["answer", "expected_document"]\n'}
    )
    done = begun.run("new", "third", "--template", "rag")
    assert done.stdout.count("reads the column") == 1
    assert f"{line}\nthe experiment imports" in done.stdout


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "/tmp/x", "a/b", "a b", "_x", "1st", "-x", "a.b", "a|b", "a\nb", "x" * 101, "\x1b[31m"],
)
def test_an_invalid_name_is_wrong_use(begun, name):
    done = begun.run("new", "--", name)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "cannot be the name of an experiment. Start with a letter" in done.stderr.replace("\n", " ")
    assert "\x1b" not in done.stderr
    assert [path.name for path in begun.experiments.iterdir()] == ["ticket_router"]


def test_a_taken_name_changes_nothing(begun):
    task = begun.experiments / "ticket_router/task.py"
    before = task.read_text()
    done = begun.run("new", "ticket_router")
    assert done.returncode == 2
    assert "experiments/ticket_router exists.\nChoose another name" in done.stderr
    (begun.experiments / "dangling").symlink_to("nowhere")
    assert begun.run("new", "dangling").returncode == 2
    assert task.read_text() == before
    assert not (begun.experiments / "nowhere").exists()


def test_without_a_project_it_says_how_to_begin(tmp_path):
    project = Project(tmp_path, quiet_environment())
    done = project.run("new", "a")
    assert done.returncode == 2
    assert done.stderr.endswith("or create a project: evalwire init\n")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "evalwire.toml").write_text("")
    done = project.run("new", "a")
    assert done.returncode == 0
    assert "the dataset a must be in Phoenix" in done.stdout
