"""Annotations: GitHub's workflow commands, read as its runner reads them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hostile import CORPUS
from hypothesis import given
from random_reports import few, hostile, random_reports
from reporting import evaluation, failure, red_report, result, run

from evalwire.model.gates import GateResult
from evalwire.model.report import Report
from evalwire.reports import annotations as workflow
from evalwire.reports.places import MOST

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def read(line: str) -> dict[str, str]:
    """A command as the runner reads it: its name, its properties, and the message."""
    assert line.startswith("::")
    head, _, message = line[2:].partition("::")
    name, _, properties = head.partition(" ")
    found = {"command": name, "message": unescaped(message)}
    for one in properties.split(","):
        key, equals, value = one.partition("=")
        assert equals
        assert key not in found
        found[key] = unescaped(value.replace("%3A", ":").replace("%2C", ","))
    return found


def unescaped(text: str) -> str:
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


def commands(report: Report) -> list[dict[str, str]]:
    """The commands, each held to what GitHub takes."""
    found = []
    for line in workflow.lines(report):
        assert not CONTROL.search(line)
        assert len(line.splitlines()) == 1
        assert not re.search(r"##\w*\[", line)
        found.append(read(line))
        assert found[-1]["command"] in ("error", "warning")
        assert found[-1].keys() in ({"command", "title", "message"}, {"command", "file", "line", "title", "message"})
    return found


def gate(name: str = "a", **fields: Any) -> GateResult:
    given = {"rule": "max_drop", "threshold": 0.1, "status": "failed", "is_red": True, "text": "it fell"}
    return GateResult(experiment=name, **{**given, **fields})


def one(*runs: Any, gates: tuple[GateResult, ...] = (), name: str = "a", **fields: Any) -> Report:
    made = result(name, list(runs), **{"evaluators": ("e",), **fields})
    return red_report(results=(made,), gates=gates, baselines=())


HARMLESS = [its["command"] for its in commands(hostile("x"))]
SOUND = run(1, evaluations=(evaluation("e", 1.0),))


def test_failures_and_red_gates_are_shown_at_their_lines():
    """A gate at the evaluator's file, one of the whole experiment at the task's, a failure at its line."""
    assert commands(red_report()) == [
        {
            "command": "error",
            "file": "experiments/doc_search/exact_match.py",
            "line": "1",
            "title": "doc_search: exact_match max_drop",
            "message": "exact_match fell by 45.5 points (100.0% to 54.5% over 11 pairs): a drop of at most 2 points is "
            'allowed\nHow do I get refund number 2? (q2): 1.00 to 0.00\nbefore: {"documents": ["doc 2", "doc 0"]}\n'
            'now: ["doc 1"]\nHow do I get refund number 3? (q3): 1.00 to 0.00',
        },
        {
            "command": "error",
            "file": "experiments/support_router/task.py",
            "line": "1",
            "title": "support_router: max_error_rate",
            "message": "2 of 6 runs failed",
        },
        {
            "command": "error",
            "file": "experiments/support_router/task.py",
            "line": "12",
            "title": "support_router: KeyError",
            "message": "KeyError: 'answer' in 1 of 6 runs, such as example q21",
        },
        {
            "command": "error",
            "file": "experiments/support_router/task.py",
            "line": "12",
            "title": "support_router: ValueError",
            "message": "ValueError: no tone in 1 of 6 runs, such as example q22",
        },
    ]


def test_a_gate_of_a_file_is_shown_at_its_line():
    source = "/work/my evals/evalwire.toml:12: [experiments.a.gates.e] min"
    [command] = commands(one(SOUND, gates=(gate(evaluation="e", source=source),)))
    assert (command["file"], command["line"]) == ("my evals/evalwire.toml", "12")
    for source in ("--gate 'a:1: [b >= 1'", "evalwire.toml: [gates.e] min", "", "evalwire.toml:x: [gates] min"):
        [command] = commands(one(SOUND, gates=(gate(evaluation="e", source=source),)))
        assert (command["file"], command["line"]) == ("experiments/a/e.py", "1"), source


def test_a_command_is_escaped_as_github_reads_it():
    """Of a property also what ends it, of a message only what ends the line; `::` in either is text."""
    odd = failure(type="A:B,C%", message="50%, a::b\nnext", where="/work/a,b:c%.py:7")
    [line] = workflow.lines(one(run(1, failure=odd)))
    assert line == (
        "::error file=a%2Cb%3Ac%25.py,line=7,title=a%3A A%3AB%2CC%25::"
        "A:B,C%25: 50%25, a::b next in 1 of 1 runs, such as example q1"
    )


def test_what_a_model_says_is_no_command():
    """As many lines as of a harmless text, each the command that it was."""
    for name, text in CORPUS:
        assert [its["command"] for its in commands(hostile(text, keep=()))] == HARMLESS, name


@few
@given(random_reports())
def test_a_red_job_has_an_error_and_a_green_one_has_none(made):
    """Of whatever it was that the job failed; a warning is no error."""
    found = commands(made)
    assert any(its["command"] == "error" for its in found) == (made.exit_code != 0)
    assert len(found) <= MOST * max(len(made.results), 1) + 1


def test_nothing_is_said_of_what_held():
    green = red_report(results=(result("a", [SOUND], evaluators=("e",)),), gates=(), baselines=(), exit_code=0)
    held = (gate(status="passed", is_red=False),)
    assert commands(replace(green, outcome="passed", gates=held)) == []


def test_a_drop_gate_without_a_baseline_is_a_warning():
    """It passed, and nothing was compared."""
    green = red_report(results=(result("a", [SOUND], evaluators=("e",)),), gates=(), baselines=(), exit_code=0)
    (only,) = commands(replace(green, outcome="passed", gates=(gate(status="no baseline", is_red=False),)))
    assert (only["command"], only["message"]) == ("warning", "no baseline: it fell")


def test_an_inconclusive_gate_is_a_warning():
    """Unless it is red; the verdict says which."""
    unsure = gate(status="inconclusive", is_red=False, evaluation="e")
    [found] = commands(replace(one(SOUND, gates=(unsure,)), exit_code=0))
    assert (found["command"], found["message"]) == ("warning", "inconclusive: it fell")
    assert found["file"] == "experiments/a/e.py"
    [found] = commands(one(SOUND, gates=(replace(unsure, is_red=True),)))
    assert found["command"] == "error"


def test_a_score_that_is_no_evaluators_name_is_shown_at_the_task():
    [found] = commands(one(SOUND, gates=(gate(evaluation="precision"),)))
    assert found["file"] == "experiments/a/task.py"


@pytest.mark.parametrize("many", [10, 11, 40])
def test_an_experiment_has_ten_at_most(many):
    """The last one says how many are not shown."""
    found = commands(one(*(run(n, failure=failure(message="x" * (n + 1))) for n in range(many))))
    assert len(found) == 10
    assert found[-1]["message"].startswith("KeyError" if many == 10 else f"and {many - 9} more; see results.json")


def test_one_cause_is_said_once():
    """The commonest first."""
    runs = [run(0, failure=failure(message="rare")), *(run(n, failure=failure()) for n in range(1, 4))]
    assert [its["message"] for its in commands(one(*runs))] == [
        "KeyError: 'answer' in 3 of 4 runs, such as example q1",
        "KeyError: rare in 1 of 4 runs, such as example q0",
    ]


def test_each_experiments_first_comes_before_any_second():
    """GitHub shows ten of a step, and none of the experiments is to be without."""
    many = [
        result(name, [run(n, failure=failure(message="x" * (n + 1))) for n in range(3)], evaluators=())
        for name in "abc"
    ]
    titles = [its["title"][0] for its in commands(red_report(results=tuple(many), gates=(), baselines=()))]
    assert titles == list("abcabcabc")


def test_tolerated_errors_are_not_shown():
    """Lost records are, since nothing tolerates them."""
    held = gate(rule="max_error_rate", status="passed", is_red=False)
    assert commands(replace(one(run(1, failure=failure()), SOUND, gates=(held,)), exit_code=0)) == []
    lost = failure(stage="record", type="PhoenixUnreachable", message="gone", where=None)
    [found] = commands(one(run(1, failure=failure(), record_failure=lost), gates=(held,)))
    assert found == {
        "command": "error",
        "title": "a: PhoenixUnreachable",
        "message": "PhoenixUnreachable: gone in 1 of 1 runs, such as example q1",
    }


def test_what_stopped_an_experiment_is_shown():
    """At its line, or at the task where it has none; Phoenix's troubles are at no file."""
    syntax = failure(stage="import", type="SyntaxError", where="/work/experiments/a/e.py:3")
    [found] = commands(one(problems=(syntax,), opened=None, example_count=0))
    assert (found["file"], found["line"], found["message"]) == ("experiments/a/e.py", "3", "SyntaxError: 'answer'")
    missing = failure(stage="import", type="MissingCallable", where=None)
    assert commands(one(problems=(missing,), opened=None, example_count=0))[0]["file"] == "experiments/a/task.py"
    gone = failure(stage="open", type="DatasetNotFound", where=None)
    assert "file" not in commands(one(failure=gone, opened=None, example_count=0))[0]


