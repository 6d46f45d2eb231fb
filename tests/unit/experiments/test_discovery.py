"""What is found in an experiments folder, how it is imported, and what is left behind."""

from __future__ import annotations

import importlib
import os
import sys
import textwrap
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from evalwire.errors import NothingToRunError, UsageError
from evalwire.experiments.discovery import Discovered, find_experiments, importable, load_experiments
from evalwire.model.experiment import Experiment

TASK = "async def task(example):\n    return example.input\n"
ALWAYS = "def always(output):\n    return 1.0\n"


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files under `folder`; returns its experiments folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return folder / "experiments"


def experiment(name: str = "a", **files: str | None) -> dict[str, str]:
    """The files of one experiment; a good task and a good evaluator unless given, None for none."""
    all_files = {"task": TASK, "always": ALWAYS} | files
    return {f"experiments/{name}/{stem}.py": text for stem, text in all_files.items() if text is not None}


def loaded(root: Path, **options: Any) -> Discovered:
    with importable(root):
        return load_experiments(root, **options)


def only(root: Path, **options: Any) -> Experiment:
    [experiment] = loaded(root, **options).experiments
    return experiment


def value(root: Path, name: str = "a") -> Any:
    """What the plain task of an experiment returns, called while it is importable."""
    with importable(root):
        [experiment] = load_experiments(root, names=[name]).experiments
        assert experiment.problems == ()
        assert experiment.task
        return experiment.task.function({})


def returning(name: str) -> str:
    return f"def task(input):\n    return {name}\n"


# --- what is found -------------------------------------------------------------------------------------


def test_experiments_are_sorted_by_name(tmp_path):
    """Experiments come in the order of their names, whatever the order on the disk."""
    root = write(tmp_path, experiment("c") | experiment("a") | experiment("B"))
    assert [experiment.name for experiment in loaded(root).experiments] == ["B", "a", "c"]


def test_folders_without_a_task_and_plain_files_are_skipped(tmp_path):
    """Only direct folders with a task.py are experiments; the other folders are named as skipped."""
    files = {
        "experiments/README.md": "text",
        "experiments/loose.py": "raise RuntimeError",
        "experiments/data/set.csv": "a",
        "experiments/nested/deeper/task.py": TASK,
        "experiments/__pycache__/task.pyc": "",
        "experiments/.hidden/x": "",
        "experiments/odd/task.py/x": "task.py is a folder here",
    }
    found = loaded(write(tmp_path, experiment("a") | files))
    assert [experiment.name for experiment in found.experiments] == ["a"]
    assert found.skipped == ("data", "nested", "odd")


def test_a_missing_or_empty_root_holds_nothing(tmp_path):
    """A folder that does not exist, and an empty one, have no experiments and raise nothing."""
    (tmp_path / "empty").mkdir()
    assert loaded(tmp_path / "nowhere") == loaded(tmp_path / "empty") == Discovered(experiments=(), skipped=())


def test_evaluators_are_the_other_files_sorted_and_named_like_them(tmp_path):
    """Each other *.py file is an evaluator by its file's name, in the order of the names."""
    root = write(tmp_path, experiment(top_10="def top_10(o): return 1", exact="def exact(o): return 1"))
    assert [evaluator.name for evaluator in only(root).evaluators] == ["always", "exact", "top_10"]
    assert only(root).dataset_name == "a"


@pytest.mark.parametrize("stem", ["conftest", "test_task", "__init__", "__main__", "_common", "_"])
def test_some_files_are_never_evaluators(tmp_path, stem):
    """conftest.py, test_*.py, dunder files and files that start with an underscore are no evaluators."""
    found = only(write(tmp_path, experiment(**{stem: f"def {stem}(output): return 1"})))
    assert [evaluator.name for evaluator in found.evaluators] == ["always"]
    assert found.problems == ()


