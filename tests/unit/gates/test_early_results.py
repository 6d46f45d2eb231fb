"""What a report says of a gate whose experiment ended early."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from applying import gate
from watching import LABEL_ONLY, NOT_APPLICABLE, Said, runs_of, whole

from evalwire.gates import DropPolicy, Gate, compare_results, undecided_gates
from evalwire.gates.apply import apply_gates
from evalwire.gates.early_results import identity_of, undecided
from evalwire.gates.resolve import ANY_ERROR
from evalwire.model import GateDecision, GateResult, Stopping, holm
from evalwire.model.result import ExperimentResult

FLOOR = gate("min_pass_rate", 0.9)
DROP = gate("max_drop", 0.0)


def decision(
    asked: Gate, status: str | None, *, before: ExperimentResult | None = None, **changes: float | str
) -> GateDecision:
    return replace(undecided(asked, baseline=identity_of(before)), status=status, **changes)


def is_undecided(result: ExperimentResult, asked: Gate, before: ExperimentResult | None = None) -> bool:
    return undecided_gates(result, [asked], before) == [asked]


def part(scores: Sequence[Said], *decisions: GateDecision, of: int = 500, rounds: int = 1) -> ExperimentResult:
    extent = Stopping(seen=len(scores), of=of, of_rounds=rounds, risk=0.01, decisions=decisions)
    return whole(runs_of(scores), stopping=extent)


def applied(result: ExperimentResult, *gates: Gate, before: ExperimentResult | None = None) -> list[GateResult]:
    baselines = {"search": compare_results(result, before, asked="auto")} if before else {}
    return [each for each in apply_gates([result], gates, baselines=baselines, prices={}) if each.source != "default"]


def test_a_gate_that_passed_early_says_after_how_many_examples_and_why():
    (found,) = applied(part([True] * 140, decision(FLOOR, "passed", text="as all 500 would")), FLOOR)
    assert (found.status, found.is_red, found.value) == ("passed", False, 1.0)
    assert found.text.endswith(
        "is at least 90% (95% interval 97.3% to 100.0%); decided after 140 of 500 examples: as all 500 would"
    )


def test_a_gate_that_failed_early_fails_even_if_the_part_itself_would_pass():
    (found,) = applied(part([True] * 140, decision(FLOOR, "failed", text="because")), FLOOR)
    assert (found.status, found.is_red) == ("failed", True)
    assert "decided after 140 of 500 examples: because" in found.text


def test_a_gate_that_passed_early_fails_if_its_part_does():
    """For example, because of a score that is missing, or because a failed run lowers the mean."""
    mean = gate("min", 0.5)
    (found,) = applied(part([0.9, LABEL_ONLY], decision(mean, "passed")), mean)
    assert (found.status, found.is_red) == ("failed", True)
    assert "decided" not in found.text
    (found,) = applied(part([False] * 140, decision(FLOOR, "passed")), FLOOR)
    assert found.is_red
    (found,) = applied(part([NOT_APPLICABLE] * 140, decision(FLOOR, "passed")), FLOOR)
    assert found.is_red


def test_a_gate_that_only_the_whole_run_can_decide_fails_with_advice():
    result = part([True] * 140, decision(FLOOR, None))
    (found,) = applied(result, FLOOR)
    assert (found.status, found.is_red) == ("failed", True)
    assert found.text.endswith("; not decided after 140 of 500 examples: run the rest with `evalwire resume --whole`")
    assert is_undecided(result, FLOOR)


def test_a_gate_that_another_one_left_undecided_is_inconclusive():
    result = part([False] * 140, decision(FLOOR, "failed"), decision(DROP, None))
    found = applied(result, FLOOR, DROP, before=whole(runs_of([True] * 140)))
    assert [(each.status, each.is_red) for each in found] == [("failed", True), ("inconclusive", False)]
    assert found[1].text.endswith("; not decided, because another gate failed after 140 of 500 examples")


def test_another_limit_than_the_one_that_was_looked_at_is_undecided():
    """A later `evalwire gate` may have other limits, or other gates."""
    result = part([True] * 140, decision(FLOOR, "passed"))
    stricter, other = replace(FLOOR, threshold=0.95), gate("min", 0.5)
    assert not is_undecided(result, FLOOR)
    for asked in (stricter, other):
        assert is_undecided(result, asked)
        assert applied(result, asked)[0].is_red


@pytest.mark.parametrize("rule", ["max_error_rate", "max_total_tokens", "max_cost_usd"])
def test_limits_on_what_ran_are_applied_to_it(rule):
    asked = gate(rule, 0.5 if rule == "max_error_rate" else 1e9, evaluation=None)
    result = part([True] * 140, decision(asked, None))
    assert not is_undecided(result, asked)
    if rule == "max_error_rate":
        (found,) = applied(result, asked)
        assert (found.status, found.text) == (
            "passed",
            "0 of 140 runs failed; the limit is 50%; over 140 of 500 examples",
        )
        (found,) = applied(part([None] * 100 + [True] * 40), asked)
        assert (found.status, found.is_red) == ("failed", True)


def test_a_whole_run_and_a_run_without_early_verdicts_have_their_own_results():
    for result in (part([True] * 140, decision(FLOOR, "failed"), of=140), whole(runs_of([True] * 140))):
        (found,) = applied(result, FLOOR)
        assert (found.status, "decided" in found.text) == ("passed", False)
        assert not is_undecided(result, FLOOR)


def test_repetitions_that_were_not_needed_are_named():
    (found,) = applied(part([True] * 50, decision(FLOOR, "passed"), of=50, rounds=5), FLOOR)
    assert "decided after 1 of 5 repetitions: " in found.text


# --- drops and Holm's correction -------------------------------------------------------------------------


def test_a_drop_has_the_p_value_of_its_looks():
    before = whole(runs_of([True] * 140))
    for status, p_value in (("failed", 0.0004), ("passed", 1.0)):
        looks = decision(DROP, status, before=before, p_value=p_value, text="look 3 of 10")
        result = part([False] * 20 + [True] * 120, looks)
        (found,) = applied(result, DROP, before=before)
        assert (found.status, found.p_value) == (status, p_value)
        assert "; decided after 140 of 500 examples: look 3 of 10" in found.text


def test_the_looks_at_one_baseline_say_nothing_of_another():
    """A later `evalwire gate` may compare with a better baseline, also a whole experiment whose looks found no drop."""
    now = [False] * 30 + [True] * 110
    worse = recorded([False] * 40 + [True] * 100, "E1")
    better = recorded([True] * 140, "E2")
    early = part(now, decision(DROP, "passed", before=worse, p_value=1.0))
    assert not is_undecided(early, DROP, worse)
    assert is_undecided(early, DROP, better)
    assert is_undecided(early, DROP)
    assert not applied(early, DROP, before=worse)[0].is_red
    assert applied(early, DROP, before=better)[0].is_red
    complete = part(now, decision(DROP, None, before=worse, p_value=0.4), of=140)
    assert applied(complete, DROP, before=worse)[0].p_value == 0.4
    (found,) = applied(complete, DROP, before=better)
    assert (found.status, found.p_value) == (
        "failed",
        compare_results(complete, better, asked="").comparison("s").p_value,
    )


def recorded(scores: Sequence[Said], experiment_id: str) -> ExperimentResult:
    before = whole(runs_of(scores))
    return replace(before, opened=replace(before.opened, id=experiment_id))


@pytest.mark.parametrize(
    "changes",
    [
        {"threshold": 0.1},
        {"is_relative": True},
        {"direction": "minimize"},
        {"missing": "ignore"},
        {"drop_policy": DropPolicy(significance=0.2)},
        {"drop_policy": DropPolicy(mode="strict")},
        {"drop_policy": DropPolicy(min_paired=0.1)},
    ],
)
def test_a_gate_with_another_setting_did_not_look(changes):
    before = recorded([True] * 140, "E1")
    result = part([True] * 140, decision(DROP, "passed", before=before, p_value=1.0))
    assert not is_undecided(result, DROP, before)
    assert is_undecided(result, replace(DROP, **changes), before)


def test_a_gate_that_failed_early_excuses_no_other_gate_once_it_is_not_applied():
    """The failed gate made the experiment fail; without it, an undecided gate must not pass."""
    other, errors = gate("min", 0.5), gate("max_error_rate", 0.9, evaluation=None)
    result = part([False] * 140, decision(FLOOR, "failed"), decision(other, None))
    assert [each.is_red for each in applied(result, FLOOR, other)] == [True, False]
    assert not is_undecided(result, FLOOR)
    for gates in ([other], [replace(FLOOR, threshold=0.95), other]):
        assert undecided_gates(result, gates, None) == gates
        assert all(each.is_red for each in applied(result, *gates))
    failing = part([None] * 9 + [True] * 131, decision(ANY_ERROR, "failed"), decision(FLOOR, None))
    assert undecided_gates(failing, [FLOOR], None) == []
    assert undecided_gates(failing, [errors, FLOOR], None) == [FLOOR]
    assert [each.is_red for each in applied(failing, errors, FLOOR)] == [False, True]


def test_a_drop_of_a_part_that_another_gate_ended_takes_no_part_in_the_correction():
    """Its p-value is not that of a test: the part ended for another reason. It would help the others."""
    chance = random.Random(1)
    other = replace(DROP, evaluation="t", experiment="second")
    first = part([False] * 60 + [True] * 40, decision(FLOOR, "failed"), decision(DROP, None))
    then = [chance.random() < 0.8 for _ in range(100)]
    now = [score and chance.random() < 0.92 for score in then]
    second = replace(whole(runs_of(now, name="t")), name="second")
    baselines = {
        "search": compare_results(first, whole(runs_of([True] * 100)), asked="auto"),
        "second": compare_results(second, whole(runs_of(then, name="t")), asked="auto"),
    }
    alone = baselines["second"].comparison("t")
    assert alone is not None
    found = apply_gates([first, second], [FLOOR, DROP, other], baselines=baselines, prices={})
    drops = {each.experiment: each for each in found if each.rule == "max_drop"}
    assert drops["search"].status == "inconclusive"
    assert drops["second"].p_value == holm([1.0, alone.p_value])[1] == 2 * alone.p_value
