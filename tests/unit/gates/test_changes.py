"""Which evaluators were changed since the baseline, and what the baseline is under today's."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from reporting import boolean, evaluation, example, failure, result, run

from evalwire.gates.changes import changed_evaluators, changed_task, comparable_part, under_todays_evaluators
from evalwire.gates.comparison import compare_results
from evalwire.model import BaselineScore, Evaluation, ExperimentResult, Inputs

OLD, NEW = "0" * 16, "1" * 16


def recorded(*runs, files: dict[str, str] | None = None, task: dict[str, str] | None = None, **facts: Any):
    """A result of the evaluator `s`, whose metadata say what it and its task read."""
    its = result("search", list(runs) or [run(0, evaluations=(evaluation("s", 1.0),))], evaluators=("s",))
    if files is not None:
        facts["inputs"] = Inputs(task=task or {"task.py": OLD}, evaluators={"s": files}).to_json()
    return replace(its, opened=replace(its.opened, metadata={"evalwire": facts}))


@pytest.mark.parametrize(
    ("now", "before", "today", "reason"),
    [
        ({"s.py": OLD}, {"s.py": OLD}, {}, ""),
        ({"s.py": NEW}, {"s.py": OLD}, {}, "changed: s.py"),
        ({"s.py": OLD, "a.txt": OLD}, {"s.py": OLD}, {}, "changed: a.txt"),
        ({"s.py": OLD}, {"s.py": OLD, "a.txt": OLD}, {"a.txt": OLD}, ""),
        ({"s.py": OLD}, {"s.py": OLD, "a.txt": OLD}, {"a.txt": NEW}, "changed: a.txt"),
        ({"s.py": OLD}, {"s.py": OLD, "a.txt": OLD}, {"a.txt": ""}, "changed: a.txt"),
        ({"s.py": OLD}, {"s.py": OLD, "a.txt": OLD}, None, ""),
        ({f"{n}.py": NEW for n in range(3)}, {"s.py": NEW}, None, "changed: 0.py, 1.py, 2.py"),
        ({f"{n}.py": NEW for n in range(5)}, {"s.py": NEW}, None, "changed: 0.py, 1.py, 2.py and 2 more"),
    ],
)
def test_an_evaluator_was_changed_where_a_file_of_it_was(now, before, today, reason):
    """A file that only the baseline read counts as it is today: a part of the examples opens a part of the files."""
    found = changed_evaluators(
        recorded(files=now), recorded(files=before), (lambda _: None) if today is None else today.get
    )
    assert found == ({"s": reason} if reason else {})


@pytest.mark.parametrize(
    ("now", "before", "is_changed"),
    [({"s": OLD}, {"s": OLD}, False), ({"s": NEW}, {"s": OLD}, True), ({}, {}, True), ({"s": ""}, {"s": ""}, True)],
)
def test_older_records_know_the_hash_of_the_evaluators_file_alone(now, before, is_changed):
    """The same hash counts as the same evaluator, once: the new record knows more. No hash is not a same hash."""
    found = changed_evaluators(recorded(files={"s.py": OLD}, evaluators=now), recorded(evaluators=before))
    assert found == ({"s": "it changed, or the baseline has no record of its files"} if is_changed else {})


def test_of_a_run_that_another_tool_recorded_no_evaluator_is_known():
    """Whoever names a baseline for it wants the recorded scores compared."""
    assert changed_evaluators(recorded(), recorded()) == {}
    assert changed_evaluators(recorded(evaluators={"another": OLD}), recorded(evaluators={"another": NEW})) == {}
    assert changed_evaluators(recorded(), recorded(evaluators={"s": OLD})) == {}


def test_an_evaluator_without_a_record_does_not_hide_a_changed_evaluator():
    now, before = (
        replace(recorded(files={"s.py": digest}), evaluator_names=("of another tool", "s")) for digest in (NEW, OLD)
    )
    assert changed_evaluators(now, before) == {"s": "changed: s.py"}


def test_a_new_evaluator_has_no_scores_to_compare():
    before = replace(recorded(files={"s.py": OLD}), evaluator_names=("t",))
    assert changed_evaluators(recorded(files={"s.py": OLD}), before) == {"s": "it is new"}


def test_a_task_was_changed_where_a_file_of_it_was_or_none_was_recorded():
    same, other = recorded(files={}, task={"task.py": OLD}), recorded(files={}, task={"task.py": NEW})
    assert changed_task(same, same) == ()
    assert changed_task(same, other) == ("task.py",)
    assert changed_task(same, recorded()) == ("(not known)",)


@pytest.mark.parametrize(("digest", "changed"), [(OLD, ()), (NEW, ("prompt.md",)), (None, ())])
def test_a_file_that_only_the_baselines_task_read_counts_as_it_is_today(digest, changed):
    now, before = recorded(files={}), recorded(files={}, task={"task.py": OLD, "prompt.md": OLD})
    assert changed_task(now, before, {"prompt.md": digest}.get) == changed


@pytest.mark.parametrize(
    "value", [None, [], {}, {"files": []}, {"files": {"a": "1"}, "task": [1], "evaluators": {}}, "x"]
)
def test_inputs_of_another_form_are_not_known(value):
    assert not Inputs.from_json(value).is_known


def test_inputs_are_read_back_as_they_were_recorded():
    own = Inputs(task={"b.py": "2", "a.py": "1"}, evaluators={"s": {"a.py": "1", "c.md": "3"}, "t": {}})
    assert Inputs.from_json(own.to_json()) == own


# --- the baseline under today's evaluators ---------------------------------------------------------------


def ran(*scores: float | bool | None, again: list[BaselineScore | None] | None = None) -> ExperimentResult:
    """Runs with a score of `s` each; None is a task that failed."""
    runs = []
    for number, score in enumerate(scores):
        if score is None:
            runs.append(run(number, failure=failure(), evaluations=()))
            continue
        its = boolean("s", passed=score) if isinstance(score, bool) else evaluation("s", score)
        runs.append(run(number, evaluations=(replace(its, baseline_score=again[number] if again else None),)))
    return recorded(*runs)


def repeated(*scores: list[float | None], again: list[BaselineScore | None] | None = None) -> ExperimentResult:
    """Runs as of `ran`, two of each example."""
    runs = [
        replace(one, example=example(n // 2), repetition=n % 2 + 1)
        for n, one in enumerate(ran(*itertools.chain(*scores), again=again).runs)
    ]
    return replace(recorded(*runs), repetitions=2, example_count=len(scores))


def said(score: float | bool | None, *, of: str = "EXP-search") -> BaselineScore:
    if score is None:
        return BaselineScore(experiment_id=of, failed=True)
    return BaselineScore(experiment_id=of, score=float(score), label=str(score) if isinstance(score, bool) else None)


def compared(now: ExperimentResult, before: ExperimentResult):
    return compare_results(now, before, asked="auto", changed={"s": "changed: s.py"})


def test_todays_scores_of_the_baseline_are_compared():
    found = compared(ran(0.1, 0.2, again=[said(0.8), said(0.9)]), ran(0.3, 0.4))
    (only,) = found.comparisons
    assert [(pair.before, pair.after) for pair in only.pairs] == [(0.8, 0.1), (0.9, 0.2)]
    (rescored,) = found.rescored
    assert (rescored.evaluator, rescored.evaluation, rescored.reason) == ("s", "s", "changed: s.py")
    assert (rescored.outputs, rescored.failed) == (2, 0)
    assert (rescored.recorded, rescored.today) == (pytest.approx(0.35), pytest.approx(0.85))


@pytest.mark.parametrize("again", [[None, None], [said(0.8), None], [said(0.8), said(0.9, of="another")]])
def test_scores_of_another_evaluator_are_not_compared_with_todays(again):
    """Nor are the recorded ones taken where some are lacking: two rulers would be compared with each other."""
    found = compared(ran(0.1, 0.2, again=again), ran(0.3, 0.4))
    assert (found.comparisons, found.rescored) == ((), ())
    assert found.changed_evaluators == {"s": "changed: s.py"}


@pytest.mark.parametrize("kind", [bool, float])
def test_an_output_on_which_the_evaluator_fails_is_no_pair(kind):
    """Of bools too, where it is not a failure of the baseline."""
    found = compared(ran(kind(0), kind(0), again=[said(None), said(kind(1))]), ran(kind(1), kind(1)))
    (only,) = found.comparisons
    assert [(pair.example_id, pair.before, pair.after) for pair in only.pairs] == [("q1", 1.0, 0.0)]
    assert (only.unscored, only.is_bool) == (1, kind is bool)
    (rescored,) = found.rescored
    assert (rescored.outputs, rescored.failed, rescored.recorded, rescored.today) == (1, 1, 1.0, 1.0)


def test_beside_a_run_that_failed_the_recorded_score_stands():
    """A bool that a failed run did not give counts as False; what it fell from is what was recorded."""
    found = compared(ran(False, None, again=[said(True), None]), ran(True, True))
    assert [(pair.before, pair.after) for pair in found.comparisons[0].pairs] == [(1.0, 0.0), (1.0, 0.0)]


def test_repetitions_on_which_an_evaluator_fails_are_counted_one_by_one():
    """The limit on errors is a share of the outputs."""
    now, before = (
        repeated([0.1, 0.1], [0.2, 0.2], again=[said(None), said(None), said(0.8), said(0.8)]),
        repeated([0.4] * 2, [0.4] * 2),
    )
    found = compared(now, before)
    assert (found.rescored[0].outputs, found.rescored[0].failed, found.comparisons[0].unscored) == (2, 2, 1)


def test_recorded_and_new_numbers_have_no_mean_in_common():
    """They may have another scale: where a repetition failed, only the others are compared."""
    found = compared(repeated([0.1, None], again=[said(8), None]), repeated([0.3, 0.5]))
    assert [(pair.before, pair.after) for pair in found.comparisons[0].pairs] == [(8, 0.1)]
    (rescored,) = found.rescored
    assert (rescored.outputs, rescored.recorded, rescored.today) == (1, 0.3, 8)


def test_a_repetition_that_was_not_made_has_no_new_score():
    now = repeated([0.1, 0.2], again=[said(0.8), said(0.9)])
    found = compared(replace(now, runs=now.runs[:1]), repeated([0.3, 0.5]))
    assert [(pair.before, pair.after) for pair in found.comparisons[0].pairs] == [(0.8, 0.1)]


def test_without_a_recorded_score_there_is_no_recorded_mean():
    before = recorded(run(0, evaluations=(evaluation("s", None, label="unsure"),)))
    (rescored,) = compared(ran(0.1, again=[said(0.8)]), before).rescored
    assert (rescored.outputs, rescored.recorded, rescored.today) == (1, None, 0.8)
    unsure = replace(said(None), failed=False, label="unsure")
    (rescored,) = compared(ran(0.1, again=[unsure]), ran(0.3)).rescored
    assert (rescored.outputs, rescored.failed, rescored.recorded, rescored.today) == (0, 0, None, None)


def test_new_scores_have_the_kind_that_the_evaluator_returned_for_the_baselines_output():
    """Whatever it returned for today's: another kind, or a failure."""
    yes = BaselineScore(experiment_id="EXP-search", score=1.0, label="because", kind="bool")
    passed = boolean("s", passed=True, baseline_score=yes)
    others = [
        evaluation("s", None, label="not applicable", kind="not_applicable", baseline_score=yes),
        evaluation("s", None, failure=failure(stage="evaluator"), baseline_score=yes),
    ]
    for other, is_paired in zip(others, (False, True), strict=True):
        now = recorded(run(0, evaluations=(passed,)), run(1, evaluations=(other,)))
        (only,) = compared(now, ran(False, False)).comparisons
        assert (only.is_bool, [pair.example_id for pair in only.pairs]) == (True, ["q0", "q1"] if is_paired else ["q0"])
        assert {pair.before for pair in only.pairs} == {1.0}


