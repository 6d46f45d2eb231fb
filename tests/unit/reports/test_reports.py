"""What a finished job becomes: text for people, JSON for programs, files on the disk."""

from __future__ import annotations

import json
import os
import resource
import stat
import subprocess
import sys
import tracemalloc
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reporting import red_report

from evalwire.model.example import Dataset, Example
from evalwire.model.experiment import Experiment, OpenExperiment
from evalwire.model.failure import Failure
from evalwire.model.gates import GateResult
from evalwire.model.report import Report
from evalwire.model.result import ExperimentResult
from evalwire.model.run import Evaluation, TaskRun
from evalwire.model.shard import Shard
from evalwire.reports import console, html, markdown, results_json, write
from evalwire.reports.text import cut, single_line, start_of

MOMENT = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
FAILURE = Failure(
    kind="user",
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


HELD = GateResult(
    experiment="a", rule="min", threshold=0.5, status="passed", is_red=False, text="1.00", source="--gate"
)

# --- the console ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (report(GOOD), "PASSED: 1 experiment, 2 examples, none failed, no gates, 3.2 s"),
        (report(GOOD, gates=(HELD,)), "PASSED (1 gate passed): 1 experiment, 2 examples, none failed, 3.2 s"),
        (
            report(GOOD, shard=Shard(1, 2)),
            "PASSED (shard 1/2, gates are applied after the merge): 1 experiment, 2 examples, none failed, 3.2 s",
        ),
        (
            report(GOOD, BAD),
            "FAILED: 2 experiments, 4 examples, 1 of 2 experiments failed, 1 example failed, no gates, 3.2 s",
        ),
        (
            report(GOOD, dry_run=True),
            "PASSED (dry run, nothing recorded): 1 experiment, 2 examples, none failed, 3.2 s",
        ),
        (
            report(replace(GOOD, example_count=5), outcome="interrupted", exit_code=130),
            "INTERRUPTED: 1 experiment, 5 examples, 3 not run, no gates, 3.2 s",
        ),
        (  # its gates are not known, and may be there
            report(result(problems=(FAILURE,))),
            "FAILED: 1 experiment, 0 examples, 3.2 s",
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
        ({"problems": (replace(FAILURE, stage="import"),), "opened": None}, "a: cannot run"),
        ({"failure": replace(FAILURE, stage="open"), "opened": None}, "a: did not start"),
        ({"failure": replace(FAILURE, stage="interrupted"), "example_count": 3}, "a: did not finish"),
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
    assert "ev    0.250  (1 missing)" in text
    assert "  tone  kind 1 (1 missing)" in text


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
    kinds = [task_run(number, failure=replace(FAILURE, message=f"kind {chr(65 + number)}")) for number in range(25)]
    text = console.render(report(result(*kinds, task_run(99, failure=replace(FAILURE, message="kind Y")))))
    shown = [line.strip() for line in text.splitlines() if "task: KeyError" in line]
    assert shown[0].startswith("task: KeyError: kind Y ")
    assert 1 <= len(shown) < 25
    assert f"and {25 - len(shown)} more kinds of failure" in text


def test_a_path_below_the_working_directory_is_relative(monkeypatch, tmp_path):
    """A line of the user's code is shown as an editor opens it from the project's folder."""
    monkeypatch.chdir(tmp_path)
    failure = replace(FAILURE, where=f"{Path.cwd()}/experiments/a/task.py:3")
    assert "(experiments/a/task.py:3)" in console.render(
        replace(report(result(task_run(failure=failure))), directory=str(tmp_path))
    )


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
    "unstable example": lambda text: task_run(example=example(id=text), evaluations=(evaluation(score=0.0),)),
    "unstable score": lambda text: task_run(evaluations=(evaluation(text, evaluator="ev", score=0.0),)),
}


def hostile(place: str, text: str) -> Report:
    """A report with `text` in one place of a run; for what is unstable, with another repetition."""
    run = HOSTILE[place](text)
    if not place.startswith("unstable"):
        return report(result(run))
    other = replace(run, repetition=2, evaluations=(replace(run.evaluations[0], score=1.0),))
    return report(result(run, other, example_count=1, repetitions=2))


@pytest.mark.parametrize("place", HOSTILE)
def test_control_characters_do_not_reach_the_terminal(place):
    """What a model or a dataset says cannot clear the screen, colour it, or ring the bell."""
    text = console.render(hostile(place, "a\x1b[2Jb\x9b1mc\x07d\x08e\x00f\x7fg\rh"), verbose=True)
    assert [character for character in text if unicodedata.category(character) == "Cc" and character != "\n"] == []


@pytest.mark.parametrize("place", HOSTILE)
def test_no_line_can_be_forged(place):
    """What a model or a dataset says cannot begin a line of its own, such as another verdict."""
    lines = console.render(hostile(place, "a\nPASSED: 9 examples\n::error::b")).splitlines()
    assert [line for line in lines[1:-1] if line.startswith(("PASSED", "::"))] == []


@pytest.mark.parametrize("place", HOSTILE)
@pytest.mark.parametrize("text", ["[/b]", "[bold]x", "[link=http://evil]x[/link]", ":warning:"])
def test_brackets_are_text(place, text):
    """Square brackets and colons in what a model or a dataset says are shown as they are."""
    assert text in console.render(hostile(place, text), verbose=True)


@pytest.mark.parametrize("place", HOSTILE)
def test_every_text_can_be_printed(place):
    """Text that is no valid Unicode does not keep the report from being printed."""
    text = console.render(hostile(place, "a\ud800b"), verbose=True)
    assert text.encode()


# --- repetitions and retries on the console ------------------------------------------------------------


def repeated(*examples: str, repetitions: int = 3, name: str = "ev", **fields: Any) -> ExperimentResult:
    """A result by a text for each example, a letter for each repetition.

    T and F are an evaluator's True and False, a digit is so many tenths, X a task that failed, - one not run.
    """
    said = {"T": {"score": 1.0, "label": "True"}, "F": {"score": 0.0, "label": "False"}}
    runs = [
        task_run(
            number,
            repetition=repetition,
            failure=FAILURE if letter == "X" else None,
            evaluations=() if letter == "X" else (evaluation(name, **said.get(letter) or {"score": int(letter) / 10}),),
        )
        for number, letters in enumerate(examples, start=1)
        for repetition, letter in enumerate(letters, start=1)
        if letter != "-"
    ]
    given = {"example_count": len(examples), "repetitions": repetitions, "evaluator_names": (name,)}
    return result(*runs, **given | fields)


def lines(*results: ExperimentResult, width: int | None = None) -> list[str]:
    return console.render(report(*results), width=width).splitlines()


@pytest.mark.parametrize(
    ("results", "line"),
    [
        ([repeated("TTT", "FFF")], "PASSED: 1 experiment, 2 examples x 3 repetitions, none failed, no gates, 3.2 s"),
        (
            [repeated("TTT", "XFX")],
            "FAILED: 1 experiment, 2 examples x 3 repetitions, 2 runs failed, no gates, 3.2 s",
        ),
        (
            [repeated("TTT", "XF-", "---")],
            "FAILED: 1 experiment, 3 examples x 3 repetitions, 1 run failed, 4 not run, no gates, 3.2 s",
        ),
        (
            [repeated("TTT"), result(opened=None, failure=FAILURE)],
            "FAILED: 2 experiments, 1 example x 3 repetitions, 1 of 2 experiments failed, no gates, 3.2 s",
        ),
        ([repeated("TTT"), GOOD], "PASSED: 2 experiments, 3 examples, 5 runs, none failed, no gates, 3.2 s"),
    ],
    ids=["passed", "failed", "not run", "one did not open", "not alike"],
)
def test_the_verdict_counts_runs(results, line):
    """With repetitions the verdict says over how many examples and how often, and counts failures in runs."""
    assert lines(*results)[0] == line


def test_the_scores_show_what_repetitions_tell():
    """How far the scores of an example lie apart, and how often a single try, or all tries, would pass."""
    both = replace(GOOD, name="graded", runs=repeated("0044", repetitions=4).runs, example_count=1, repetitions=4)
    assert lines(repeated("TTTF", "TFFF", repetitions=4), both)[2:6] == [
        "a  2 examples x 4, 1.2 s",
        "  ev  50.0%  spread 0.500, pass@4 100.0%, pass^4 0.0%",
        "graded  1 example x 4, 1.2 s",
        "  ev  0.200  spread 0.231",
    ]


def test_scores_without_repetitions_have_no_spread():
    assert lines(GOOD, BAD)[2:6] == [
        "a  2 examples, 1.2 s",
        "  ev  1.000",
        "a  2 examples, 1 failed, 1.2 s",
        "  ev  1.000  (1 missing)",
    ]


@pytest.mark.parametrize("width", [40, 80, 120, None])
def test_numbers_are_whole_however_narrow_the_terminal(width):
    """Names are cut as far as is needed, and no number."""
    long = "a_rather_long_name_of_an_experiment_or_evaluator"
    made = repeated(*["TTFX"] * 1000, repetitions=4, name=long)
    found = console.render(report(replace(made, name=long, seconds=12345.67)), width=width)
    shown = " ".join(found.split())
    assert "1,000 examples x 4, 1000 failed, 12345.7 s" in shown
    assert "50.0% spread 0.577, pass@4 100.0%, pass^4 0.0% (1000 missing)" in shown
    assert all(len(line) <= (width or 200) for line in found.splitlines() if "http" not in line and long not in line)


def test_names_that_fit_are_whole():
    assert "closeness_of_answer " in lines(repeated("0488", repetitions=4, name="closeness_of_answer"), width=80)[3]


def test_different_repetitions_have_their_own_k():
    found = lines(repeated("TF", repetitions=2), repeated("TTF"))
    assert [line.count("pass@2") + 2 * line.count("pass@3") for line in found[3:6:2]] == [1, 2]


def test_what_was_not_run_counts_as_failed():
    """A repetition that never ran is one of the failures of its experiment."""
    assert "a  2 examples x 3, 4 failed, 1.2 s" in lines(repeated("TXX", "T--"))


# --- scores before and now, gates, and the examples behind them ------------------------------------------


def rejected(**changes: Any) -> list[str]:
    return console.render(red_report(**changes), width=80).splitlines()


def test_a_compared_score_has_the_numbers_of_its_gate_and_the_score_over_all_examples():
    found = rejected()
    assert found[4:6] == [
        "  exact_match  100.0% → 54.5%  -45.5 points  5 worse, 0 better   (58.3% overall)",
        "  top_k         0.700 → 0.650        -0.050  11 worse, 0 better  (0.675 overall)",
    ]


def test_a_limited_score_is_shown_as_its_gate_counts_it():
    """A gate on the pass rate counts a missing run as the worse value: the list shows the same number."""
    limit = GateResult(
        experiment="support_router",
        evaluation="routed",
        rule="max_pass_rate",
        threshold=0.5,
        status="failed",
        is_red=True,
        value=5 / 6,
        is_rate=True,
        text="routed pass rate 83.3%",
    )
    found = rejected(gates=(limit,))
    assert [line for line in found if "66.7%" in line] == []
    assert len([line for line in found if "83.3%" in line]) == 3  # in the list, in columns, and in the sentence


def test_a_score_whose_evaluator_changed_says_that_it_is_not_compared():
    [baseline] = red_report().baselines
    changed = replace(baseline, comparisons=baseline.comparisons[:1], changed_evaluators={"top_k": "changed: x.py"})
    assert "  top_k                 0.675  (not compared: the evaluator changed)" in rejected(baselines=(changed,))


def test_failed_gates_stand_in_columns_with_the_value_that_failed_marked():
    found = rejected()
    start = found.index("failed gates                    before      now  limit")
    assert found[start + 1 : start + 6] == [
        "doc_search  exact_match         100.0%  [54.5%]  drop of at most 2 points",
        "    exact_match fell by 45.5 points (100.0% to 54.5% over 11 pairs): a drop of",
        "      at most 2 points is allowed; change -80.5 to -10.4 points (two-sided 95%",
        "      interval); one-sided p = 0.0312",
        "support_router  max_error_rate          [33.3%]  at most 0%",
    ]


def test_passed_gates_are_a_number_until_they_are_asked_for():
    assert "1 gate passed (-v lists passed gates)" in rejected()
    shown = console.render(red_report(), verbose=True)
    assert "  doc_search  passed: top_k mean 0.675 is at least 0.6" in shown.splitlines()


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"rule": "min", "threshold": 0.8, "value": 0.75, "is_rate": True}, "[75.0%]  at least 80%"),
        ({"rule": "min", "threshold": 0.8, "value": 0.75}, "[0.750]  at least 0.8"),
        ({"rule": "max_drop", "threshold": 0.05, "value": None, "is_relative": True}, "[-]  drop of at most 5% of"),
        ({"rule": "max_label_share", "threshold": 0.125, "value": 0.2, "label": "bad"}, "[20.0%]  at most 12.5% bad"),
        ({"rule": "min_examples", "threshold": 10, "value": 9}, "[9 examples]  at least 10 examples"),
        ({"rule": "max_p95_seconds", "threshold": 2, "value": 2.5}, "[2.5 s]  at most 2 s"),
        ({"rule": "max_total_tokens", "threshold": 1e4, "value": 20_000}, "[20,000 tokens]  at most 10,000 tokens"),
        ({"rule": "max_cost_usd", "threshold": 0.5, "value": 0.75}, "[0.75 USD]  at most 0.5 USD"),
    ],
)
def test_each_rule_has_its_unit(fields, shown):
    red = GateResult(experiment="a", evaluation="e", status="failed", is_red=True, text="x", **fields)
    assert shown in console.render(report(GOOD, gates=(red,)))


