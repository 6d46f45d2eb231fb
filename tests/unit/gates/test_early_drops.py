"""Drop gates that look at their pairs: which pairs, when, and what is left to the whole experiment."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from applying import gate
from reporting import evaluation, example
from watching import EVALUATOR_FAILED, LABEL_ONLY, NOT_APPLICABLE, Said, look, ran_one, rounds, rules, runs_of, whole

from evalwire.gates import DropPolicy, Gate
from evalwire.gates.apply import apply_gates
from evalwire.gates.comparison import compare_results
from evalwire.gates.early_drops import EarlyDrop
from evalwire.gates.early_results import identity_of, undecided
from evalwire.gates.looks import DropLooks
from evalwire.model import GateDecision, Stopping, mcnemar_midp, sign_flip
from evalwire.model.result import ExperimentResult

DROP = gate("max_drop", 0.0)


def is_left(decision: GateDecision) -> bool:
    """Check whether the looks left a gate to the whole experiment, without any p-value."""
    return (decision.status, decision.text, decision.p_value) == (None, "", None)


def early(asked: Gate, n: int, before: ExperimentResult | None, **changes: Any) -> EarlyDrop:
    fields = {"repetitions": 1, "rules": rules([asked]), "changed": (), "siblings": 1}
    return EarlyDrop(asked, [example(k) for k in range(n)], before=before, **{**fields, **changes})


def looked(
    asked: Gate, now: Sequence[Said], then: Sequence[Said] | ExperimentResult | None, **changes: Any
) -> tuple[int, GateDecision]:
    before = whole(runs_of(then)) if isinstance(then, Sequence) else then
    return look(early(asked, len(now), before, **changes), runs_of(now))


# --- when it looks ---------------------------------------------------------------------------------------


def test_a_clear_drop_fails_at_its_third_look_and_says_so():
    taken, decision = looked(DROP, [False] * 100, [True] * 100)
    assert (taken, decision.status) == (15, "failed")
    assert decision.text == "look 3 of 20, p = 0.00049"
    assert 0 < decision.p_value <= 0.15 * 0.05 * 0.15


def test_a_run_without_change_of_its_mean_passes_and_says_with_which_chance():
    chance = random.Random(1)
    now, then = ([chance.random() < 0.7 for _ in range(400)] for _ in range(2))
    taken, decision = looked(gate("max_drop", 0.05), now, then)
    assert decision.status == "passed"
    assert taken % 20 == 0
    assert 120 <= taken < 400
    assert decision.text.startswith(f"look {taken // 20} of 20: the whole experiment would fail with a probability of ")
    assert decision.p_value == 1.0, "for Holm's correction, which it leaves alone"


def test_a_chance_that_rounds_to_nothing_is_not_said_to_be_nothing():
    now = [n % 2 == 0 for n in range(400)]
    then = [now[n] if n % 10 else not now[n] for n in range(400)]  # as many worse as better, far from the limit
    _, decision = looked(gate("max_drop", 0.5), now, then)
    assert decision.status == "passed"
    assert decision.text.endswith(" of 20: the whole experiment would fail with a probability of less than 0.01%")


@pytest.mark.parametrize(
    ("tolerance", "chance"), [(0.05, "0.59%"), (0.08, "1.4%"), (0.16, "0.01%"), (0.17, "less than 0.01%")]
)
def test_the_chance_is_said_in_hundredths_of_a_percent(tolerance, chance):
    source = random.Random(1)
    now, then = ([source.random() < 0.7 for _ in range(400)] for _ in range(2))
    _, decision = looked(gate("max_drop", tolerance), now, then)
    assert decision.text.endswith(f": the whole experiment would fail with a probability of {chance}")


def test_only_examples_that_the_baseline_scored_are_pairs():
    """New examples, changed ones and those without a score do not bring a look forward."""
    then = [True] * 40 + [NOT_APPLICABLE] * 5
    before = whole(runs_of(then))
    before = replace(
        before,
        runs=tuple(
            replace(one, example=example(n, input={"user_query": "another"})) if n < 5 else one
            for n, one in enumerate(before.runs)
        ),
    )
    asked = gate("max_drop", 0.0, missing="ignore", drop_policy=DropPolicy(min_paired=0.5))
    found = early(asked, 60, before)
    seen = []
    for one in runs_of([False] * 60):
        found.add(one)
        seen.append(found._looks.number if found._looks else None)
        if found.decision.status is not None:
            break
    assert seen[:7] == [0] * 6 + [1], "5 changed, and then the second of 35 pairs"
    assert len(seen) == 16, "the eleventh of them is the sixth look"
    assert found.decision.text.startswith("look 6 of 20")


def test_an_evaluation_of_bools_counts_a_failed_run_as_worse_and_one_of_numbers_leaves_it_out():
    for odd in (None, EVALUATOR_FAILED):
        assert looked(DROP, [odd] * 99 + [True], [True] * 100)[1].status is None, "no bool yet, so nothing to compare"
        assert looked(DROP, [True, *[odd] * 99], [True] * 100)[1].status == "failed"
        assert looked(DROP, [0.9, *[odd] * 99], [0.9] * 100)[1].status is None
        minimized = gate("max_drop", 0.0, direction="minimize")
        assert looked(minimized, [False, *[odd] * 99], [False] * 100)[1].status == "failed"


def test_a_failed_run_of_the_baseline_has_the_worse_value_too():
    """So that a run without failures did not get worse by what failed before."""
    for direction, good, bad in (("maximize", True, False), ("minimize", False, True)):
        asked = gate("max_drop", 0.0, direction=direction)
        assert looked(asked, [bad] * 100, [good, *[None] * 99])[1].status != "failed"
        assert looked(asked, [bad] * 100, [good] * 100)[1].status == "failed"


def test_a_loss_is_in_the_units_of_the_score():
    for direction, now, then in (("maximize", 0.2, 0.5), ("minimize", 0.5, 0.2)):
        statuses = [
            looked(gate("max_drop", limit, direction=direction), [now] * 60, [then] * 60)[1].status
            for limit in (0.29, 0.31)
        ]
        assert statuses == ["failed", None]


@pytest.mark.parametrize(("direction", "worse", "better"), [("maximize", 0.2, 0.9), ("minimize", 0.9, 0.2)])
def test_the_direction_says_what_a_drop_is(direction, worse, better):
    asked = gate("max_drop", 0.0, direction=direction)
    assert looked(asked, [worse] * 60, [better] * 60)[1].status == "failed"
    assert looked(asked, [better] * 60, [worse] * 60)[1].status == "passed"


def test_a_relative_tolerance_is_a_share_of_the_baselines_mean():
    for limit, status in ((0.49, "failed"), (0.51, None), (0.9, "passed")):
        asked = gate("max_drop", limit, is_relative=True)
        assert looked(asked, [0.2] * 60, [0.4] * 60)[1].status == status
    assert looked(gate("max_drop", 0.36), [0.2] * 60, [0.4] * 60)[1].status == "passed"


def test_the_significance_is_shared_by_the_drop_gates_of_the_job():
    for gates, taken in ((1, 15), (4, 15), (20_000, 25)):
        asked = [replace(DROP, evaluation=f"s{n}") for n in range(gates)]
        found = looked(DROP, [False] * 100, [True] * 100, rules=rules(asked))
        assert found[0] == taken
        assert found[1].p_value <= 0.15 * 0.05 / gates * found[0] / 100
    strict = gate("max_drop", 0.0, drop_policy=DropPolicy(significance=1e-6))
    assert looked(strict, [False] * 100, [True] * 100)[0] == 25


def test_the_chance_of_a_pass_is_shared_by_the_drop_gates_of_the_experiment():
    chance = random.Random(1)
    now, then = ([chance.random() < 0.7 for _ in range(400)] for _ in range(2))
    taken = [looked(gate("max_drop", 0.05), now, then, siblings=siblings)[0] for siblings in (1, 50)]
    assert taken[0] < taken[1]


# --- what is left to the whole experiment -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "now", "then", "changes"),
    [
        (DROP, [False] * 100, None, {}),
        (DROP, [False] * 9, [True] * 9, {}),
        (gate("max_drop", 0.0, drop_policy=DropPolicy(mode="strict")), [False] * 100, [True] * 100, {}),
        (DROP, [False] * 100, [True] * 79, {}),  # min_paired is 0.8
        (DROP, [False] * 100, [True] * 100, {"changed": ("s",)}),
        (DROP, [False] * 100, [0.9] * 9 + [None] * 91, {}),
        (DROP, [0.2] * 100, [True] * 100, {}),  # the evaluator returned bools
        (DROP, [NOT_APPLICABLE, *[False] * 99], [True] * 100, {}),
        (DROP, [False] * 100, [NOT_APPLICABLE, *[True] * 99], {}),
    ],
)
def test_what_looks_cannot_test_is_left_to_the_whole_run(asked, now, then, changes):
    found = early(asked, len(now), whole(runs_of(then)) if then else None, **changes)
    places, decision = look(found, runs_of(now))
    assert places == len(now)
    assert is_left(decision)
    found.end(whole(runs_of(now)))
    assert is_left(found.decision), "with the p-value of the fixed test"


def test_the_last_look_is_before_the_last_pair():
    assert looked(DROP, [True, *[False] * 9], [True] * 10)[0] == 9, "eight pairs that changed"
    taken, decision = looked(DROP, [True, True, *[False] * 8], [True] * 10)
    assert (taken, decision.status, decision.p_value) == (10, None, None), "at the tenth, it would be a drop"


def test_the_same_with_enough_of_everything_is_decided():
    assert looked(DROP, [False] * 10, [True] * 10)[0] == 8
    assert looked(DROP, [False] * 100, [True] * 80)[1].status == "failed"
    ignoring = gate("max_drop", 0.0, missing="ignore")
    assert looked(ignoring, [NOT_APPLICABLE, *[False] * 99], [True] * 100)[1].status == "failed"
    assert looked(ignoring, [False] * 100, [NOT_APPLICABLE, *[True] * 99])[1].status == "failed"
    assert looked(DROP, [True, *[False] * 99], [0.9] * 100)[1].status == "failed", "numbers before, and bools now"


def test_an_evaluator_of_several_scores_that_changed_is_left_to_the_whole_run():
    """The name of the evaluator is not that of its scores."""
    runs = [ran_one(n, True, evaluations=(evaluation("s", 1.0, label="True", evaluator="judge"),)) for n in range(100)]
    assert is_left(looked(DROP, [False] * 100, whole(runs), changed=("judge",))[1])
    assert looked(DROP, [False] * 100, whole(runs), changed=("another",))[1].status == "failed"


# --- the end ---------------------------------------------------------------------------------------------


def alike(kind: str, n: int, worse: float, seed: int = 1) -> tuple[list[Said], list[Said]]:
    chance = random.Random(seed)
    if kind == "bools":
        return [chance.random() < 0.7 - worse for _ in range(n)], [chance.random() < 0.7 for _ in range(n)]
    return [max(chance.random() - worse, 0.0) for _ in range(n)], [chance.random() for _ in range(n)]


@pytest.mark.parametrize(("kind", "fixed"), [("bools", mcnemar_midp), ("numbers", sign_flip)])
def test_a_whole_run_has_the_p_value_of_all_its_looks(kind, fixed):
    now, then = alike(kind, 60, 0.05)
    asked = gate("max_drop", 0.0, drop_policy=DropPolicy(significance=0.2))
    found = early(replace(asked, direction="maximize"), 60, whole(runs_of(then)), siblings=10**9)
    _, decision = look(found, runs_of(now))
    assert decision.status is None
    found.end(whole(runs_of(now)))
    losses = [float(old) - float(new) for new, old in zip(now, then, strict=True)]
    looks = DropLooks(60, significance=0.2, tolerance=0.0, is_bool=kind == "bools")
    while looks.number < looks.count - 1:
        looks.look(losses[: looks.next_at])
    assert found.decision.p_value == looks.final_p_value(losses)
    alone = fixed(losses.count(1), losses.count(-1)) if kind == "bools" else fixed([-loss for loss in losses])
    assert alone <= found.decision.p_value <= alone + 0.15 * 0.2
    assert (found.decision.status, found.decision.text) == (None, "")


def test_a_whole_run_decides_a_gate_that_passed_early():
    """Other gates needed the rest. A pass changes no boundary, so the rest may still show a drop."""
    chance = random.Random(1)
    then = [chance.random() < 0.7 for _ in range(200)]
    now = [chance.random() < 0.7 for _ in range(200)]
    now[:100] = then[:100]
    now[:10], then[:10] = [True, False] * 5, [False, True] * 5
    now[100:] = [False] * 100
    asked = gate("max_drop", 0.06)
    found = early(asked, 200, whole(runs_of(then)))
    taken, decision = look(found, runs_of(now))
    assert (taken <= 100, decision.status) == (True, "passed")
    found.end(whole(runs_of(now)))
    assert found.decision.status is None
    assert found.decision.p_value < 0.001


def test_a_gate_that_failed_early_stays_failed_if_the_run_goes_on():
    found = early(DROP, 100, whole(runs_of([True] * 100)))
    _, decision = look(found, runs_of([False] * 100))
    found.end(whole(runs_of([False] * 20 + [True] * 80)))
    assert found.decision == decision


def test_the_gate_itself_takes_the_p_value_of_the_looks_and_corrects_it():
    """Two gates: the p-values of a whole experiment with looks, times two."""
    now, then = alike("bools", 60, 0.1)
    result, before = whole(runs_of(now)), whole(runs_of(then))
    looks = replace(undecided(DROP, baseline=identity_of(before)), p_value=0.02)
    stopping = Stopping(seen=60, of=60, decisions=(looks,))
    baselines = {"search": compare_results(result, before, asked="auto")}
    (applied,) = apply_gates([replace(result, stopping=stopping)], [DROP], baselines=baselines, prices={})
    assert applied.p_value == 0.02
    assert "decided after" not in applied.text


# --- rounds ----------------------------------------------------------------------------------------------


def of_rounds(chance: random.Random, n: int, times: int, rate: float) -> list[list[Said]]:
    return [[chance.random() < rate for _ in range(n)] for _ in range(times)]


def after_rounds(
    asked: Gate, now: list[list[Said]], then: list[list[Said]], *, of: int | None = None
) -> tuple[int, EarlyDrop]:
    """Look after each round before the last; return the number of rounds that decided the gate."""
    of = of or len(now)
    found = early(asked, len(now[0]), rounds(then), repetitions=of)
    for done in range(1, of):
        found.end_round(rounds(now[:done]))
        if found.decision.status is not None:
            return done, found
    found.end(rounds(now))
    return of, found


def test_rounds_decide_a_drop_and_say_after_which():
    chance = random.Random(3)
    then = of_rounds(chance, 100, 5, 0.8)
    done, found = after_rounds(gate("max_drop", 0.02), of_rounds(chance, 100, 5, 0.4), then)
    assert (done, found.decision.status) == (1, "failed")
    assert found.decision.text.startswith("look 1 of 5, p = ")
    done, found = after_rounds(gate("max_drop", 0.05), of_rounds(chance, 100, 5, 0.82), then)
    assert (done <= 3, found.decision.status) == (True, "passed")
    assert found.decision.text.startswith(f"look {done} of 5: the whole experiment would fail")


def test_a_baseline_with_fewer_repetitions_ends_the_looks_earlier():
    """Only the repetitions of both are compared, and of the two first, there is a look after the first."""
    chance = random.Random(5)
    then, now = of_rounds(chance, 60, 2, 0.7), of_rounds(chance, 60, 5, 0.62)
    done, found = after_rounds(replace(DROP, drop_policy=DropPolicy(significance=0.2)), now, then)
    assert done == 5
    assert found._looks is not None
    assert found._looks.number == 1
    first = compare_results(rounds(now[:2]), rounds(then), asked="auto").comparison("s")
    assert first is not None
    assert first.p_value == compare_results(rounds(now), rounds(then), asked="auto").comparison("s").p_value
    assert first.p_value <= found.decision.p_value <= first.p_value + 0.02 + 0.02
    assert is_left(after_rounds(DROP, of_rounds(chance, 60, 5, 0.1), then[:1])[1].decision), "none has a look"


def test_a_baseline_with_more_repetitions_is_cut():
    """One run of each: the look of the first run is that of the first repetition of the baseline."""
    chance = random.Random(6)
    then = of_rounds(chance, 100, 5, 0.9)
    before, first = rounds(then), rounds(then[:1])
    now = [chance.random() < 0.4 for _ in range(100)]
    assert looked(DROP, now, before) == looked(DROP, now, first)
    assert looked(DROP, now, before)[1].status == "failed"


def test_labels_without_scores_are_no_pairs():
    assert looked(DROP, [0.2] * 50 + [LABEL_ONLY] * 50, [0.9] * 100)[1].status == "failed"
    assert is_left(looked(DROP, [LABEL_ONLY] * 100, [0.9] * 100)[1])