@pytest.mark.parametrize("stem", ["conftest", "test_task", "__main__", "_common"])
def test_files_that_are_never_evaluators_are_not_run(tmp_path, stem):
    """A test file or a private module beside the task is not even imported."""
    assert only(write(tmp_path, experiment(**{stem: "raise RuntimeError"}))).problems == ()


def test_a_dataset_may_be_named_otherwise(tmp_path):
    """A dataset named for an experiment replaces the folder's name, for that experiment only."""
    root = write(tmp_path, experiment("a") | experiment("b"))
    found = loaded(root, dataset_names={"b": "Other Set"}).experiments
    assert [experiment.dataset_name for experiment in found] == ["a", "Other Set"]


@pytest.mark.parametrize("name", ["my-search", "v1.2", "two words", "naïve", "class"])
def test_folders_may_have_names_that_are_no_identifiers(tmp_path, name):
    """An experiment named like a dataset that is no Python identifier loads, relative imports included."""
    files = experiment(name, task="from .helpers import X\n" + returning("X"), helpers="X = 7")
    assert value(write(tmp_path, files), name) == 7


# --- imports -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "from experiments.a.helpers import X",
        "from .helpers import X",
        "from . import helpers; X = helpers.X",
        "import experiments.a.helpers; X = experiments.a.helpers.X",
        "from agent.graph import X",
        "from settings_of_mine import X",
        "from experiments.b.helpers import X",
    ],
)
@pytest.mark.parametrize("packages", [False, True])
def test_imports_that_users_write_work(tmp_path, line, packages):
    """Absolute, relative and neighbour imports all work, with and without __init__.py files."""
    files = experiment("a", task=f"{line}\n{returning('X')}", helpers="X = 7")
    files |= {"agent/graph.py": "X = 7", "settings_of_mine.py": "X = 7", "experiments/b/helpers.py": "X = 7"}
    if packages:
        files |= dict.fromkeys(["experiments/__init__.py", "experiments/a/__init__.py", "agent/__init__.py"], "")
    assert value(write(tmp_path, files)) == 7


def test_evaluators_import_as_tasks_do(tmp_path):
    """An evaluator can import its neighbours relatively, too."""
    found = only(write(tmp_path, experiment(helpers="X = 1", always="from .helpers import X\n" + ALWAYS)))
    assert found.problems == ()


def test_two_experiments_may_each_have_helpers(tmp_path):
    """Two files named helpers.py do not see each other, and neither does the second experiment's task."""
    files = {}
    for name in ("a", "b"):
        task = "from .helpers import WHO\n" + returning("WHO")
        always = f"from experiments.{name}.helpers import WHO\ndef always(output): return WHO"
        files |= experiment(name, task=task, helpers=f"WHO = '{name}'", always=always)
    with importable(root := write(tmp_path, files)):
        found = load_experiments(root).experiments
        said = [(experiment.task.function({}), experiment.evaluators[0].function(1)) for experiment in found]
    assert said == [("a", "a"), ("b", "b")]


def test_the_package_files_of_experiments_are_run(tmp_path):
    """An __init__.py counts: what it defines can be imported from the package."""
    files = {"experiments/__init__.py": "ROOT = 1", "experiments/a/__init__.py": "OWN = 2"}
    task = "from experiments import ROOT\nfrom . import OWN\n" + returning("ROOT + OWN")
    assert value(write(tmp_path, files | experiment(task=task))) == 3


def test_modules_imported_inside_a_task_work(tmp_path):
    """A task that imports its neighbours only when it is called works while the folder is importable."""
    task = "def task(input):\n    from .late import X\n    from agent.late import Y\n    return X + Y\n"
    files = experiment(task=task, late="X = 1\ndef late(o): return 1") | {"agent/late.py": "Y = 2"}
    assert value(write(tmp_path, files)) == 3