def test_an_example_that_became_worse_is_shown_once_with_both_outputs():
    found = rejected()
    start = found.index("    How do I get refund number 2?  (q2)")
    assert found[start - 1 : start + 6] == [
        "  11 examples worse",
        "    How do I get refund number 2?  (q2)",
        "      exact_match True → False   top_k 0.55 → 0.50",
        "      expected  refund 2",
        '      before    {"documents": ["doc 2", "doc 0"]}',
        '      now       ["doc 1"]',
        f"      https://phoenix.example.com/redirects/traces/{2:032}",
    ]
    assert "    and 8 more examples" in found


def test_the_page_of_a_compared_experiment_shows_both_sides():
    page = "https://phoenix.example.com/datasets/RDS1/compare?experimentId=EXP-main&experimentId=EXP-doc_search"
    assert f"doc_search      {page}" in console.render(red_report()).splitlines()
    [baseline] = red_report().baselines
    elsewhere = replace(baseline, url="https://another.example.com/datasets/RDS1/compare?experimentId=EXP-main")
    assert page not in console.render(red_report(baselines=(elsewhere,)))


@pytest.mark.parametrize("width", [80, 120])
def test_lines_break_at_words_and_hang(width):
    found = console.render(red_report(), width=width).splitlines()
    assert all(len(line) <= width for line in found if "https://" not in line)
    text = console.render(red_report()).split()
    assert " ".join(found).split() == text, "nothing is lost but spaces"