# --- beside other evaluators -------------------------------------------------------------------------------


def test_scores_of_unchanged_evaluators_stay_beside_new_scores():
    now = recorded(run(0, evaluations=(evaluation("s", 0.1, baseline_score=said(0.8)), evaluation("t", 0.2))))
    found = compared(now, recorded(run(0, evaluations=(evaluation("s", 0.3), evaluation("t", 0.4)))))
    assert {one.name: (one.before, one.after) for one in found.comparisons} == {"s": (0.8, 0.1), "t": (0.4, 0.2)}


def test_scores_of_unchanged_evaluators_stay_beside_a_run_that_failed():
    both = [run(n, evaluations=(boolean("s", passed=True), boolean("t", passed=True))) for n in (0, 1)]
    again = tuple(replace(found, baseline_score=said(True)) for found in both[0].evaluations)
    now = recorded(replace(both[0], evaluations=again), run(1, failure=failure(), evaluations=()))
    found = compared(now, recorded(*both)).comparison("t")
    assert [(pair.before, pair.after) for pair in found.pairs] == [(1.0, 1.0), (1.0, 0.0)]


def test_an_evaluator_without_new_scores_does_not_hide_another_with_new_scores():
    now = recorded(run(0, evaluations=(evaluation("s", 0.1), evaluation("t", 0.2, baseline_score=said(0.9)))))
    before = recorded(run(0, evaluations=(evaluation("s", 0.3), evaluation("t", 0.4))))
    found = compare_results(now, before, asked="auto", changed={"s": "it is new", "t": "it is new"})
    assert found.changed_evaluators == {"s": "it is new"}
    assert [(one.name, one.before) for one in found.comparisons] == [("t", 0.9)]


