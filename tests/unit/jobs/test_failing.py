"""The examples that `--failing` runs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from reporting import BEGAN, boolean, evaluation, example, failure, result, run

from evalwire.jobs.failing import failing_examples
from evalwire.model import FACTS_KEY, Baseline, Comparison, Dataset, GateResult, Pair, Report


def report(*results, **changes):
    return Report(outcome="errors", exit_code=1, results=results, started_at=BEGAN, seconds=1.0, **changes)


def red(rule, evaluation, threshold, **changes):
    fields = {"status": "failed", "is_red": True, "text": "", **changes}
    return GateResult(experiment="a", rule=rule, evaluation=evaluation, threshold=threshold, **fields)


def scored(*scores, name="s"):
    return result(
        "a", [run(n, evaluations=(evaluation(name, score),)) for n, score in enumerate(scores)], evaluators=()
    )


def test_failed_runs_and_false_scores_are_failing():
    runs = [
        run(1, failure=failure()),
        run(2, evaluations=(boolean("e", passed=False), boolean("f", passed=True))),
        run(3, evaluations=(boolean("e", passed=True),)),
        run(4, evaluations=(evaluation("e", None, failure=failure(stage="evaluator")),)),
        run(5, record_failure=failure(stage="record")),
    ]
    assert failing_examples(report(result("a", runs, evaluators=("e", "f")))) == {"a": ("q1", "q2", "q4", "q5")}


def test_a_true_score_is_failing_if_lower_is_better():
    runs = [run(n, evaluations=(boolean("toxic", passed=n > 1),)) for n in (1, 2)]
    gates = (replace(red("max_pass_rate", "toxic", 0.1), status="passed", is_red=False),)
    assert failing_examples(report(result("a", runs, evaluators=("toxic",)), gates=gates)) == {"a": ("q2",)}


def test_what_became_worse_than_in_the_baseline_is_failing():
    pairs = (Pair(example_id="q0", before=0.9, after=0.4), Pair(example_id="q1", before=0.1, after=0.2))
    for direction, ids in (("maximize", ("q0",)), ("minimize", ("q1",))):
        compared = Baseline(
            experiment="a", asked="auto", comparisons=(Comparison(name="s", direction=direction, pairs=pairs),)
        )
        assert failing_examples(report(scored(0.4, 0.2), baselines=(compared,))) == {"a": ids}


@pytest.mark.parametrize(("rule", "ids"), [("min", ("q0",)), ("max", ("q2",)), ("max_drop", None)])
def test_scores_beyond_the_limit_of_a_failed_gate_are_failing(rule, ids):
    found = failing_examples(report(scored(0.1, 0.5, 0.9), gates=(red(rule, "s", 0.5),)))
    assert found.get("a") == ids


def test_labels_beyond_the_limit_of_a_failed_gate_are_failing():
    runs = [run(n, evaluations=(evaluation("l", None, label="good" if n else "bad"),)) for n in range(3)]
    results = result("a", runs, evaluators=("l",))
    most = red("max_label_share", "l", 0.1, label="bad")
    least = red("min_label_share", "l", 0.9, label="good")
    assert failing_examples(report(results, gates=(most,))) == {"a": ("q0",)}
    assert failing_examples(report(results, gates=(least,))) == {"a": ("q0",)}
    assert failing_examples(report(results, gates=(replace(most, is_red=False),))) == {}


def test_examples_that_did_not_run_are_failing_and_experiments_that_did_not_start_are_as_a_whole():
    ran = scored(1.0)
    dataset = Dataset(id="D", name="a", version_id="V", examples=(example(0), example(7)))
    half = replace(ran, opened=replace(ran.opened, dataset=dataset), example_count=2)
    closed = replace(scored(), name="b", opened=None)
    stopped = replace(scored(), name="c", failure=failure(stage="open"))
    assert failing_examples(report(half, closed, stopped)) == {"a": ("q7",), "b": None, "c": None}


def partial(ran, *, of):
    facts = {FACTS_KEY: {"partial": {"examples": ran.example_count, "of": of}}}
    return replace(ran, opened=replace(ran.opened, metadata=facts))


@pytest.mark.parametrize(
    ("results", "earlier", "found"),
    [
        ([scored(1.0)], {"a": ("q0", "q9"), "b": ("x",)}, {"b": ("x",)}),  # all examples of `a` ran
        ([partial(scored(1.0), of=5)], {"a": ("q0", "q9")}, {"a": ("q9",)}),
        ([partial(scored(1.0), of=1)], {"a": None}, {}),
        ([partial(scored(1.0), of=5)], {"a": None}, {"a": None}),
        ([partial(result("a", [run(0, failure=failure())], evaluators=()), of=5)], {"a": ("q9",)}, {"a": ("q0", "q9")}),
        ([], {"a": ("q0",), "b": None}, {"a": ("q0",), "b": None}),
    ],
)
def test_earlier_failing_examples_stay_until_they_run(results, earlier, found):
    assert failing_examples(report(*results), earlier) == found