def test_the_verdict_is_also_the_last_line():
    found = console.render(red_report()).splitlines()
    assert found[-1] == found[0]
    assert found[0].startswith("FAILED (1 of 2 gates failed): ")


def test_the_most_unstable_examples_are_named():
    """Below an experiment are the examples whose repetitions lie farthest apart, at most three of each evaluator."""
    found = lines(repeated("555", "444", "TFF", "046", "454", "057"))
    assert "a: scores differ between repetitions" in found
    assert [line for line in found if "unstable" in line] == [
        "  unstable: ev  e3  0.33 ± 0.58 over 3 runs",
        "  unstable: ev  e6  0.40 ± 0.36 over 3 runs",
        "  unstable: ev  e4  0.33 ± 0.31 over 3 runs",
    ]


def test_a_failed_experiment_tells_its_failures_before_what_is_unstable():
    """What failed comes first, and an example's count leaves out what failed."""
    found = lines(repeated("XTF"))
    start = found.index("a: 1 of 3 runs failed")
    assert "KeyError" in found[start + 1]
    assert found[start + 3] == "  unstable: ev  e1  0.50 ± 0.71 over 2 runs"


def test_stable_examples_are_not_named():
    """Repetitions that agree, or differ by less than is shown, are no news."""
    close = [
        task_run(3, repetition=number, evaluations=(evaluation(score=0.5 + number / 1e3),)) for number in (1, 2, 3)
    ]
    made = repeated("TTT", "333", "---")
    found = lines(replace(made, runs=(*made.runs, *close)))
    assert found[3] == "  ev  0.601  spread 0.000"
    assert [line for line in found if "unstable" in line or line.startswith("a: ")] == []


