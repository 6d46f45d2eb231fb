"""Gates of an experiment whose budget ended: only what no missing run could change is decided."""

from __future__ import annotations

from typing import Any

import pytest
from applying import NA, Said, gate, mixed, verdict
from reporting import failure, result, run

from evalwire.gates import Gate
from evalwire.gates.apply import apply_gates
from evalwire.model import GateResult, ModelUsage
from evalwire.model.result import ExperimentResult
from evalwire.model.run import Evaluation

ENDED = failure(kind="budget", stage="task", type="OutOfBudget", message="the budget is used up")


def part(*scores: Evaluation | Said, of: int, **changes: Any) -> ExperimentResult:
    return mixed(*scores, example_count=of, failure=ENDED, **changes)


def applied(asked: Gate, *scores: Evaluation | Said, of: int = 10) -> GateResult:
    return verdict(part(*scores, of=of), asked)


@pytest.mark.parametrize(
    ("rule", "limit", "scores", "is_decided"),
    [
        ("min_pass_rate", 0.9, [True, True, False, False], True),  # at most 8 of 10 can pass
        ("min_pass_rate", 0.8, [True, True, False, False], False),
        ("min", 0.9, [True, True, False, False], True),
        ("min", 0.8, [True, True, False, False], False),
        ("max_pass_rate", 0.3, [True, True, True, True], True),
        ("max_pass_rate", 0.4, [True, True, True, True], False),
        ("max", 0.3, [True, True, True, True, False], True),
        ("max", 0.4, [True, True, True, True, False], False),
        ("min_pass_rate", 0.9, [True, NA, NA, False], True),  # 7 of 8
        ("min_pass_rate", 0.875, [True, NA, NA, False], False),
        ("max_pass_rate", 0.2, [True, True, NA, NA], True),  # 2 of 8
        ("max_pass_rate", 0.25, [True, True, NA, NA], False),
        ("min", 0.9, [0.1, 0.1, 0.1, 0.1], False),  # numbers have no largest score
        ("max", 0.1, [0.9, 0.9, 0.9, 0.9], False),
        ("min_label_share", 0.9, ["a", "b", "b", "b"], False),
        ("max_label_share", 0.1, ["a", "a", "a", "a"], False),
    ],
)
def test_a_limit_on_scores_fails_only_if_no_missing_run_could_pass_it(rule, limit, scores, is_decided):
    label = {"label": "a"} if "label" in rule else {}
    found = applied(gate(rule, limit, **label), *scores)
    text = "; it fails whatever the 6 remaining runs return" if len(scores) == 4 else "; it fails whatever the 5"
    if is_decided:
        assert (found.status, found.is_red) == ("failed", True)
        assert text in found.text
    else:
        assert (found.status, found.is_red, found.interval) == ("inconclusive", False, None)


def test_a_limit_that_a_part_meets_is_not_decided_either():
    """The value is that of the runs that were made, in which no missing run counts as a failure."""
    found = applied(gate("min_pass_rate", 0.1), True, True, False, True)
    assert (found.status, found.is_red, found.value, found.interval) == ("inconclusive", False, 0.75, None)
    assert found.text == (
        "s min_pass_rate is not decided, because 6 of 10 runs were not made; so far, s is 75.0% over 4 runs"
    )
    found = applied(gate("max", 0.9), 0.5, 0.7)
    assert (found.status, found.value) == ("inconclusive", 0.6)
    assert found.text.endswith("8 of 10 runs were not made; so far, s is 0.600 over 2 runs")


@pytest.mark.parametrize("rule", ["max", "min_pass_rate", "max_pass_rate", "min"])
def test_each_limit_on_a_mean_shows_the_mean_so_far(rule):
    limit = 0.0 if rule.startswith("min") else 1.0
    assert applied(gate(rule, limit), True, False, True, True).value == 0.75


def test_a_score_that_is_missing_is_not_decided_and_says_why():
    found = applied(gate("min", 0.5, evaluation="other"), True)
    assert (found.status, found.value) == ("inconclusive", None)
    assert "; so far, other has no score" in found.text
    labels = applied(gate("max_label_share", 1.0, label="a"), "a", "b")
    assert (labels.status, labels.value) == ("inconclusive", 0.9), "of all runs, as the gate counts them"
    bools = applied(gate("max_label_share", 1.0, label="True"), True, False)
    assert (bools.status, bools.value) == ("inconclusive", 0.9)


def test_a_number_that_is_reached_stays_reached():
    found = applied(gate("min_examples", 2), True, True)
    assert (found.status, found.is_red) == ("passed", False)
    assert "not decided" not in found.text
    assert applied(gate("min_examples", 3), True, True).status == "inconclusive"


def test_of_errors_only_the_runs_that_were_made_count():
    """The limit is exceeded by failed runs alone, or it is not decided. The value is their share of all runs."""
    asked = gate("max_error_rate", 0.1, evaluation=None)
    found = applied(asked, None, None, True)
    assert (found.status, found.is_red, found.value) == ("failed", True, 0.2)
    assert "whatever" not in found.text
    assert applied(asked, None, True, True).status == "inconclusive", "1 of 10 is the limit"
    assert applied(asked, True, True).status == "inconclusive"


@pytest.mark.parametrize(("rule", "limit"), [("max_total_tokens", 100), ("max_cost_usd", 0.1), ("min_llm_calls", 3)])
def test_what_was_used_stays_used(rule, limit):
    usage = (ModelUsage(model="m", calls=1, total_tokens=60, cost_usd=0.06),)
    asked = gate(rule, limit, evaluation=None)

    def of(number: int) -> GateResult:
        runs = [run(n, usage=usage, evaluations=()) for n in range(number)]
        return verdict(result("search", runs, evaluators=("s",), example_count=10, failure=ENDED), asked)

    few, many = of(1), of(3)
    decided = "passed" if rule == "min_llm_calls" else "failed"
    assert (few.status, many.status, many.is_red) == ("inconclusive", decided, decided == "failed")
    assert many.text.count("runs") == 0, "the text of the gate itself"


def test_only_a_part_whose_budget_ended_is_left_undecided():
    """Another failure, and a budget that all runs were within, leave the gates as they are."""
    asked = gate("min_pass_rate", 0.5)
    whole = part(True, True, of=2)
    crashed = mixed(True, True, example_count=10)
    for found, status in ((whole, "passed"), (crashed, "failed")):
        assert verdict(found, asked).status == status


def test_missing_runs_of_a_part_are_no_errors_of_the_built_in_limit():
    (found,) = apply_gates([part(True, None, of=10)], [], baselines={}, prices={})
    assert (found.rule, found.source, found.is_red) == ("max_error_rate", "default", True)
    assert found.value == pytest.approx(0.1)
    assert apply_gates([part(True, True, of=10)], [], baselines={}, prices={}) == ()