def test_two_projects_in_one_process_do_not_see_each_other(tmp_path):
    """Modules of the same name in two projects stay apart, neighbours and helpers included."""
    said = []
    for who in ("one", "two"):
        task = "from agent.graph import WHO as A\nfrom .helpers import WHO as B\nimport shared_name as c\n"
        files = experiment(task=task + returning("(A, B, c.WHO)"), helpers=f"WHO = '{who}'")
        files |= {"agent/graph.py": f"WHO = '{who}'", "shared_name.py": f"WHO = '{who}'"}
        said.append(value(write(tmp_path / who, files)))
    assert said == [("one",) * 3, ("two",) * 3]


@pytest.mark.parametrize("file", ["experiments/a/helpers.py", "experiments/a/task.py", "agent/graph.py"])
def test_an_edited_file_counts_in_the_next_load(tmp_path, file):
    """What is edited between two loads of one process is read again."""
    task = "from .helpers import H\nfrom agent.graph import G\nT = 1\n" + returning("H + G + T")
    root = write(tmp_path, experiment(task=task, helpers="H = 1") | {"agent/graph.py": "G = 1"})
    before = value(root)
    path = tmp_path / file
    path.write_text(path.read_text().replace(" = 1", " = 5"))
    assert (before, value(root)) == (3, 7)


def test_a_package_of_that_name_elsewhere_does_not_win(tmp_path, monkeypatch):
    """An installed package named like the experiments folder is neither used nor lost."""
    elsewhere = tmp_path / "site"
    write(elsewhere, {"experiments/__init__.py": "WHO = 'installed'", "experiments/a/task.py": "raise RuntimeError"})
    monkeypatch.syspath_prepend(str(elsewhere))
    installed = importlib.import_module("experiments")
    try:
        task = "import experiments\n" + returning("experiments.__path__")
        root = write(tmp_path / "mine", experiment(task=task))
        assert list(value(root)) == [str(root)]
        assert sys.modules["experiments"] is installed
    finally:
        del sys.modules["experiments"]


def test_the_interpreter_is_as_it_was_afterwards(tmp_path):
    """sys.path, the bytecode switch and the modules of the project are as before, after user code meddled too."""
    task = "import sys\nsys.path.insert(0, '/meddled')\nimport agent.graph\nfrom . import helpers\n" + TASK
    root = write(tmp_path, experiment(task=task, helpers="") | {"agent/graph.py": ""})
    with importable(write(tmp_path / "earlier", experiment())):
        load_experiments(tmp_path / "earlier" / "experiments")  # imports evalwire's own parts
    before = (list(sys.path), sys.dont_write_bytecode, set(sys.modules))
    with importable(root):
        [found] = load_experiments(root).experiments
        assert found.problems == ()
        assert {"experiments.a.helpers", "agent.graph"} <= set(sys.modules)
    assert (sys.path, sys.dont_write_bytecode, set(sys.modules)) == before


def test_the_interpreter_is_as_it_was_after_an_error(tmp_path):
    """An error while the folder is importable restores sys.path and the modules as well."""
    root = write(tmp_path, experiment())
    before = (list(sys.path), sys.dont_write_bytecode, set(sys.modules))
    with pytest.raises(KeyError), importable(root):
        load_experiments(root)
        raise KeyError
    assert (sys.path, sys.dont_write_bytecode, set(sys.modules)) == before