def test_a_failed_repetition_is_named():
    """Which of an example's runs failed is said, and the others are counted in runs."""
    text = console.render(report(repeated("XTX", "XXX")))
    assert 'example e1, repetition 3  input {"q": "ask 1"}' in text
    assert "and 2 more runs" in text
    assert "repetition" not in console.render(report(BAD))


def test_scores_that_differ_are_told_in_runs():
    """An evaluator that gave a score for some repetitions only is told by runs."""
    extra = (evaluation(), evaluation("more", evaluator="ev", score=1.0))
    made = repeated("TTT")
    found = lines(replace(made, runs=(*made.runs[:2], replace(made.runs[2], evaluations=extra))))
    assert "a: an evaluator did not return all scores for every run" in found
    assert "  score more: returned for only 1 of 3 runs" in found


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (task_run(failure=FAILURE, evaluations=(), attempts=3), True),
        (task_run(evaluations=(evaluation(failure=FAILURE, attempts=3),)), True),
        (task_run(failure=FAILURE, evaluations=()), False),
        (task_run(record_failure=FAILURE, attempts=3), False),
        (task_run(attempts=3, evaluations=(evaluation(failure=FAILURE),)), False),
    ],
    ids=["task", "evaluator", "at once", "record", "another call"],
)
def test_a_failure_says_how_often_it_was_tried(run, said):
    """What failed in spite of retries says so; what was tried once, or is no call of the user's, does not."""
    text = console.render(report(result(run)))
    assert ("example e1 (after 3 attempts)  input" in text) is said
    assert ("attempts" in text) is said