@pytest.mark.parametrize(("now", "before"), [("s", "t"), ("t", "s")])
def test_a_recorded_score_of_the_same_name_by_another_evaluator_is_not_compared(now, before):
    """A changed evaluator gave it, in this run or in the baseline."""
    scored = evaluation("s", 0.1, baseline_score=said(0.8))
    length = evaluation("length", 0.5, evaluator=now, baseline_score=said(0.7) if now == "s" else None)
    baseline = recorded(run(0, evaluations=(evaluation("s", 0.3), evaluation("length", 0.4, evaluator=before))))
    found = compared(recorded(run(0, evaluations=(scored, length))), baseline).comparison("length")
    assert [pair.before for pair in found.pairs] == ([0.7] if now == "s" else [])


def test_an_output_that_the_baseline_does_not_have_is_not_a_failure_of_the_evaluator():
    """A new score was asked for, but its run in the baseline had failed."""
    found = compared(ran(True, True, again=[said(True), said(None)]), ran(True, None))
    assert [(pair.before, pair.after) for pair in found.comparisons[0].pairs] == [(1.0, 1.0), (0.0, 1.0)]
    (rescored,) = found.rescored
    assert (rescored.outputs, rescored.failed) == (1, 0)


def test_an_evaluator_that_gives_only_some_of_its_scores_has_new_ones_for_the_others():
    def side(*names: str, again: float | None = None) -> list[Evaluation]:
        score = said(again) if again is not None else None
        return [evaluation(name, 0.1, evaluator="s", baseline_score=score) for name in names]

    now = recorded(run(0, evaluations=side("a", "b", again=0.8)), run(1, evaluations=side("b", again=0.8)))
    found = compared(now, recorded(*[run(n, evaluations=side("a", "b")) for n in (0, 1)]))
    assert {one.name: [pair.before for pair in one.pairs] for one in found.comparisons} == {"a": [0.8], "b": [0.8, 0.8]}


def test_unchanged_evaluators_keep_their_recorded_scores():
    before = ran(0.3)
    assert under_todays_evaluators(ran(0.1, again=[said(0.9)]), before, {}).result is before


def test_only_unchanged_examples_in_common_repetitions_are_scored_again():
    now = replace(ran(0.1, 0.2, 0.3), repetitions=1)
    runs = [run(1, repetition=n) for n in (1, 2)] + [run(2), run(9)]
    part = comparable_part(now, replace(result("search", runs, evaluators=("s",)), repetitions=2))
    assert [(one.example.id, one.repetition) for one in part.runs] == [("q1", 1), ("q2", 1)]
    assert part.repetitions == 1
