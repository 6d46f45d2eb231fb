"""Limits that are decided while their experiment runs, held to what the gate makes of the whole experiment."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from applying import gate, ran, verdict
from hypothesis import given
from hypothesis import strategies as st
from reporting import boolean, evaluation, run
from watching import EVALUATOR_FAILED, LABEL_ONLY, NOT_APPLICABLE, Said, look, ran_one, rounds, rules, runs_of, whole

from evalwire.gates import Gate
from evalwire.gates.early_limits import EarlyCount, EarlyRate, EarlyTotal
from evalwire.model.audit import Audit, Expected
from evalwire.model.prices import Price
from evalwire.model.result import ExperimentResult
from evalwire.model.run import TaskRun
from evalwire.model.usage import ModelUsage

CERTAIN = "no further run could change this"
CERTAIN_SCORES = "no further score between 0 and 1 could change this"
SURE = 1e-9  # a risk at which nothing is decided that is not certain, of up to some dozens of runs


def rate(
    asked: Gate,
    n: int,
    *,
    risk: float = 0.01,
    before: ExperimentResult | None = None,
    repetitions: int = 1,
    **changes: Any,
) -> EarlyRate:
    return EarlyRate(asked, n, rules=rules(**changes), risk=risk, before=before, repetitions=repetitions)


def looked(asked: Gate, scores: Sequence[Said], **changes: Any) -> tuple[int, str | None, str]:
    taken, decision = look(rate(asked, len(scores), **changes), runs_of(scores))
    return taken, decision.status, decision.text


def of_all(rule: str, threshold: float) -> Gate:
    return gate(rule, threshold, evaluation=None)


def share(rule: str, threshold: float) -> Gate:
    return gate(rule, threshold, label="refund")


# --- each rule -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "good", "bad"),
    [
        (gate("min", 0.9), True, False),
        (gate("max", 0.1), False, True),
        (gate("min_pass_rate", 0.9), True, False),
        (gate("max_pass_rate", 0.1), False, True),
        (share("min_label_share", 0.9), "refund", "other"),
        (share("max_label_share", 0.1), "other", "refund"),
    ],
)
def test_a_rate_is_certain_when_no_rest_could_change_it_and_sooner_at_a_risk(asked, good, bad):
    """Of 20 runs 18 have to be good, so the third that is not decides."""
    assert looked(asked, [good] * 20, risk=SURE) == (18, "passed", CERTAIN)
    assert looked(asked, [bad] * 20, risk=SURE) == (3, "failed", CERTAIN)
    assert looked(asked, [bad, bad] + [good] * 18, risk=SURE) == (20, "passed", CERTAIN)
    assert looked(asked, [good] * 17 + [bad] * 3, risk=SURE) == (20, "failed", CERTAIN)
    taken, status, text = looked(asked, [good] * 200)
    assert (status, text) == ("passed", "the whole experiment would fail with a probability of at most 1%")
    assert taken < 100
    taken, status, text = looked(asked, [good, bad] * 500)
    assert (status, text) == ("failed", "the whole experiment would pass with a probability of at most 1%")
    assert taken < 100


@pytest.mark.parametrize(("asked", "good", "bad"), [(gate("min", 0.75), 1.0, 0.5), (gate("max", 0.25), 0.0, 0.5)])
def test_a_mean_is_certain_when_no_scores_that_are_left_could_change_it(asked, good, bad):
    """Of 8 scores with a mean of at least 0.75, four may be half as good."""
    text = CERTAIN_SCORES
    assert looked(asked, [bad] * 4 + [good] * 4, risk=SURE) == (8, "passed", text)
    assert looked(asked, [bad] * 8, risk=SURE) == (5, "failed", text)
    assert looked(asked, [good] * 8, risk=SURE) == (6, "passed", text), "six are the limit"
    worst = 0.0 if asked.rule == "min" else 1.0
    assert looked(asked, [worst] * 8, risk=SURE) == (3, "failed", text)
    assert looked(asked, [good] * 300)[:2] == (looked(asked, [good] * 300)[0], "passed")
    assert looked(asked, [good] * 300)[0] < 100


def test_a_limit_on_errors_fails_when_it_is_exceeded_and_passes_only_if_it_is_for_all():
    one, many = of_all("max_error_rate", 0.0), of_all("max_error_rate", 0.1)
    fine = [True] * 20
    assert looked(one, [*fine[:5], None, *fine[:14]]) == (6, "failed", CERTAIN)
    assert looked(one, [*fine[:5], EVALUATOR_FAILED, *fine[:14]]) == (6, "failed", CERTAIN)
    assert looked(one, fine) == (20, None, "")
    assert looked(one, fine, errors="all") == (20, "passed", CERTAIN)
    assert looked(many, [None] * 20, risk=SURE) == (3, "failed", CERTAIN)
    assert looked(many, fine, risk=SURE, errors="all") == (18, "passed", CERTAIN)
    assert looked(many, fine * 10)[1] is None
    assert looked(many, fine * 10, errors="all")[0] < 100
    assert [rate(one, 5, errors=errors).is_needed for errors in ("seen", "all")] == [False, True]


def test_a_limit_on_durations_counts_the_slow_runs():
    """The 95th percentile of 40 durations is the 38th, so two may be slower."""
    asked = of_all("max_p95_seconds", 0.5)

    def timed(seconds: Sequence[float]) -> list[TaskRun]:
        return [run(n, seconds=each) for n, each in enumerate(seconds)]

    for seconds, expected in (
        ([0.5] * 40, (38, "passed", CERTAIN)),
        ([0.6] * 40, (3, "failed", CERTAIN)),
        ([0.6, 0.6] + [0.5] * 38, (40, "passed", CERTAIN)),
    ):
        taken, decision = look(rate(asked, 40, risk=SURE), timed(seconds))
        assert (taken, decision.status, decision.text) == expected
        assert verdict(ran(*[True] * 40), asked).status  # the gate exists
        whole_run = whole(timed(seconds))
        assert verdict(whole_run, asked).status == decision.status


def test_no_rate_is_decided_before_the_fewest_examples():
    asked = gate("min_pass_rate", 0.5)
    assert looked(asked, [True] * 100, min_examples=60)[0] == 60
    assert looked(asked, [True] * 20, min_examples=60, risk=SURE) == (20, "passed", CERTAIN), "or all there are"
    assert looked(of_all("max_error_rate", 0.0), [None] * 100, min_examples=60)[0] == 1, "the experiment waits for them"


# --- runs without a score --------------------------------------------------------------------------------


@pytest.mark.parametrize("odd", [None, EVALUATOR_FAILED, LABEL_ONLY])
def test_a_run_without_a_score_counts_against_a_rate(odd):
    floor, ceiling = gate("min_pass_rate", 0.9), gate("max_pass_rate", 0.1)
    assert looked(floor, [True, odd, odd, odd] + [True] * 16, risk=SURE) == (4, "failed", CERTAIN)
    assert looked(ceiling, [False, odd, odd, odd] + [False] * 16, risk=SURE) == (4, "failed", CERTAIN)


@pytest.mark.parametrize("odd", [None, EVALUATOR_FAILED])
def test_a_run_that_failed_is_left_out_of_a_mean(odd):
    """The gate on errors is about it."""
    assert looked(gate("min", 0.75), [0.5, odd, odd, odd] + [1.0] * 4, risk=SURE) == (8, "passed", CERTAIN_SCORES)


def test_a_missing_score_fails_a_mean_unless_it_is_ignored():
    scores = [0.9, LABEL_ONLY, 0.9, 0.9]
    assert looked(gate("min", 0.5), scores) == (2, "failed", "a score is missing")
    assert looked(gate("min", 0.5), [LABEL_ONLY, *scores[2:]]) == (2, "failed", "a score is missing"), (
        "when it is a mean"
    )
    assert looked(gate("min", 0.5, missing="ignore"), scores, risk=SURE)[1] == "passed"
    passes = [True, LABEL_ONLY, True, True]
    assert looked(gate("min_pass_rate", 0.8), passes, risk=SURE) == (2, "failed", CERTAIN)
    assert looked(gate("min_pass_rate", 0.8, missing="ignore"), passes, risk=SURE) == (4, None, "")
    assert looked(gate("min_pass_rate", 0.5, missing="ignore"), passes, risk=SURE) == (3, "passed", CERTAIN)


def test_runs_to_which_the_evaluation_does_not_apply_are_left_out():
    """If the baseline has them, they count for neither side; otherwise against both, so that totals are whole."""
    scores = [NOT_APPLICABLE, True] * 10
    before = ran(*[True] * 20)
    before_with = whole(runs_of(scores))
    asked = gate("min_pass_rate", 0.9)
    assert looked(asked, scores, risk=SURE, before=before_with) == (19, "passed", CERTAIN)
    assert looked(asked, scores, risk=SURE, before=before) == (20, None, "")
    assert looked(asked, [NOT_APPLICABLE, False] * 10, risk=SURE, before=before_with)[1] == "failed"
    assert looked(gate("min", 0.7), [NOT_APPLICABLE, 0.8] * 10, risk=SURE)[1] == "passed"


def test_without_any_score_nothing_is_decided():
    for rule in ("min", "min_pass_rate"):
        assert looked(gate(rule, 0.0), [NOT_APPLICABLE] * 20) == (20, None, "")
        assert looked(gate(rule, 0.0), [None] * 20) == (20, None, "")
    assert looked(share("max_label_share", 0.5), [True] * 3 + [1.0] * 17)[1] == "passed", "a bool has the label True"
    assert looked(share("max_label_share", 0.5), [1.0] * 20) == (20, None, ""), "the gate fails without a label"


def test_scores_of_another_kind_are_left_to_the_whole_run():
    """A pass rate of numbers fails at the end, with advice. Runs that failed count only in a rate."""
    assert looked(gate("min_pass_rate", 0.5), [0.9] * 100) == (100, None, "")
    assert looked(gate("min", 0.5), [True] * 10 + [1.0] * 90, risk=SURE) == (100, None, "")
    assert looked(gate("min", 0.5), [True] * 100, before=ran(*[0.9] * 100)) == (100, None, "")
    assert looked(gate("min", 0.5), [0.9] * 100, before=ran(*[True] * 100)) == (100, None, "")
    mixed, numbers = [True] * 5 + [0.9] * 95, ran(*[0.9] * 100)
    assert looked(gate("min", 0.5), mixed, before=numbers, min_examples=5) == (100, None, ""), "also if others follow"


@pytest.mark.parametrize("score", [-0.001, 1.001, 50.0])
def test_a_score_that_is_not_between_0_and_1_ends_the_looks(score):
    assert looked(gate("min", 0.5), [0.9, score] + [0.9] * 200) == (202, None, "")
    assert looked(gate("max", 0.5), [0.1, score] + [0.1] * 200) == (202, None, "")


# --- the baseline ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("score", [1.5, -0.1])
def test_a_baseline_with_a_score_that_is_not_between_0_and_1_leaves_its_limit_to_the_whole_run(score):
    """For example, a number of mistakes: nearly always 0, and seldom 20."""
    limit = gate("max", 0.5)
    before = whole(runs_of([0.0] * 99 + [score]))
    assert looked(limit, [0.0] * 200, before=whole(runs_of([0.0] * 100)))[1] == "passed"
    assert looked(limit, [0.0] * 200, before=before)[1] is None
    assert after_rounds(limit, [[0.0] * 50], 5, before=whole(runs_of([0.0] * 100)))[0] == "passed"
    assert after_rounds(limit, [[0.0] * 50], 5, before=before)[0] is None


def test_a_decision_on_numbers_names_its_assumption():
    text = looked(gate("max", 0.5), [0.1] * 200)[2]
    assert text == "the whole experiment would fail with a probability of at most 1%, if all scores are between 0 and 1"
    assert looked(gate("max", 0.5), [False] * 200)[2].endswith("at most 1%")


def test_the_baseline_says_what_to_expect():
    """Its scores decide the savings; too few of them do not count."""
    asked, scores = gate("min_pass_rate", 0.6), [True] * 200
    taken = {
        passes: looked(asked, scores, before=ran(*[True] * passes, *[False] * (100 - passes)), min_examples=5)[0]
        for passes in (100, 80, 65)
    }
    assert taken[100] < taken[80] < taken[65]
    alone = looked(asked, scores, min_examples=5)[0]
    assert looked(asked, scores, before=ran(True, False, False, False), min_examples=5)[0] == alone
    assert looked(asked, scores, before=ran(True, False, False, False, False), min_examples=5)[0] > alone
    other = [
        replace(one, evaluations=(*one.evaluations, boolean("other", passed=False))) for one in runs_of([True] * 100)
    ]
    assert looked(asked, scores, before=whole(other), min_examples=5)[0] == taken[100]
    graded = gate("min", 0.6)
    values = [0.8, 0.9] * 100
    quiet, noisy = ran(*[0.85] * 50), ran(*[0.2, 1.0, 1.0, 1.0] * 20)
    assert looked(graded, values, before=quiet)[0] < looked(graded, values, before=noisy)[0]


def test_the_risk_is_that_of_the_worst_whole_run():
    """One pass too few, or just enough, in any order: neither is decided wrongly more often than the risk."""
    chance, risk, wrong, times = random.Random(3), 0.1, {}, 600
    for passes, wrongly in ((35, "passed"), (36, "failed")):
        scores = [True] * passes + [False] * (40 - passes)
        for _ in range(times):
            chance.shuffle(scores)
            status = looked(gate("min_pass_rate", 0.9), scores, risk=risk, min_examples=5)[1]
            wrong[wrongly] = wrong.get(wrongly, 0) + (status == wrongly)
    assert max(wrong.values()) / times <= risk + 3 * (risk * (1 - risk) / times) ** 0.5
    assert wrong["passed"] > 0


def first(audit: Audit, values: Sequence[float]) -> int:
    """The number of values after which an audit is decided."""
    return next(n for n, value in enumerate(values, 1) if (audit.add(value), audit.is_decided)[1])


@pytest.mark.parametrize(("good", "bad", "is_bool"), [(True, False, True), (0.97, 0.4, False)])
def test_limits_are_decided_by_the_audits_of_their_kind(good, bad, is_bool):
    """Of both sides; without a baseline, 95% are expected to be good."""
    asked, slack = gate("min", 0.9), 0.0 if is_bool else 200e-9
    passing = Audit(
        200, 179.0 if is_bool else 180 - slack, risk=0.01, expected=Expected(mean=0.95, variance=0.05), is_bool=is_bool
    )
    assert looked(asked, [good] * 200)[0] == first(passing, [float(good)] * 200)
    failing = Audit(200, 20 + slack, risk=0.01, expected=Expected(mean=1 - 0.95, variance=0.05), is_bool=is_bool)
    mixed = [good, bad] * 100
    assert looked(asked, mixed)[0] == first(failing, [1 - float(each) for each in mixed])


def test_a_decision_in_the_first_examples_keeps_its_reason():
    taken, status, text = looked(gate("min", 0.5), [0.9] * 200, min_examples=200)
    assert (taken, status) == (200, "passed")
    assert text.startswith("the whole experiment would fail with a probability of at most 1%")


# --- counts and totals -----------------------------------------------------------------------------------


def test_a_number_of_examples_passes_when_it_is_reached():
    scores: list[Said] = [True, None, NOT_APPLICABLE, LABEL_ONLY, EVALUATOR_FAILED, 0.5, False, True]
    assert look(EarlyCount(gate("min_examples", 3)), runs_of(scores))[0] == 7
    taken, decision = look(EarlyCount(gate("min_examples", 5)), runs_of(scores))
    assert (taken, decision.status) == (8, None), "it never fails early"
    assert look(EarlyCount(gate("min_examples", 3)), runs_of(scores))[1].text == CERTAIN
    others = runs_of([True] * 9, name="other")
    assert look(EarlyCount(gate("min_examples", 3)), others)[1].status is None, "of the evaluation itself"


def used(calls: int = 1, tokens: int = 100, usd: float = 0.001, **changes: Any) -> ModelUsage:
    return ModelUsage(model="gpt-4o", calls=calls, total_tokens=tokens, cost_usd=usd, **changes)


def test_a_number_of_model_calls_passes_when_it_is_reached():
    """Of the task and of its evaluators."""
    judge = evaluation("s", 1.0, usage=(used(calls=5),))
    runs = [run(n, usage=(used(calls=n),) if n else (), evaluations=(judge,) * (n == 3)) for n in range(5)]
    for number, taken in ((3, 3), (4, 4), (11, 4), (12, 5)):
        assert look(EarlyCount(of_all("min_llm_calls", number)), runs)[0] == taken
    taken, decision = look(EarlyCount(of_all("min_llm_calls", 3)), runs)
    assert (decision.status, decision.text) == ("passed", CERTAIN)
    assert look(EarlyCount(of_all("min_llm_calls", 16)), runs)[1].status is None
    unknown = [run(9, usage=None), *runs]
    assert look(EarlyCount(of_all("min_llm_calls", 1)), unknown)[1].status is None, "the gate fails"


@pytest.mark.parametrize(("rule", "limit"), [("max_total_tokens", 300), ("max_cost_usd", 0.003)])
def test_a_total_fails_when_it_is_exceeded_and_is_never_needed(rule, limit):
    asked = of_all(rule, limit)
    runs = [run(n, usage=(used(),) if n != 1 else None) for n in range(6)]
    found = EarlyTotal(asked, {})
    taken, decision = look(found, runs)
    assert (taken, decision.status, decision.text) == (5, "failed", CERTAIN), "three are just the limit"
    assert not found.is_needed
    assert look(EarlyTotal(asked, {}), runs[:4])[1].status is None


def test_a_cost_is_that_of_the_prices():
    price = {"gpt-4o": Price(input=10.0, output=0.0)}
    runs = [run(n, usage=(used(usd=0.0, unpriced=1, unpriced_prompt_tokens=100_000),)) for n in range(4)]
    assert look(EarlyTotal(of_all("max_cost_usd", 2.5), price), runs)[0] == 3


# --- rounds ----------------------------------------------------------------------------------------------


def after_rounds(asked: Gate, made: Sequence[Sequence[Said]], of: int, **changes: Any) -> tuple[str | None, str]:
    found = rate(asked, len(made[0]), repetitions=of, **changes)
    found.end_round(rounds(made))
    return found.decision.status, found.decision.text


def test_a_round_decides_what_is_far_from_the_limit():
    passing = "the whole experiment would fail with a probability of at most 1%"
    failing = "the whole experiment would pass with a probability of at most 1%"
    for score, condition in ((True, ""), (0.95, ", if all scores are between 0 and 1")):
        made = [[score] * 50]
        assert after_rounds(gate("min", 0.5), made, 5) == ("passed", passing + condition)
        assert after_rounds(gate("max", 0.5), made, 5) == ("failed", failing + condition)
        assert after_rounds(gate("min", 0.9), made, 5) == (None, "")
    assert after_rounds(share("min_label_share", 0.5), [["refund"] * 50], 5)[0] == "passed"
    assert after_rounds(share("max_label_share", 0.5), [["refund"] * 50], 5)[0] == "failed"
    assert after_rounds(of_all("max_error_rate", 0.4), [[None] * 50], 5) == ("failed", failing)
    assert after_rounds(of_all("max_error_rate", 0.6), [[True] * 50], 5) == (None, "")
    assert after_rounds(of_all("max_error_rate", 0.6), [[True] * 50], 5, errors="all") == ("passed", passing)
    assert after_rounds(of_all("max_p95_seconds", 60), [[True] * 50], 5) == (None, "")


def test_after_a_round_missing_scores_and_other_scores_decide_nothing():
    assert after_rounds(gate("min", 0.1), [[0.9] * 49 + [LABEL_ONLY]], 5) == (None, "")
    for score in (7.0, 1.5, -0.5):
        assert after_rounds(gate("min", 0.1), [[0.9] * 49 + [score]], 5) == (None, "")
    assert after_rounds(gate("min", 0.1), [[None] * 50], 5) == (None, "")
    assert after_rounds(gate("min_pass_rate", 0.1), [[0.9] * 50], 5) == (None, "")
    assert after_rounds(gate("min", 0.1, missing="ignore"), [[0.9] * 49 + [LABEL_ONLY]], 5)[0] == "passed"


@pytest.mark.parametrize(("good", "rule"), [(True, "min_pass_rate"), (0.99, "min")])
def test_runs_that_are_left_out_of_a_round_make_it_less_certain(good, rule):
    """Ten scores say as much as ten scores, however many examples the dataset has."""
    for limit, status in ((0.6, None), (0.5, "passed")):
        asked = gate(rule, limit)
        assert after_rounds(asked, [[good] * 10], 5)[0] == status
        assert after_rounds(asked, [[good] * 10 + [NOT_APPLICABLE] * 90], 5)[0] == status
        assert after_rounds(asked, [[good] * 100], 5)[0] == "passed"


@pytest.mark.parametrize(
    ("asked", "scores", "mean", "count"),
    [
        (gate("min_pass_rate", 0.0), [True] * 20 + [None] * 4, 20 / 24, 24),
        (gate("min_pass_rate", 0.0), [True] * 20 + [LABEL_ONLY] * 4, 20 / 24, 24),
        (gate("min_pass_rate", 0.0, missing="ignore"), [True] * 20 + [LABEL_ONLY] * 4, 1.0, 20),
        (gate("min_pass_rate", 0.0), [True] * 20 + [NOT_APPLICABLE] * 4, 1.0, 20),
        (gate("min", 0.0), [0.9] * 20 + [None] * 4, 0.9, 20),
        (gate("min", 0.0, missing="ignore"), [0.9] * 20 + [LABEL_ONLY] * 4, 0.9, 20),
        (share("min_label_share", 0.0), ["refund"] * 20 + [None] * 4, 20 / 24, 24),
        (replace(share("min_label_share", 0.0), missing="ignore"), ["refund"] * 20 + [None] * 4, 20 / 24, 24),
        (of_all("max_error_rate", 0.0), [True] * 20 + [None] * 4, 20 / 24, 24),
    ],
)
def test_a_round_decides_at_hoeffdings_bound_for_the_number_of_its_values(asked, scores, mean, count):
    """Of five rounds, and a risk of 1%: just below the bound it passes, and just above it is open."""
    most = 0.8 * math.sqrt((1 + 1 / 4) / count * math.log(1 / 0.01) / 2)
    for limit, status in ((mean - most - 0.001, "passed"), (mean - most + 0.001, None)):
        own = replace(asked, threshold=1 - limit if asked.rule == "max_error_rate" else limit)
        assert after_rounds(own, [scores], 5, errors="all")[0] == status


def test_the_last_round_is_the_whole_run():
    found = rate(gate("min", 0.5), 50, repetitions=2)
    found.end_round(rounds([[True] * 50] * 2))
    assert found.decision.status is None


@pytest.mark.parametrize("done", [1, 2])
def test_hoeffdings_bound_holds_at_its_worst_case(done):
    """Every run passes like a coin, and the limit is just missed by the whole experiment, wherever that ends.

    This is what the bound is about: the mean of the first repetitions, and of all.
    """
    chance, n, of, times, risk, wrong = random.Random(done), 8, 3, 1_500, 0.2, 0
    for _ in range(times):
        made = [[chance.random() < 0.5 for _ in range(n)] for _ in range(of)]
        missed = gate("min_pass_rate", sum(map(sum, made)) / (n * of) + 1e-6)
        wrong += after_rounds(missed, made[:done], of, risk=risk)[0] == "passed"
    assert 0 < wrong / times <= risk


def test_counts_and_totals_are_looked_at_after_each_round():
    """All runs again, so that none counts twice. An example counts by its last run, which is never too often."""
    made = rounds([[True, None, NOT_APPLICABLE], [None, True, True]])
    statuses = []
    for number in (1, 2, 3):
        found = EarlyCount(gate("min_examples", number))
        for _ in range(3):
            found.end_round(made)
        statuses.append(found.decision.status)
    assert statuses == ["passed", "passed", None]
    used_once = whole([run(n, usage=(used(),)) for n in range(4)])
    for asked, kind, status in (
        (of_all("min_llm_calls", 4), EarlyCount, "passed"),
        (of_all("min_llm_calls", 5), EarlyCount, None),
    ):
        calls = kind(asked)
        for _ in range(3):
            calls.end_round(used_once)
        assert calls.decision.status == status
    twice = whole(
        [run(n, usage=(used(),), repetition=repetition) for n in range(4) for repetition in (1, 2)], repetitions=2
    )
    for number, status in ((8, "passed"), (9, None)):
        calls = EarlyCount(of_all("min_llm_calls", number))
        calls.end_round(twice)
        assert calls.decision.status == status, "of all repetitions"
    for limit, status in ((399, "failed"), (400, None)):
        total = EarlyTotal(of_all("max_total_tokens", limit), {})
        for _ in range(3):
            total.end_round(used_once)
        assert total.decision.status == status


# --- what is certain is what the whole experiment says ----------------------------------------------------------

BOOLS = st.sampled_from([True, True, True, False, None, EVALUATOR_FAILED, NOT_APPLICABLE, LABEL_ONLY])
NUMBERS = st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0, None, EVALUATOR_FAILED, NOT_APPLICABLE])
LABELS = st.sampled_from(["refund", "refund", "other", None, EVALUATOR_FAILED, NOT_APPLICABLE])
KINDS = {
    "min": (BOOLS, NUMBERS),
    "max": (BOOLS, NUMBERS),
    "min_pass_rate": (BOOLS,),
    "max_pass_rate": (BOOLS,),
    "min_label_share": (LABELS, BOOLS, NUMBERS),
    "max_label_share": (LABELS, BOOLS, NUMBERS),
    "max_error_rate": (BOOLS,),
    "max_p95_seconds": (BOOLS,),
    "min_examples": (BOOLS, NUMBERS, LABELS),
    "min_llm_calls": (BOOLS,),
    "max_total_tokens": (BOOLS,),
    "max_cost_usd": (BOOLS,),
}


@pytest.mark.parametrize("rule", KINDS)
@given(st.data())
def test_whenever_no_further_run_could_change_it_the_whole_run_has_the_same_status(rule, data):
    """Of each rule, and any mixture of runs that failed, have no score, or do not count."""
    values = data.draw(st.sampled_from(KINDS[rule]))
    scores = data.draw(st.lists(values, min_size=1, max_size=30))
    before = data.draw(st.none() | st.lists(values, min_size=1, max_size=10))
    seconds = st.sampled_from([0.1, 0.3])
    runs = [ran_one(n, score, seconds=data.draw(seconds), usage=(used(calls=n % 3),)) for n, score in enumerate(scores)]
    if data.draw(st.integers(0, 4)):  # usually, the usage of all runs is known, else of none
        runs = [replace(one, evaluations=tuple(replace(each, usage=()) for each in one.evaluations)) for one in runs]
    else:
        runs = [replace(one, usage=None) for one in runs]
    fields = {"label": "refund"} if "label" in rule else {}
    if rule in ("max_error_rate", "max_p95_seconds", "min_llm_calls", "max_total_tokens", "max_cost_usd"):
        fields["evaluation"] = None
    limits = {
        "max_p95_seconds": st.just(0.2),
        "min_examples": st.integers(1, 12),
        "min_llm_calls": st.integers(1, 20),
        "max_total_tokens": st.integers(1, 20).map(lambda calls: 100 * calls),
        "max_cost_usd": st.integers(1, 20).map(lambda calls: 0.001 * calls),
    }
    limit = data.draw(limits.get(rule, st.integers(0, 10).map(lambda tenths: tenths / 10)))
    asked = gate(rule, limit, missing=data.draw(st.sampled_from(["fail", "ignore"])), **fields)
    if rule in ("min_examples", "min_llm_calls"):
        found: Any = EarlyCount(asked)
    elif rule in ("max_total_tokens", "max_cost_usd"):
        found = EarlyTotal(asked, {})
    else:
        earlier = whole(runs_of(before)) if before else None
        least = data.draw(st.integers(1, 10))
        found = rate(asked, len(runs), before=earlier, errors="all", min_examples=least, risk=SURE)
    _, decision = look(found, data.draw(st.permutations(runs)))
    if decision.status is not None:
        assert decision.text in {CERTAIN, CERTAIN_SCORES, "a score is missing"} or "all" in decision.text
        if not decision.text.startswith("all"):
            assert verdict(whole(runs), asked).status == decision.status
    elif rule in ("max_error_rate", "max_p95_seconds"):
        pytest.fail("all runs decide these")
