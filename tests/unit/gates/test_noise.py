"""The noise of experiments of the same code, as comparisons and gates see it."""

from __future__ import annotations

import itertools
import random

import pytest
from applying import NA, gate, mixed, ran, verdict
from reporting import boolean, result, run

from evalwire.gates import DropPolicy
from evalwire.gates.noise import measure_noise, unstable_limits
from evalwire.model import mean


def measured(*results, gates=(), **fields):
    (found,) = measure_noise(results, gates, drop_gates=len(gates), prices={}, **fields)
    return found


def flaky(seed: int, n: int = 40, share: float = 0.3) -> list[bool]:
    chance = random.Random(seed)
    return [place > share * n or chance.random() < 0.5 for place in range(n)]


def test_the_flips_are_those_of_comparisons():
    """Of two experiments, they are the share of the pairs that changed."""
    first, second = flaky(1), flaky(2)
    found = measured(ran(*first), ran(*second))
    assert found.noise.change == mean([a != b for a, b in zip(first, second, strict=True)])
    assert found.noise.pairs == 40


def test_repetitions_and_experiments_count_alike():
    apart = measured(ran(True, True), ran(True, False), ran(True, False))
    together = measured(mixed(True, True, True, True, False, False, repetitions=3))
    assert apart.noise.change == together.noise.change == pytest.approx((0 + 2 / 3) / 2)
    assert together.gate.pairs == 0


def test_a_failed_run_of_bools_is_a_failure_and_one_that_does_not_apply_is_not_there():
    found = measured(ran(True, True, True), mixed(None, NA, True))
    assert [(each.example_id, each.change) for each in found.noise.examples] == [("q0", 1.0), ("q2", 0.0)]
    numbers = measured(ran(0.5, 0.5, 0.5), ran(None, 0.4, 0.5))
    assert [each.example_id for each in numbers.noise.examples] == ["q1", "q2"]


def test_a_single_run_has_no_noise():
    assert measure_noise([ran(True, False)], [], drop_gates=0, prices={}) == []


def test_the_pairs_in_which_a_gate_would_have_failed_are_those_of_a_comparison():
    results = [ran(*flaky(seed, share=0.9)) for seed in range(6)]
    asked = gate("max_drop", 0.02, drop_policy=DropPolicy(mode="strict"))
    failed = sum(verdict(after, asked, before=before).is_red for before, after in itertools.combinations(results, 2))
    found = measured(*results, gates=[asked]).gate
    assert (found.failed, found.pairs) == (failed, 15)
    assert 0 < failed < 15


def test_a_gate_that_is_blind_does_not_count_as_failed_by_chance():
    asked = gate("max_drop", 0.02, drop_policy=DropPolicy(max_minimum_detectable=0.001))
    found = measured(ran(*flaky(1)), ran(*flaky(1)), gates=[asked]).gate
    assert (found.failed, found.required) == (0, 0.001)


def test_the_test_of_the_gate_has_its_level_and_its_tolerance():
    results = [ran(*flaky(seed)) for seed in range(2)]
    gates = [gate("max_drop", 0.1, is_relative=True), gate("max_drop", 0.1, experiment="other")]
    found = measured(*results, gates=gates)
    assert found.gate.test.significance == 0.025
    assert found.gate.test.tolerance == pytest.approx(0.1 * mean([*flaky(0), *flaky(1)]))
    assert found.gate.limit == "10%"
    assert measured(*results).gate.limit == ""


def test_a_limit_that_fails_in_some_runs_is_named():
    limit = gate("min_pass_rate", 0.7)
    results = [ran(True, True, True), ran(True, True, False), ran(True, True, True)]
    (found,) = unstable_limits(results, [limit], prices={})
    assert (found.name, found.failed, found.runs) == ("s min_pass_rate", 1, 3)
    assert unstable_limits(results[:1], [limit], prices={}) == []


def test_the_part_of_the_judge_is_the_change_on_the_same_outputs():
    newest, again = ran(True, True, True, True), ran(True, True, True, False)
    older = ran(True, False, False, True)
    found = measured(older, newest, scored=[again], judges=["s"])
    assert (found.noise.change, found.judge.change, found.judges_share) == (0.5, 0.25, 0.5)


def test_a_judge_is_not_measured_by_outputs_of_failed_tasks():
    newest, again = ran(True, True, True), ran(None, True, False)
    found = measured(ran(True, False, True), newest, scored=[again], judges=["s"])
    assert [each.example_id for each in found.judge.examples] == ["q1", "q2"]


def test_an_evaluator_without_a_model_that_never_changes_is_no_judge():
    newest = ran(True, False, True)
    other = ran(False, False, True)
    assert measured(other, newest, scored=[newest]).judge is None
    assert measured(other, newest, scored=[newest], judges=["s"]).judge.change == 0
    changed = ran(True, False, False)
    assert measured(other, newest, scored=[changed]).judge.change > 0


def test_each_evaluation_has_its_own_noise():
    both = [
        result(
            "search",
            [run(n, evaluations=(boolean("a", passed=True), boolean("b", passed=n % 2 == place))) for n in range(4)],
            evaluators=("a", "b"),
        )
        for place in range(2)
    ]
    found = measure_noise(both, [], drop_gates=0, prices={})
    assert [(each.name, each.noise.change) for each in found] == [("a", 0.0), ("b", 1.0)]
