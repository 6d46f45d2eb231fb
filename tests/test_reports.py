"""What a finished job becomes: text for people, JSON for programs, files on the disk."""

from __future__ import annotations

import json
import os
import resource
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from evalwire.model import (
    Dataset,
    Evaluation,
    Example,
    Experiment,
    ExperimentResult,
    Failure,
    OpenExperiment,
    Report,
    TaskRun,
)
from evalwire.reports import console, results_json, write

MOMENT = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
FAILURE = Failure(
    stage="task",
    type="KeyError",
    message="'city'",
    where="/p/experiments/a/task.py:3",
    traceback="  File x\nKeyError\n",
)


def example(number: int = 1, **fields: Any) -> Example:
    given = {"id": f"e{number}", "node_id": f"n{number}", "input": {"q": f"ask {number}"}, "output": {}, "metadata": {}}
    return Example(**given | fields)


def evaluation(name: str = "ev", **fields: Any) -> Evaluation:
    given = {"name": name, "evaluator": name, "start_time": MOMENT, "end_time": MOMENT}
    return Evaluation(**given | (fields or {"score": 1.0}))


def task_run(number: int = 1, **fields: Any) -> TaskRun:
    given = {"example": example(number), "output": "out", "failure": None, "evaluations": (evaluation(),)}
    return TaskRun(**given | {"start_time": MOMENT, "end_time": MOMENT + timedelta(seconds=0.5)} | fields)


def result(*runs: TaskRun, **fields: Any) -> ExperimentResult:
    opened = OpenExperiment(
        experiment=Experiment(name="a", dataset_name="set", path=Path("/p/a"), task=None),
        dataset=Dataset(id="d1", name="set", version_id="v1", examples=()),
        recorded_name="eval_set_2024",
        id="x1",
        url="http://phoenix/x1",
    )
    given = {"name": "a", "dataset_name": "set", "evaluator_names": ("ev",), "opened": opened, "seconds": 1.25}
    return ExperimentResult(**given | {"runs": runs, "example_count": len(runs)} | fields)


def report(*results: ExperimentResult, **fields: Any) -> Report:
    passed = all(one.passed for one in results)
    given = {"outcome": "passed" if passed else "errors", "exit_code": 0 if passed else 1, "results": results}
    return Report(**given | {"started_at": MOMENT, "seconds": 3.25, "endpoint": "http://phoenix"} | fields)


GOOD = result(task_run(1), task_run(2))
BAD = result(task_run(1), task_run(2, failure=FAILURE, output=None, evaluations=()))


# --- the console ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (report(GOOD), "PASSED: 1 experiment, 2 examples, none failed, 3.2 s"),
        (report(GOOD, BAD), "FAILED: 2 experiments, 4 examples, 1 of 2 experiments failed, 1 example failed, 3.2 s"),
        (
            report(GOOD, dry_run=True),
            "PASSED (dry run, nothing recorded): 1 experiment, 2 examples, none failed, 3.2 s",
        ),
        (
            report(replace(GOOD, example_count=5), outcome="interrupted", exit_code=130),
            "INTERRUPTED: 1 experiment, 5 examples, 1 of 1 experiments failed, 3 not run, 3.2 s",
        ),
        (
            report(outcome="nothing_to_run", exit_code=1),
            "FAILED: 0 experiments, 0 examples, none failed, 3.2 s",
        ),
    ],
)
def test_the_verdict_comes_first(made, line):
    """The first line says how it went and over how much."""
    assert console.render(made).splitlines()[0] == line


def test_a_failure_names_the_example_the_exception_and_the_line():
    """Who reads the log can go to the example and to the line without another tool."""
    text = console.render(report(BAD))
    [line] = [line for line in text.splitlines() if "KeyError" in line]
    assert "a: 1 of 2 examples failed" in text
    assert 'example e2  input {"q": "ask 2"}' in text
    assert line.strip() == "task: KeyError: 'city'  (/p/experiments/a/task.py:3)"


def test_each_kind_of_failure_is_told_apart():
    """An evaluator's failure names the evaluator, and a lost record says that it is not recorded."""
    judge = evaluation("judge", failure=replace(FAILURE, stage="evaluator", message="bad judge"))
    lost = replace(FAILURE, stage="record", type="PhoenixError", message="lost", where=None)
    text = console.render(report(result(task_run(evaluations=(judge,), record_failure=lost))))
    assert "evaluator judge: KeyError: bad judge" in text
    assert "not recorded: PhoenixError: lost" in text


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"problems": (replace(FAILURE, stage="import"),), "opened": None}, "a: it cannot run"),
        ({"failure": replace(FAILURE, stage="open"), "opened": None}, "a: it did not start"),
        ({"failure": replace(FAILURE, stage="interrupted"), "example_count": 3}, "a: it did not finish"),
    ],
)
def test_an_experiment_that_failed_as_a_whole_says_why(fields, says):
    """A problem of the folder, of Phoenix, or an interruption is told with its cause."""
    text = console.render(report(result(**fields)))
    assert says in text
    assert "KeyError: 'city'  (/p/experiments/a/task.py:3)" in text