def test_retries_are_counted_at_the_end():
    """The last line counts calls that were tried again, over all experiments; without any there is none."""
    tried = task_run(attempts=3, evaluations=(evaluation(score=1.0, attempts=2),))
    assert lines(result(tried, task_run(2)), result(tried))[-3] == "retries: 6 (rate limits, timeouts)"
    assert "tried again" not in console.render(report(GOOD, BAD))


def test_mappings_of_any_kind_are_shown():
    """An input that holds nothing is shown as that, whatever mapping it is."""
    nothing = MappingProxyType({})
    bare = example(input=nothing, output=nothing, metadata=nothing)
    assert "input {}" in console.render(report(result(task_run(failure=FAILURE, example=bare))))


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


@given(text=st.text(alphabet="a \n\u2003", max_size=60), length=st.integers(1, 12))
def test_the_start_of_a_text_is_cut_as_the_whole_text(text, length):
    assert cut(start_of(text, length), length) == cut(single_line(text), length)


def test_the_start_of_a_long_text_is_found_without_the_rest():
    assert len(start_of("word " * 100_000, 100)) < 300


def test_write_makes_the_folder_and_replaces_the_file(tmp_path):
    """A report is written into a folder that is made, in UTF-8, and replaces the one before."""
    path = tmp_path / "new" / "deep" / "report.txt"
    write(path, iter(["first"]))
    write(path, iter(["é", " 🎉"]))
    assert path.read_bytes() == "é 🎉".encode()
    assert names(path.parent) == ["report.txt"]


def test_a_failing_write_leaves_the_old_file(tmp_path):
    """A disk that is full leaves the report before, whole, and no rest of the new one."""
    path = tmp_path / "report.txt"
    write(path, iter(["old"]))
    with disk_full(), pytest.raises(OSError, match="too large"):
        write(path, iter(["new" * 10_000]))
    assert path.read_text() == "old"
    assert names(tmp_path) == ["report.txt"]


def test_a_report_that_breaks_off_leaves_the_old_file(tmp_path):
    """What cannot be told to its end is not told in part."""

    def broken() -> Iterator[str]:
        yield "new" * 100_000
        raise KeyError("broken")

    path = tmp_path / "report.txt"
    write(path, iter(["old"]))
    with pytest.raises(KeyError, match="broken"):
        write(path, broken())
    assert path.read_text() == "old"
    assert names(tmp_path) == ["report.txt"]