def test_nothing_is_written(tmp_path, monkeypatch):
    """No file, no bytecode and no __init__.py appears in the project, and none changes."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)  # as it is where no variable says otherwise
    task = "import agent.graph\nfrom .helpers import X\n" + TASK
    root = write(tmp_path, experiment(task=task, helpers="X = 1") | experiment("b") | {"agent/graph.py": ""})

    def listing() -> list[tuple[str, int]]:
        return sorted((str(path), path.stat().st_mtime_ns) for path in [tmp_path, *tmp_path.rglob("*")])

    before = listing()
    assert [experiment.problems for experiment in loaded(root).experiments] == [(), ()]
    assert listing() == before


def test_a_relative_root_works(tmp_path, monkeypatch):
    """A root relative to the working directory is the same folder."""
    write(tmp_path, experiment(task="from experiments.a.helpers import X\n" + returning("X"), helpers="X = 7"))
    monkeypatch.chdir(tmp_path)
    assert value(Path("experiments")) == 7


# --- what is wrong -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "text", "kind", "says", "where"),
    [
        ("task", "x = 1\ndef task(:\n", "SyntaxError", "", "experiments/a/task.py:2"),
        ("task", "\nimport no_such_module_here\n", "ModuleNotFoundError", "no_such", "experiments/a/task.py:2"),
        ("task", "from .helpers import missing\n", "ModuleNotFoundError", "helpers", "experiments/a/task.py:1"),
        ("task", "import agent.broken\n", "ZeroDivisionError", "", "agent/broken.py:2"),
        ("task", "import agent.unparsable\n", "SyntaxError", "", "agent/unparsable.py:1"),
        ("task", "import sys\nsys.exit(0)\n", "SystemExit", "0", "experiments/a/task.py:2"),
        ("task", "x = 1\n", "MissingCallable", "does not define `task`", "experiments/a/task.py"),
        ("task", "task = 5\n", "BindingError", "int", "experiments/a/task.py"),
        ("task", "async def task(a, b): ...\n", "BindingError", "`a`, `b`", "experiments/a/task.py"),
        ("task", "def task(): ...\n", "BindingError", "no parameter", "experiments/a/task.py"),
        ("top_k", "def top_k(:\n", "SyntaxError", "", "experiments/a/top_k.py:1"),
        ("top_k", "\n\n1 / 0\n", "ZeroDivisionError", "division", "experiments/a/top_k.py:3"),
        ("top_k", "raise SystemExit\n", "SystemExit", "", "experiments/a/top_k.py:1"),
        ("top_k", "top_k = 0.5\n", "BindingError", "float", "experiments/a/top_k.py"),
        ("top_k", "def top_k(answer, truth): ...\n", "BindingError", "`answer`, `truth`", "experiments/a/top_k.py"),
        ("top_k", "K = 5\n", "MissingCallable", "does not define `top_k`", "experiments/a/top_k.py"),
        ("__init__", "1 / 0\n", "ZeroDivisionError", "", "experiments/a/__init__.py:1"),
    ],
)
def test_what_is_wrong_is_a_problem_of_that_experiment(tmp_path, file, text, kind, says, where):
    """A broken file is a problem with its type, message and place, and the other experiments load."""
    neighbours = {"agent/broken.py": "\n1 / 0\n", "agent/unparsable.py": "def (\n"}
    root = write(tmp_path, experiment("a", **{file: text}) | experiment("b") | neighbours)
    broken, good = loaded(root).experiments
    problem = broken.problems[0]
    assert (problem.type, problem.stage, problem.where) == (kind, "import", str(tmp_path / where))
    assert says in problem.message
    assert good.problems == ()
    assert good.task


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("import agent", "'agent'"),
        ("from agent.graph import x", "'agent'"),
        ("import a_package.of.pypi", "'a_package'"),
        ("from .helpers import missing", None),
        ("from experiments.a.helpers import missing", None),
        ("raise ImportError('agent')", None),
    ],
)
def test_in_a_container_with_the_experiments_alone_the_folder_above_is_missing(tmp_path, monkeypatch, text, hint):
    """A mount of the experiments folder leaves out the code of the project that is beside it."""
    root = write(tmp_path, experiment(task=text + "\n"))
    (plain,) = only(root).problems
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == root)
    (mounted,) = only(root).problems
    ending = f"; if {hint} is a package, install it (EVALWIRE_REQUIREMENTS); if it is project code, mount the parent "
    assert mounted.message == plain.message + (f"{ending}directory of the experiments" if hint else "")


def test_every_broken_file_of_an_experiment_is_a_problem(tmp_path):
    """All broken files of a folder are found in one go, not one at each attempt."""
    root = write(tmp_path, experiment(task="1 / 0", top_k="import nope", regex="x = 1"))
    assert [problem.type for problem in only(root).problems] == [
        "ZeroDivisionError",
        "MissingCallable",
        "ModuleNotFoundError",
    ]


@pytest.mark.parametrize("text", ["1 / 0", "import sys\nsys.exit(0)", "def ("])
def test_a_broken_init_of_the_root_is_a_problem_of_its_experiments(tmp_path, text):
    """An experiments/__init__.py that fails, or calls sys.exit(0), neither ends the job nor passes unseen."""
    root = write(tmp_path, experiment() | {"experiments/__init__.py": text})
    [problem] = only(root).problems
    assert problem.type in ("ZeroDivisionError", "SystemExit", "SyntaxError")
    assert str(problem.where).startswith(f"{root}/__init__.py:")


def test_a_module_that_fails_fails_for_everyone_who_imports_it(tmp_path):
    """A half-run module of one experiment is not handed to another that imports it."""
    broken = experiment("a", shared="X = 1\n1 / 0\ndef shared(output): return 1")
    root = write(tmp_path, broken | experiment("b", task="from experiments.a import shared\n" + TASK))
    assert [bool(experiment.problems) for experiment in loaded(root).experiments] == [True, True]


def test_ctrl_c_while_importing_is_no_problem_of_the_experiment(tmp_path):
    """An interrupt during an import interrupts."""
    root = write(tmp_path, experiment(task="raise KeyboardInterrupt"))
    with pytest.raises(KeyboardInterrupt):
        loaded(root)


def test_an_evaluator_without_its_callable_says_what_to_do(tmp_path):
    """The message names a likely slip and both ways to say that the file is a helper."""
    [problem] = only(write(tmp_path, experiment(top_k="def topk(output): return 1"))).problems
    assert "it has `topk`" in problem.message
    assert "_top_k.py" in problem.message
    assert '[experiments] helpers = ["top_k.py"]' in problem.message


def test_a_task_file_without_a_task_says_what_to_do(tmp_path):
    """The message about a missing task shows the line to add."""
    [problem] = only(write(tmp_path, experiment(task="async def run(example): ..."))).problems
    assert "add `async def task(example): ...`" in problem.message


def test_an_experiment_without_evaluators_is_a_problem(tmp_path):
    """Nothing would be judged without an evaluator, so that is a problem and no pass."""
    [problem] = only(write(tmp_path, experiment(always=None))).problems
    assert (problem.type, problem.where) == ("NoEvaluator", str(tmp_path / "experiments/a"))


def test_the_traceback_shows_the_users_code_only(tmp_path):
    """The traceback of a failed import begins in the user's file, not in the import machinery."""
    [problem] = only(write(tmp_path, experiment(task="x = 1\n1 / 0\n"))).problems
    assert problem.traceback.startswith(f'  File "{tmp_path}/experiments/a/task.py", line 2')