def test_a_path_elsewhere_is_shown_as_it_is():
    """Paths are relative to the job's folder where they are below it, and else whole."""
    [found] = commands(one(run(1, failure=failure(where="/elsewhere/x.py:4"))))
    assert found["file"] == "/elsewhere/x.py"
    [found] = commands(replace(one(run(1, failure=failure(where="/worked/x.py:4"))), directory="/work"))
    assert found["file"] == "/worked/x.py"
    [found] = commands(replace(one(run(1, failure=failure(where="<string>"))), directory="/"))
    assert (found["file"], found["line"]) == ("work/experiments/a/task.py", "1")


def test_scores_that_some_runs_lack_are_shown():
    uneven = (
        run(3, evaluations=(evaluation("x", 1.0, evaluator="e"), evaluation("y", 1.0, evaluator="e"))),
        run(4, evaluations=(evaluation("x", 1.0, evaluator="e"),)),
    )
    assert [its["message"] for its in commands(one(*uneven))] == ["y was returned for only 1 of 2 runs"]


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ("nothing_to_run", "there was nothing to run"),
        ("infrastructure", "Phoenix could not be used"),
        ("interrupted", "the job was interrupted"),
        ("errors", "the job failed"),
    ],
)
def test_a_job_that_is_red_for_no_experiments_sake_says_why(outcome, said):
    made = red_report(results=(), gates=(), baselines=(), outcome=outcome)
    assert commands(made) == [{"command": "error", "title": "evalwire", "message": said}]


def test_a_gate_of_an_experiment_that_is_not_there_is_not_lost():
    assert [its["title"] for its in commands(red_report(results=(), gates=(gate("gone"),), baselines=()))] == [
        "gone: max_drop"
    ]


def test_long_texts_are_cut():
    [line] = workflow.lines(one(run(1, failure=failure(message="x" * 10_000, type="y" * 1_000))))
    assert len(line) < 1_200
