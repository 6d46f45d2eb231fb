"""What a task and its evaluators read of their project: modules, however they are imported, and files."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from textwrap import dedent

import pytest

from evalwire.experiments import digest_today, importable, load_experiments, read_inputs

TASK = "async def task(input): return 1\n"
PLAIN = "def judge(output): return 1.0\n"


def write(folder, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))


def read(folder, *, call: bool = False, **options):
    """The inputs of the experiment `a`: after its import, or after each evaluator was called once."""
    with importable(folder / "experiments"):
        (experiment, *_) = load_experiments(folder / "experiments", **options).experiments
        assert not experiment.problems, experiment.problems
        if call:
            for evaluator in experiment.evaluators:
                evaluator.function(1)
        return read_inputs(experiment)


JUDGES = {
    "a statement": "from shared.text import clean\nfrom . import _near\ndef judge(output): return 1.0",
    "in a function": """
        def judge(output):
            if output == "never":
                import shared.text
                from . import _near
            return 1.0
    """,
    "a name of a package": "from shared import text\nfrom ._near import X\ndef judge(output): return 1.0",
    "importlib": """
        import importlib
        def judge(output):
            importlib.import_module("shared.text")
            importlib.import_module("._near", __package__)
            return 1.0
    """,
    "by hand": """
        import importlib.util, pathlib
        def judge(output):
            for path in ("shared/text.py", "experiments/a/_near.py", "shared/__init__.py"):
                spec = importlib.util.spec_from_file_location("m", pathlib.Path(__file__).parents[2] / path)
                spec.loader.exec_module(importlib.util.module_from_spec(spec))
            return 1.0
    """,
}


@pytest.mark.parametrize("is_loaded_before", [False, True])
@pytest.mark.parametrize("way", JUDGES)
def test_every_way_to_import_counts(tmp_path, way, is_loaded_before):
    """Also where another evaluator has loaded the module already; what that module imports counts too."""
    write(
        tmp_path,
        {
            "experiments/a/task.py": TASK,
            "experiments/a/judge.py": JUDGES[way],
            "experiments/a/_near.py": "X = 1\n",
            "shared/__init__.py": "",
            "shared/text.py": "from shared import deep\nclean = deep.clean\n",
            "shared/deep.py": "import json\ndef clean(text): return text\n",
        },
    )
    if is_loaded_before:
        write(
            tmp_path, {"experiments/a/first.py": "import shared.text\nfrom . import _near\ndef first(output): return 1"}
        )
    found = read(tmp_path, call=True)
    read_by_judge = set(found.evaluators["judge"])
    expected = {"experiments/a/_near.py", "experiments/a/judge.py", "shared/__init__.py", "shared/text.py"}
    if way == "by hand":  # it need not import what is loaded already
        assert read_by_judge >= expected
    else:
        assert read_by_judge == {*expected, "shared/deep.py"}
    assert list(found.task) == ["experiments/a/task.py"]


OPENERS = {
    "open": "open(PATH).close()",
    "pathlib": "pathlib.Path(PATH).read_text()",
    "os": "os.close(os.open(PATH, os.O_RDONLY))",
    "a library's thread": "concurrent.futures.ThreadPoolExecutor(1).submit(pathlib.Path(PATH).read_bytes).result()",
    "through a link": "open(LINK).close()",
}


@pytest.mark.parametrize("when", ["while importing", "while called", "in a cached helper"])
@pytest.mark.parametrize("way", OPENERS)
def test_every_file_that_is_opened_counts(tmp_path, way, when):
    """A helper that opened a file once, for whoever came first, opened it for all who import the helper."""
    places = f"PATH = {str(tmp_path / 'prompt.txt')!r}\nLINK = {str(tmp_path / 'link.txt')!r}\n"
    head = f"import concurrent.futures, functools, os, pathlib\n{places}"
    reading = OPENERS[way]
    judge = f"{head}\ndef judge(output):\n    {reading}\n    return 1.0\n"
    files = {"experiments/a/task.py": TASK, "prompt.txt": "Be kind.", "experiments/a/judge.py": judge}
    if when == "while importing":
        files["experiments/a/judge.py"] = f"{head}{reading}\ndef judge(output): return 1.0\n"
    elif when == "in a cached helper":
        files["experiments/a/_prompt.py"] = f"{head}\n@functools.cache\ndef load():\n    {reading}\n"
        for name in ("first", "judge"):
            files[f"experiments/a/{name}.py"] = f"from ._prompt import load\ndef {name}(output): load(); return 1.0\n"
    write(tmp_path, files)
    (tmp_path / "link.txt").symlink_to("prompt.txt")
    found = read(tmp_path, call=True)
    name = "link.txt" if way == "through a link" else "prompt.txt"
    assert name in found.evaluators["judge"]
    if way != "a library's thread":  # whose file it is cannot be told there, so it is everybody's
        assert name not in found.task


def test_code_counts_without_its_comments_and_layout_and_with_its_docstrings(tmp_path):
    """A docstring is a prompt in many projects."""
    write(tmp_path, {"experiments/a/task.py": TASK})
    seen = []
    for text in (
        'def judge(output):\n    """Be kind."""\n    return 1.0\n',
        '# why\n\ndef judge( output ):  # because\n    """Be kind."""\n\n    return (1.0)\n',
        'def judge(output):\n    """Be strict."""\n    return 1.0\n',
    ):
        write(tmp_path, {"experiments/a/judge.py": text})
        seen.append(read(tmp_path).evaluators["judge"]["experiments/a/judge.py"])
    assert seen[0] == seen[1] != seen[2]


def test_what_is_no_input_of_the_project_is_left_out(tmp_path):
    """Virtual environments, libraries, evalwire itself, `.env`, which differs from job to job, and what the run writes."""
    judge = f"""
        import json, sys
        import evalwire.errors
        sys.path.insert(0, {str(tmp_path / ".venv/lib/site-packages")!r})
        import library_in_the_project
        def judge(output):
            with open({str(tmp_path / "cache.json")!r}, "a+") as cache:
                cache.write("x")
            open({str(tmp_path / "cache.json")!r}).close()
            open({str(tmp_path / "asked.txt")!r}).close()
            open({str(tmp_path / ".env.ci")!r}).close()
            return 1.0
    """
    write(
        tmp_path,
        {
            "experiments/a/task.py": TASK,
            "experiments/a/judge.py": judge,
            "asked.txt": "x",
            ".env.ci": "TOKEN=1",
            ".venv/lib/site-packages/library_in_the_project.py": "",
        },
    )
    assert sorted(read(tmp_path, call=True).evaluators["judge"]) == ["asked.txt", "experiments/a/judge.py"]


def test_declared_inputs_are_of_the_task_and_of_every_evaluator(tmp_path):
    """A pattern that names a folder names everything in it."""
    files = {"experiments/a/task.py": TASK, "experiments/a/judge.py": PLAIN, "data/x/y.parquet": "1", "other.md": "2"}
    write(tmp_path, files)
    found = read(tmp_path, inputs={"a": ["data", "*.md"]})
    for its in (found.task, found.evaluators["judge"]):
        assert {"data/x/y.parquet", "other.md"} <= set(its)
    assert "other.md" not in read(tmp_path, inputs={"b": ["*.md"]}).task


def test_a_file_of_recorded_inputs_is_looked_at_as_it_is_today(tmp_path):
    write(tmp_path, {"experiments/a/task.py": TASK, "experiments/a/judge.py": PLAIN})
    known = read(tmp_path).task["experiments/a/task.py"]
    with importable(tmp_path / "experiments"):
        assert digest_today("experiments/a/task.py") == known
        assert not digest_today("gone.txt")


def test_a_repository_around_the_folder_is_the_project(tmp_path):
    """Its files have paths relative to the parent of the experiments folder."""
    (tmp_path / ".git").mkdir()
    root = tmp_path / "evals"
    prompt = f"open({str(tmp_path / 'prompts/judge.md')!r}).close()\ndef judge(output): return 1.0\n"
    write(root, {"experiments/a/task.py": TASK, "experiments/a/judge.py": prompt})
    write(tmp_path, {"prompts/judge.md": "Be kind."})
    assert "../prompts/judge.md" in read(root).evaluators["judge"]
    (tmp_path / ".git").rmdir()
    assert "../prompts/judge.md" not in read(root).evaluators["judge"]


def test_nothing_is_left_behind(tmp_path):
    """`importlib.import_module` is Python's own again; a module that user code put there is left alone."""
    import importlib

    original = importlib.import_module
    write(tmp_path, {"experiments/a/task.py": TASK, "experiments/a/judge.py": PLAIN})
    read(tmp_path)
    assert importlib.import_module is original