def test_a_passed_job_names_no_failure():
    """A green report is the verdict, the table and the links."""
    text = console.render(report(GOOD))
    assert "example e" not in text
    assert "a  http://phoenix/x1" in text.splitlines()


def test_means_are_shown_with_what_is_missing():
    """The table shows each evaluator's mean, or its labels, and how many runs it has nothing for."""
    scored = task_run(1, evaluations=(evaluation("ev", score=0.25), evaluation("tone", label="kind")))
    text = console.render(report(result(scored, task_run(2, failure=FAILURE, evaluations=()))))
    assert "0.250 (1 missing)" in text
    assert "kind 1 (1 missing)" in text


def test_tracebacks_are_shown_when_asked_for():
    """A task's traceback is shown with --verbose only; that of a failed import always."""
    assert "      KeyError" not in console.render(report(BAD))
    assert "      KeyError" in console.render(report(BAD), verbose=True)
    assert "      KeyError" in console.render(report(result(problems=(FAILURE,))))


def test_one_cause_is_said_once():
    """Of many examples that failed alike the cause is said once, with some examples and the number of the others."""
    text = console.render(report(result(*(task_run(number, failure=FAILURE) for number in range(25)))))
    shown = text.count("  example e")
    assert text.count("task: KeyError") == 1
    assert 1 <= shown < 25
    assert f"and {25 - shown} more examples" in text


def test_many_causes_are_counted():
    """Of many kinds of failure the commonest are shown first, and the rest counted."""
    kinds = [task_run(number, failure=replace(FAILURE, message=f"kind {number}")) for number in range(25)]
    text = console.render(report(result(*kinds, task_run(99, failure=replace(FAILURE, message="kind 24")))))
    shown = [line.strip() for line in text.splitlines() if "task: KeyError" in line]
    assert shown[0].startswith("task: KeyError: kind 24 ")
    assert 1 <= len(shown) < 25
    assert f"and {25 - len(shown)} more kinds of failure" in text


def test_a_path_below_the_working_directory_is_relative(monkeypatch, tmp_path):
    """A line of the user's code is shown as an editor opens it from the project's folder."""
    monkeypatch.chdir(tmp_path)
    failure = replace(FAILURE, where=f"{Path.cwd()}/experiments/a/task.py:3")
    assert "(experiments/a/task.py:3)" in console.render(report(result(task_run(failure=failure))), folder=tmp_path)


def test_colours_only_where_asked():
    """Escape sequences are in the text only with colour."""
    assert "\x1b" not in console.render(report(BAD))
    assert "\x1b" in console.render(report(BAD), color=True)


HOSTILE = {
    "message": lambda text: task_run(failure=replace(FAILURE, message=text)),
    "traceback": lambda text: task_run(failure=replace(FAILURE, traceback=text)),
    "example": lambda text: task_run(failure=FAILURE, example=example(id=text)),
    "input": lambda text: task_run(failure=FAILURE, example=example(input={text: text})),
    "evaluation": lambda text: task_run(evaluations=(evaluation(text, failure=FAILURE),)),
    "label": lambda text: task_run(evaluations=(evaluation(label=text),)),
    "score name": lambda text: task_run(evaluations=(evaluation(text, evaluator="ev", score=1.0),)),
}


@pytest.mark.parametrize("place", HOSTILE)
def test_control_characters_do_not_reach_the_terminal(place):
    """What a model or a dataset says cannot clear the screen, colour it, or ring the bell."""
    text = console.render(report(result(HOSTILE[place]("a\x1b[2Jb\x9b1mc\x07d\x08e\x00f\x7fg\rh"))), verbose=True)
    assert [character for character in text if unicodedata.category(character) == "Cc" and character != "\n"] == []


@pytest.mark.parametrize("place", HOSTILE)
def test_no_line_can_be_forged(place):
    """What a model or a dataset says cannot begin a line of its own, such as another verdict."""
    lines = console.render(report(result(HOSTILE[place]("a\nPASSED: 9 examples\n::error::b")))).splitlines()
    assert [line for line in lines[1:] if line.startswith(("PASSED", "::"))] == []


@pytest.mark.parametrize("place", HOSTILE)
@pytest.mark.parametrize("text", ["[/b]", "[bold]x", "[link=http://evil]x[/link]", ":warning:"])
def test_brackets_are_text(place, text):
    """Square brackets and colons in what a model or a dataset says are shown as they are."""
    assert text in console.render(report(result(HOSTILE[place](text))), verbose=True)