# --- helpers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("helpers", "problems"),
    [
        ({}, ["a", "b"]),
        ({"*": ["scoring.py"]}, []),
        ({"a": ["scoring.py"]}, ["b"]),
        ({"*": ["other.py"], "b": ("scoring.py",)}, ["a"]),
    ],
)
def test_helpers_may_be_named(tmp_path, helpers: Mapping[str, Collection[str]], problems: Sequence[str]):
    """A file listed as a helper, for all experiments or for one, needs no callable of its name."""
    root = write(tmp_path, experiment("a", scoring="X = 1") | experiment("b", scoring="X = 1"))
    found = loaded(root, helpers=helpers).experiments
    assert [experiment.name for experiment in found if experiment.problems] == problems


def test_helpers_py_is_a_helper(tmp_path):
    """helpers.py needs no callable of its name and no setting."""
    assert only(write(tmp_path, experiment(helpers="X = 1"))).problems == ()


@pytest.mark.parametrize("text", ["def scoring(output): return 1", "def scoring(text, lower, strip): return text"])
def test_a_named_helper_is_no_evaluator(tmp_path, text):
    """A file listed as a helper does not judge, even when it defines a callable of its name."""
    found = only(write(tmp_path, experiment(scoring=text)), helpers={"*": ["scoring.py"]})
    assert found.problems == ()
    assert [evaluator.name for evaluator in found.evaluators] == ["always"]