def test_hostile_opens_do_no_harm(tmp_path):
    """Numbers of files, bytes, a path that is none, a working directory that is gone: `open` itself decides."""
    program = dedent(f"""
        import os, pathlib, tempfile
        from evalwire.experiments import importable
        with importable(pathlib.Path({str(tmp_path)!r}, "experiments")):
            os.close(os.dup(1)); open(os.dup(0)).close()
            assert open({str(tmp_path / "x.txt")!r}.encode()).read() == "x"
            for wrong in ("a\\0b", "", "no/such"):
                try: open(wrong)
                except (OSError, ValueError): pass
            gone = tempfile.mkdtemp(); os.chdir(gone); os.rmdir(gone)
            try: open("x.txt")
            except OSError: print("ok")
    """)
    write(tmp_path, {"experiments/a/task.py": TASK, "x.txt": "x"})
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, input="", check=False)
    assert (done.stdout, done.stderr) == ("ok\n", "")


def test_an_experiment_knows_its_inputs_when_it_is_loaded(tmp_path):
    write(tmp_path, {"experiments/a/task.py": TASK, "experiments/a/judge.py": PLAIN})
    with importable(tmp_path / "experiments"):
        (experiment,) = load_experiments(tmp_path / "experiments").experiments
        assert experiment.inputs == read_inputs(replace(experiment, inputs=None))
        assert sorted(experiment.inputs.task) == ["experiments/a/task.py"]
