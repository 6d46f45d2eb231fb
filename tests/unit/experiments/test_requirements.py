"""A missing package or API key is one problem, with the next command."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalwire.errors import UsageError
from evalwire.experiments import check_requirements, importable, load_experiments
from evalwire.model import Experiment

TASK = "{}\ndef task(input):\n    return 1\n"
ALWAYS = "{}\ndef always(output):\n    return 1.0\n"


def load(folder: Path, text: str, *, requirements: str | None = None, name: str = "a") -> Experiment:
    """Load an experiment whose task and evaluator both begin with `text`."""
    experiment = folder / "experiments" / name
    experiment.mkdir(parents=True, exist_ok=True)
    (experiment / "task.py").write_text(TASK.format(text))
    (experiment / "always.py").write_text(ALWAYS.format(text))
    if requirements is not None:
        (folder / "requirements.txt").write_text(requirements)
    with importable(folder / "experiments"):
        [loaded] = load_experiments(folder / "experiments", names=[name]).experiments
    return loaded


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("import os\nos.environ['ACME_API_KEY']", None),
        ("import os\nos.environ['ACME_REGION']", None),
        ("raise ValueError('pass api_key, or set ACME_API_KEY')", "ValueError: pass api_key, or set ACME_API_KEY"),
    ],
)
def test_a_variable_that_is_not_set_is_one_problem(tmp_path, text, cause):
    """Whoever asks for it: the project, or a client that names it in its error."""
    variable = "ACME_REGION" if "REGION" in text else "ACME_API_KEY"
    [problem] = load(tmp_path, text).problems
    assert (problem.type, problem.cause, problem.traceback) == ("MissingVariable", cause, "")
    assert problem.message == f"{variable} is not set. Run: export {variable}=..., or add {variable}=... to .env"
    assert problem.where == f"{tmp_path}/experiments/a/task.py:{1 + text.count(chr(10))}"


@pytest.mark.parametrize("text", ["{}['ACME_API_KEY']", "raise ValueError('ACME_API_KEY was revoked')", "1 / 0"])
def test_other_errors_stay_as_they_are(tmp_path, monkeypatch, text):
    monkeypatch.setenv("ACME_API_KEY", "set")
    problems = load(tmp_path, text).problems
    assert len(problems) == 2
    assert {problem.type for problem in problems} <= {"KeyError", "ValueError", "ZeroDivisionError"}
    assert all(problem.traceback for problem in problems)


@pytest.mark.parametrize("requirements", ["acme>=1", "# first\nacme[fast]==2 # note\n", "httpx\nacme\n"])
def test_a_package_of_the_requirements_that_is_not_installed_is_one_problem(tmp_path, monkeypatch, requirements):
    monkeypatch.chdir(tmp_path)
    [problem] = load(tmp_path, "import acme.client", requirements=requirements).problems
    assert (problem.type, problem.traceback) == ("MissingPackage", "")
    assert problem.message == "No module named 'acme'. Run: pip install -r requirements.txt"


def test_the_name_of_a_package_may_have_hyphens_and_more(tmp_path):
    [problem] = load(tmp_path, "import acme_ai", requirements="acme-ai-slim[openai]>=2\n").problems
    assert problem.message == f"No module named 'acme_ai'. Run: pip install -r {tmp_path}/requirements.txt"


@pytest.mark.parametrize("requirements", [None, "", "acmeology\n", "other\n"])
def test_a_module_that_no_requirement_names_may_be_a_slip(tmp_path, requirements):
    problems = load(tmp_path, "import acme", requirements=requirements).problems
    assert [problem.type for problem in problems] == ["ModuleNotFoundError"] * 2


def test_a_run_is_refused_only_where_no_experiment_can_be_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    missing = load(tmp_path, "import os\nos.environ['ACME_API_KEY']")
    other = load(tmp_path, "import acme", requirements="acme\n", name="b")
    check_requirements([missing, load(tmp_path, "", name="c")])
    check_requirements([missing, load(tmp_path, "1 / 0", name="d")])
    with pytest.raises(UsageError) as caught:
        check_requirements([missing, other])
    assert str(caught.value).splitlines() == [
        (
            "ACME_API_KEY is not set. Run: export ACME_API_KEY=..., or add ACME_API_KEY=... to .env "
            "(experiments/a/task.py:2)"
        ),
        "No module named 'acme'. Run: pip install -r requirements.txt (experiments/b/task.py:1)",
    ]