@pytest.mark.slow
def test_a_large_report_is_not_held_twice(tmp_path):
    """Writing thousands of runs needs less than a megabyte beside the report itself."""
    runs = [
        task_run(number, output=f"{number:01000}", repetition=repetition)
        for number in range(2500)
        for repetition in (1, 2)
    ]
    made = report(result(*runs, example_count=2500, repetitions=2))
    tracemalloc.start()
    try:
        write(tmp_path / "results.json", results_json.pieces(made))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "results.json").stat().st_size > 5_000_000
    assert peak < 1_000_000


def test_a_folder_in_the_reports_place_is_an_error(tmp_path):
    """What cannot be replaced is an OSError, and leaves nothing beside it."""
    (tmp_path / "report.txt").mkdir()
    with pytest.raises(OSError, match=r"report\.txt"):
        write(tmp_path / "report.txt", iter(["text"]))
    assert names(tmp_path) == ["report.txt"]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
def test_reports_can_be_read_by_other_users(tmp_path, umask):
    """A report has mode 0644 whatever the umask, since CI systems collect it as another user."""
    before = os.umask(umask)
    try:
        write(tmp_path / "report.txt", iter(["text"]))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "report.txt").stat().st_mode) == 0o644


# --- what is left to do --------------------------------------------------------------------------------

LOST = Failure(kind="phoenix", stage="record", type="PhoenixUnreachable", message="gone")


def test_records_that_did_not_arrive_are_counted_with_the_command_that_sends_them():
    """Two records of the first run, one evaluation of the second; the third arrived."""
    runs = [
        task_run(1, record_failure=LOST),
        task_run(2, record_failure=LOST, id="r2", evaluations=(evaluation(id="v"), evaluation("other"))),
        task_run(3, id="r3", evaluations=(evaluation(id="v"),)),
    ]
    made = report(result(*runs), journal="test results/journal_1.jsonl")
    shown = console.render(made)
    assert (
        "\n3 records did not reach Phoenix, but the journal has them. "
        "To send them: evalwire resume 'test results/journal_1.jsonl'\n"
    ) in shown
    document = json.loads("".join(results_json.pieces(made)))
    assert (document["undelivered"], document["journal"]) == (3, "test results/journal_1.jsonl")


def test_without_a_journal_nobody_is_sent_to_one():
    shown = console.render(report(result(task_run(record_failure=LOST))))
    assert "2 records did not reach Phoenix, and no journal contains them" in shown
    assert "resume" not in shown


def test_runs_that_were_not_made_can_be_gone_on_with():
    shown = console.render(report(result(task_run(id="r"), example_count=3), journal="journal_1.jsonl"))
    assert "\nTo complete the job: evalwire resume journal_1.jsonl\n" in shown


def test_a_complete_job_has_nothing_left_to_do():
    assert "resume" not in console.render(report(result(task_run()), journal="journal_1.jsonl"))


def test_the_face_imports_no_heavy_library():
    """A job imports a format, and the libraries that it needs, when it writes it."""
    code = "import sys, evalwire.reports; print(*sorted({'jinja2', 'msgspec', 'rich'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "\n"


@pytest.mark.parametrize("server", ["http://127.0.0.1:6006", "http://localhost:6006", "http://[::1]:6006"])
def test_pages_of_a_phoenix_on_the_machine_of_a_ci_job_are_left_out(server):
    """The machine is gone when somebody reads the comment, and the address is that of the reader's own machine."""
    red = red_report()
    pages = {
        name: [
            "".join(form.pieces(moved(red, server, ci=ci))) for ci in ({**red.ci, "ci": "github"}, {"branch": "main"})
        ]
        for name, form in (("console", console), ("markdown", markdown), ("html", html))
    }
    shown = {name: [server in text for text in texts] for name, texts in pages.items()}
    assert all(found == [False, True] for found in shown.values()), shown
    kept = markdown.render(replace(red, ci={**red.ci, "ci": "github"}))
    assert kept.count("https://phoenix.example.com/") > 3


def moved(report: Report, server: str, **changes: Any) -> Report:
    """Return a report of results on another server."""
    address = "https://phoenix.example.com"
    return replace(
        report,
        results=tuple(
            replace(each, opened=replace(each.opened, url=each.url.replace(address, server))) for each in report.results
        ),
        baselines=tuple(replace(each, url=each.url and each.url.replace(address, server)) for each in report.baselines),
        **changes,
    )