# --- selection -----------------------------------------------------------------------------------------


def test_names_select_and_import_only_those(tmp_path):
    """Selecting one experiment does not import the others, so a broken one does not matter."""
    root = write(tmp_path, experiment("a") | experiment("b", task="raise SystemExit") | experiment("c"))
    found = loaded(root, names=["c", "a"]).experiments
    assert [(experiment.name, experiment.problems) for experiment in found] == [("a", ()), ("c", ())]


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("es_serch", "Did you mean 'es_search'?"),
        ("zzz", "Experiments: es_search."),
        ("ES_SEARCH", "Experiments: es_search."),
    ],
)
def test_an_unknown_name_is_an_error_with_advice(tmp_path, name, advice):
    """A name that matches nothing is an error that names the closest, or those there are."""
    root = write(tmp_path, experiment("es_search"))
    with pytest.raises(NothingToRunError) as caught:
        find_experiments(root, names=["es_search", name])
    assert repr(name) in str(caught.value)
    assert advice in str(caught.value)


def test_a_name_in_a_missing_root_is_an_error(tmp_path):
    """A name is an error where there are no experiments at all."""
    with pytest.raises(NothingToRunError, match="Experiments: none"):
        loaded(tmp_path / "nowhere", names=["a"])


# --- links ---------------------------------------------------------------------------------------------


def test_a_link_that_leads_nowhere_is_a_problem_and_no_silence(tmp_path):
    """A shared evaluator, task or folder that was not mounted too is told, not left out."""
    root = write(tmp_path, experiment("a") | experiment("b"))
    (root / "a/strict.py").symlink_to("/nowhere/strict.py")
    (root / "b/task.py").unlink()
    (root / "b/task.py").symlink_to("/nowhere/task.py")
    (root / "c").symlink_to("/nowhere/c")
    found = {experiment.name: experiment for experiment in loaded(root).experiments}
    assert sorted(found) == ["a", "b", "c"]
    assert all(experiment.problems for experiment in found.values())
    assert "links to /nowhere/c" in found["c"].problems[0].message


@pytest.mark.parametrize("name", ["phoenix", "evalwire", "json"])
def test_a_folder_that_would_hide_a_module_is_refused(tmp_path, name):
    """A folder named like a module that a run needs is wrong use, and said so."""
    with pytest.raises(UsageError, match=f"cannot be named '{name}'"), importable(tmp_path / name):
        pass


# --- what is said of a task ----------------------------------------------------------------------------


def test_an_async_task_that_asks_for_the_input_is_told_what_it_gets(tmp_path, caplog):
    """As in 0.6 it gets the example; the names of a plain task's parameters say what it gets."""
    asked = {
        "a": "async def task(input):\n    return input.input\n",
        "b": "async def task(expected):\n    return 1\n",
        "c": "def task(input):\n    return 1\n",
        "d": "async def task(example):\n    return 1\n",
        "e": "async def task(input, metadata):\n    return 1\n",
    }
    files = {file: text for name, task in asked.items() for file, text in experiment(name, task=task).items()}
    loaded(write(tmp_path, files))
    assert [message.partition(".")[0] for message in caplog.messages] == [
        "a: `async def task(input)` receives the whole example, as in 0",
        "b: `async def task(expected)` receives the whole example, as in 0",
    ]
    assert "the example's input is `input.input`" in caplog.messages[0]
    assert "the example's expected output is `expected.output`" in caplog.messages[1]