@pytest.mark.parametrize("place", HOSTILE)
def test_every_text_can_be_printed(place):
    """Text that is no valid Unicode does not keep the report from being printed."""
    text = console.render(report(result(HOSTILE[place]("a\ud800b"))), verbose=True)
    assert text.encode()


# --- results.json --------------------------------------------------------------------------------------


def strict(text: str) -> Any:
    """Parse JSON, refusing what only Python takes for it."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_results_json_has_the_facts():
    """What the console says, and the exit code, are there for programs."""
    document = strict(results_json.render(report(GOOD, BAD, ci={"commit": "abc"}, evalwire_version="1.2.3")))
    assert {key: document[key] for key in ("schema_version", "outcome", "exit_code", "dry_run", "endpoint")} == {
        "schema_version": 1,
        "outcome": "errors",
        "exit_code": 1,
        "dry_run": False,
        "endpoint": "http://phoenix",
    }
    assert (document["ci"], document["evalwire_version"]) == ({"commit": "abc"}, "1.2.3")
    good, bad = document["experiments"]
    assert (good["passed"], good["failed"], good["not_run"], good["examples"]) == (True, 0, 0, 2)
    assert (bad["passed"], bad["failed"], bad["recorded_name"]) == (False, 1, "eval_set_2024")
    assert good["dataset"] == {"name": "set", "id": "d1", "version_id": "v1"}
    assert good["scores"] == [{"name": "ev", "mean": 1.0, "count": 2, "missing": 0, "labels": {}}]


def test_results_json_has_every_run():
    """Each run is there with its example, output, evaluations and failure."""
    judge = evaluation("judge", score=0.5, label="good", explanation="because", metadata={"k": [1]})
    run = task_run(3, evaluations=(judge, evaluation("bad", failure=FAILURE)), output={"said": ["x"]}, id="r1")
    [found] = strict(results_json.render(report(result(run))))["experiments"][0]["runs"]
    assert (found["example_id"], found["id"], found["input"], found["output"]) == (
        "e3",
        "r1",
        {"q": "ask 3"},
        {"said": ["x"]},
    )
    assert found["seconds"] == 0.5
    said, failed = found["evaluations"]
    assert (said["name"], said["score"], said["label"], said["metadata"]) == ("judge", 0.5, "good", {"k": [1]})
    assert failed["failure"] == {
        "stage": "task",
        "type": "KeyError",
        "cause": None,
        "message": "'city'",
        "where": "/p/experiments/a/task.py:3",
        "traceback": "  File x\nKeyError\n",
    }


def test_results_json_of_an_experiment_that_did_not_open():
    """Ids that there are not are null, and the problems are there."""
    [found] = strict(results_json.render(report(result(opened=None, problems=(FAILURE,)))))["experiments"]
    assert (found["experiment_id"], found["url"], found["dataset"]["id"]) == (None, None, None)
    assert [problem["type"] for problem in found["problems"]] == ["KeyError"]


@pytest.mark.parametrize("place", HOSTILE)
def test_results_json_is_json_whatever_was_said(tmp_path, place):
    """Control characters and invalid Unicode leave a file that every parser reads."""
    write(tmp_path / "results.json", results_json.render(report(result(HOSTILE[place]('\x1b[2J"\\\x00\ud800é')))))
    document = strict((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert len(document["experiments"][0]["runs"]) == 1


# --- writing -------------------------------------------------------------------------------------------


@contextmanager
def disk_full() -> Iterator[None]:
    """No file can grow beyond a thousand bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_write_makes_the_folder_and_replaces_the_file(tmp_path):
    """A report is written into a folder that is made, in UTF-8, and replaces the one before."""
    path = tmp_path / "new" / "deep" / "report.txt"
    write(path, "first")
    write(path, "é 🎉")
    assert path.read_bytes() == "é 🎉".encode()
    assert names(path.parent) == ["report.txt"]


def test_a_failing_write_leaves_the_old_file(tmp_path):
    """A disk that is full leaves the report before, whole, and no rest of the new one."""
    path = tmp_path / "report.txt"
    write(path, "old")
    with disk_full(), pytest.raises(OSError, match="too large"):
        write(path, "new" * 10_000)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["report.txt"]


def test_a_folder_in_the_reports_place_is_an_error(tmp_path):
    """What cannot be replaced is an OSError, and leaves nothing beside it."""
    (tmp_path / "report.txt").mkdir()
    with pytest.raises(OSError, match=r"report\.txt"):
        write(tmp_path / "report.txt", "text")
    assert names(tmp_path) == ["report.txt"]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
def test_reports_can_be_read_by_other_users(tmp_path, umask):
    """A report has mode 0644 whatever the umask, since CI systems collect it as another user."""
    before = os.umask(umask)
    try:
        write(tmp_path / "report.txt", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "report.txt").stat().st_mode) == 0o644
