"""The gates of an experiment together: when it may end, and that what is certain is what the whole experiment says."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from applying import gate
from hypothesis import given
from hypothesis import strategies as st
from reporting import boolean, evaluation, failure, run
from watching import Said, ran_one, rounds, rules, runs_of, stopping, whole

from evalwire.gates import ExperimentStopping, Gate, compare_results, with_shares
from evalwire.gates.apply import apply_gates
from evalwire.gates.resolve import ANY_ERROR
from evalwire.model import GateResult, Stopping, StoppingRules
from evalwire.model.prices import Price
from evalwire.model.result import ExperimentResult
from evalwire.model.run import TaskRun
from evalwire.model.usage import ModelUsage

FLOOR = gate("min_pass_rate", 0.9)
OTHER = gate("min_pass_rate", 0.9, evaluation="other")
ERRORS = gate("max_error_rate", 0.0, evaluation=None)
DROP = gate("max_drop", 0.0)
CERTAIN = "no further run could change this"


def ended(found: ExperimentStopping, runs: Sequence[TaskRun]) -> int | None:
    """After how many runs the experiment may end; None if it needs them all."""
    return next((number for number, one in enumerate(runs, 1) if found.add(one)), None)


def both(scores: Sequence[tuple[bool, bool]]) -> list[TaskRun]:
    return [
        ran_one(n, None, failure=None, evaluations=(boolean("s", passed=one), boolean("other", passed=two)))
        for n, (one, two) in enumerate(scores)
    ]


def statuses(found: ExperimentStopping) -> list[str | None]:
    return [decision.status for decision in found.decisions]


# --- when an experiment may end --------------------------------------------------------------------------


def test_an_experiment_may_end_when_all_of_its_gates_passed():
    runs = both([(True, n % 25 > 0) for n in range(400)])
    alone, together = stopping([FLOOR], runs), stopping([FLOOR, OTHER], runs)
    first, second = ended(alone, runs), ended(together, runs)
    assert first is not None
    assert second is not None
    assert first < second
    assert statuses(together) == ["passed", "passed"]


@pytest.mark.parametrize(("on_failed", "expected"), [("stop", ["failed", None]), ("finish", ["failed", "passed"])])
def test_a_gate_that_failed_ends_its_experiment_unless_it_should_show_all(on_failed, expected):
    runs = both([(False, True)] * 400)
    found = stopping([FLOOR, OTHER], runs, rules=rules([FLOOR, OTHER], on_failed=on_failed))
    assert ended(found, runs) is not None
    assert statuses(found) == expected


def test_no_experiment_ends_before_the_fewest_examples_and_a_smaller_one_does_at_its_end():
    runs = runs_of([False] * 100)
    assert ended(stopping([FLOOR], runs, rules=rules([FLOOR], min_examples=30)), runs) == 30
    assert ended(stopping([FLOOR], runs[:20], rules=rules([FLOOR], min_examples=30)), runs[:20]) == 20


def test_a_failed_run_ends_no_experiment_before_the_fewest_examples():
    """Its gate is decided, and the rest of the fewest examples says how many more fail."""
    runs = runs_of([None] + [True] * 99)
    assert ended(stopping([FLOOR], runs, rules=rules([FLOOR], min_examples=30)), runs) == 30


def test_drop_gates_of_an_experiment_share_the_chance_of_a_pass():
    """Other gates do not: of 100 others, the drop is decided where it is alone."""
    chance = random.Random(1)
    now, then = (runs_of([chance.random() < 0.7 for _ in range(400)]) for _ in range(2))

    def taken(others: Sequence[Gate]) -> int:
        own = gate("max_drop", 0.05)
        found = stopping([own, *others], now, rules=rules([own]), before=whole(then))
        return next(n for n, one in enumerate(now, 1) if (found.add(one), found.decisions[0].status)[1])

    alone = taken([])
    assert taken([gate("min", 0.0, evaluation=f"e{n}") for n in range(100)]) == alone
    assert taken([replace(DROP, evaluation=f"e{n}") for n in range(100)]) > alone


def test_a_gate_that_cannot_be_decided_early_needs_the_whole_run():
    runs = runs_of([True] * 100)
    assert ended(stopping([FLOOR, DROP], runs), runs) is None, "without a baseline"
    assert ended(stopping([FLOOR], runs), runs) is not None


@pytest.mark.parametrize("errors", ["seen", "all"])
def test_the_built_in_limit_on_errors_counts_for_what_ran_or_for_all(errors):
    """A failure ends an experiment without a limit on errors; a pass of all of them needs them all."""
    runs = runs_of([True] * 100)
    failing = [*runs[:40], replace(runs[40], failure=failure(), evaluations=()), *runs[41:]]
    limits = rules([gate("min_pass_rate", 0.2)], errors=errors)
    found = stopping([gate("min_pass_rate", 0.95)], failing, rules=limits)
    assert ended(found, failing) == 41
    assert [(each.gate, each.status) for each in found.decisions] == [
        ("s min_pass_rate", None),
        ("max_error_rate", "failed"),
    ]
    fine = stopping([FLOOR], runs, rules=rules([FLOOR], errors=errors))
    assert (ended(fine, runs) == 100) is (errors == "all")
    assert len(fine.decisions) == 1


@pytest.mark.parametrize("errors", ["seen", "all"])
def test_a_limit_on_calls_alone_ends_no_experiment(errors):
    calls = gate("min_llm_calls", 0.0, evaluation=None)
    scored = (boolean("s", passed=True, usage=()),)
    runs = [replace(one, usage=(), evaluations=scored) for one in runs_of([True] * 100)]
    found = stopping([calls], runs, rules=rules([calls], errors=errors))
    assert ended(found, runs) in (None, 100)
    assert statuses(found)[0] == "passed"
    both = stopping([calls, FLOOR], runs)
    assert ended(both, runs) is not None


def test_with_its_own_limit_on_errors_an_experiment_has_no_built_in_one():
    runs = runs_of([None] * 3 + [True] * 97)
    own = gate("max_error_rate", 0.05, evaluation=None)
    found = stopping([own, gate("min_pass_rate", 0.5)], runs)
    assert ended(found, runs) is not None
    assert statuses(found) == [None, "passed"]
    only = stopping([own], runs)
    assert ended(only, runs) is None, "an experiment with nothing that is needed makes all its runs"
    assert ended(stopping([own], runs, rules=rules([own], errors="all", risk=0.3)), runs) is not None


def test_a_limit_on_costs_ends_the_experiment_when_it_is_exceeded():
    usage = (ModelUsage(model="gpt-4o", calls=1, total_tokens=10, cost_usd=0.1),)
    scored = (boolean("s", passed=True, usage=()),)
    runs = [replace(one, usage=usage, evaluations=scored) for one in runs_of([True] * 100)]
    asked = [gate("max_cost_usd", 2.0, evaluation=None), gate("min_pass_rate", 0.99)]
    assert ended(stopping(asked, runs), runs) == 21
    asked = [gate("max_total_tokens", 100, evaluation=None), gate("min_llm_calls", 90, evaluation=None)]
    assert ended(stopping(asked, runs), runs) == 11


def test_a_limit_on_costs_is_by_the_prices_of_the_settings():
    usage = (ModelUsage(model="own", calls=1, unpriced=1, unpriced_prompt_tokens=100_000),)
    scored = (boolean("s", passed=True, usage=()),)
    runs = [replace(one, usage=usage, evaluations=scored) for one in runs_of([True] * 100)]
    asked = [gate("max_cost_usd", 2.0, evaluation=None), gate("min_pass_rate", 0.99)]
    prices = {"own": Price(input=1.0, output=1.0)}
    assert ended(stopping(asked, runs, prices=prices), runs) == 21


def test_a_limit_is_decided_sooner_with_a_baseline_as_good_as_the_run():
    runs = runs_of([True] * 200)
    weak = whole(runs_of([True] * 130 + [False] * 70))
    asked = [gate("min_pass_rate", 0.6)]
    taken = [ended(stopping(asked, runs, before=before), runs) for before in (whole(runs), None, weak)]
    assert taken[0] < taken[1] < taken[2]


# --- the shares of the job -------------------------------------------------------------------------------


def test_the_limits_of_the_job_share_the_risk_and_its_drops_the_significance():
    gates = [FLOOR, OTHER, ERRORS, gate("max_p95_seconds", 1, evaluation=None), gate("min", 0.1), gate("max", 0.9)]
    gates += [gate("min_label_share", 0.1, label="a"), gate("max_label_share", 0.9, label="a")]
    gates += [gate("max_pass_rate", 0.9), DROP, replace(DROP, evaluation="other")]
    gates += [gate("min_examples", 3), gate("max_cost_usd", 1, evaluation=None), gate("min_llm_calls", 1)]
    found = with_shares(StoppingRules(), gates)
    assert (found.limits, found.drops) == (9, 2)
    assert with_shares(StoppingRules(limits=7, drops=7), [ERRORS]) == replace(StoppingRules(), limits=1, drops=0)


def test_a_smaller_share_of_the_risk_needs_more_examples():
    runs = runs_of([True] * 400)
    taken = [ended(stopping([FLOOR], runs, rules=replace(rules([FLOOR]), limits=limits)), runs) for limits in (1, 20)]
    assert taken[0] < taken[1]
    text = stopping([FLOOR], runs, rules=replace(rules([FLOOR]), limits=4))
    ended(text, runs)
    assert "with a probability of at most 0.25%" in text.decisions[0].text


# --- rounds ----------------------------------------------------------------------------------------------


def test_repeated_experiments_look_only_after_rounds():
    runs = [ran_one(n, True, repetition=repetition) for repetition in (1, 2, 3) for n in range(50)]
    found = stopping([gate("min_pass_rate", 0.4)], runs, repetitions=3)
    assert ended(found, runs[:50]) is None
    assert found.end_round(rounds([[True] * 50]))
    assert statuses(found) == ["passed"]
    assert "at most 0.5%" in found.decisions[0].text, "two looks share the risk"


def test_after_a_round_a_failed_gate_ends_the_experiment():
    runs = [ran_one(n, False, repetition=repetition) for repetition in (1, 2, 3) for n in range(50)]
    found = stopping([FLOOR, DROP], runs, repetitions=3, before=rounds([[True] * 50] * 3))
    ended(found, runs[:50])
    assert found.end_round(rounds([[False] * 50]))
    assert statuses(found) == ["failed", "failed"]
    found.end(rounds([[False] * 50] * 3))
    assert statuses(found) == ["failed", "failed"]


def test_a_round_that_decides_nothing_goes_on():
    runs = [ran_one(n, True, repetition=repetition) for repetition in (1, 2) for n in range(20)]
    found = stopping([FLOOR], runs, repetitions=2)
    ended(found, runs[:20])
    assert not found.end_round(rounds([[n % 8 > 0 for n in range(20)]]))


# --- what is certain is what the whole experiment says ----------------------------------------------------------


def applied(
    result: ExperimentResult, gates: Sequence[Gate], before: ExperimentResult | None
) -> dict[tuple[str | None, str], GateResult]:
    baselines = {"search": compare_results(result, before, asked="auto")} if before else {}
    found = apply_gates([result], gates, baselines=baselines, prices={})
    return {(each.evaluation, each.rule): each for each in found}


MANY = (
    gate("min_pass_rate", 0.6),
    gate("max_pass_rate", 0.9),
    gate("min_examples", 5),
    gate("min", 0.4, evaluation="graded"),
    gate("max", 0.8, evaluation="graded"),
    gate("max_p95_seconds", 0.5, evaluation=None),
    gate("max_total_tokens", 2_000, evaluation=None),
    gate("max_drop", 0.05),
    gate("max_drop", 0.05, evaluation="graded"),
)


def drawn(data: Any, n: int) -> list[TaskRun]:
    scores = data.draw(st.lists(st.sampled_from([True, True, False, None]), min_size=n, max_size=n))
    graded = data.draw(st.lists(st.sampled_from([0.2, 0.7, 1.0]), min_size=n, max_size=n))
    made = []
    for k, (score, number) in enumerate(zip(scores, graded, strict=True)):
        both = () if score is None else (boolean("s", passed=score, usage=()), evaluation("graded", number, usage=()))
        broken = failure() if score is None else None
        made.append(run(k, seconds=0.1 + (k % 7) / 10, evaluations=both, failure=broken))
    return made


@given(st.data())
def test_a_part_that_ended_early_has_the_certain_results_of_the_whole_run(data):
    """Of many gates together, with and without a baseline; the report applies them to the part alone."""
    n = data.draw(st.integers(5, 40))
    runs = drawn(data, n)
    before = whole(drawn(data, n)) if data.draw(st.booleans()) else None
    gates = data.draw(st.lists(st.sampled_from(MANY), min_size=1, unique_by=lambda each: each.name))
    gates = [*gates, replace(ERRORS, threshold=data.draw(st.sampled_from([0.0, 0.2, 1.0])))]
    own = rules(gates, risk=1e-9, on_failed=data.draw(st.sampled_from(["stop", "finish"])), errors="all")
    order = data.draw(st.permutations(runs))
    found = stopping(gates, order, rules=own, before=before)
    seen = ended(found, order) or n
    if seen == n:
        found.end(whole(runs))
    extent = Stopping(seen=seen, of=n, risk=own.risk, decisions=found.decisions)
    part = applied(whole(order[:seen], stopping=extent), gates, before)
    all_of_it = applied(whole(runs), gates, before)
    for each, decision in zip(gates, found.decisions, strict=False):
        one, other = part[each.evaluation, each.rule], all_of_it[each.evaluation, each.rule]
        if decision.status is not None and not decision.text.startswith(("look", "all")):
            assert (one.status, one.is_red) == (other.status, other.is_red)
        if seen == n and each.rule != "max_drop":
            assert one == other
    if any(each.is_red for each in all_of_it.values()) and seen == n:
        assert any(each.is_red for each in part.values())


def test_without_decisions_a_whole_run_has_the_results_that_it_has_without_looks():
    """Looks that decide nothing change no result, and the p-value of a drop by what they spent."""
    chance = random.Random(8)
    scores: list[Said] = [chance.random() < 0.62 for _ in range(60)]
    before = whole(runs_of([chance.random() < 0.7 for _ in range(60)]))
    gates = [DROP, gate("min_pass_rate", 0.6)]
    runs = runs_of(scores)
    found = stopping(gates, runs, before=before)
    for one in runs:
        found.add(one)
    result = whole(runs)
    found.end(result)
    stopped = replace(result, stopping=Stopping(seen=60, of=60, decisions=found.decisions))
    with_looks, without = applied(stopped, gates, before), applied(result, gates, before)
    assert with_looks["s", "min_pass_rate"] == without["s", "min_pass_rate"]
    drops = with_looks["s", "max_drop"], without["s", "max_drop"]
    assert drops[0].status == drops[1].status
    assert drops[1].p_value <= drops[0].p_value <= drops[1].p_value + 0.005


def test_the_built_in_limit_is_that_of_a_job_without_one():
    assert (ANY_ERROR.rule, ANY_ERROR.threshold, ANY_ERROR.source) == ("max_error_rate", 0.0, "default")
