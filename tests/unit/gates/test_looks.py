"""Looks at the losses of a drop gate: when they fail it, when they pass it, and what they spend."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalwire.gates.looks import LOOKS, DropLooks
from evalwire.model import mcnemar_midp, sign_flip

NORMAL = NormalDist()
SIGNIFICANCE = 0.05
SPENT = 0.15  # of the significance, before the whole experiment


def looking(pairs: int, *, is_bool: bool = True, tolerance: float = 0.0, **options: float) -> DropLooks:
    fields = {"significance": SIGNIFICANCE, "tolerance": tolerance, "is_bool": is_bool}
    return DropLooks(pairs, **{**fields, **options})


def look_at_all(found: DropLooks, losses: Sequence[float]) -> list[str | None]:
    """What each look before the whole experiment says, until it is decided."""
    said: list[str | None] = []
    while found.number < found.count - 1 and (not said or said[-1] is None):
        said.append(found.look(losses[: found.next_at]))
    return said


def changed(chance: random.Random, n: int, worse: float, better: float) -> list[float]:
    """Losses of bools."""
    return chance.choices([1.0, -1.0, 0.0], [worse, better, 1 - worse - better], k=n)


# --- scipy's recursion -----------------------------------------------------------------------------------


def test_the_recursion_itself_has_the_boundaries_in_the_literature():
    """Of five looks by O'Brien and Fleming's spending, two-sided at 0.05 (Lan, DeMets 1983; Jennison, Turnbull, 7.2)."""
    from normal_process import NormalProcess

    normal = NormalProcess()
    z = -NORMAL.inv_cdf(0.0125)
    found = []
    for look in range(1, 6):
        time = look / 5
        found.append(normal.cross(time, 2 * NORMAL.cdf(-z / math.sqrt(time))) / math.sqrt(time))
    assert found == pytest.approx([4.877, 3.357, 2.680, 2.290, 2.031], abs=2e-3)


@pytest.mark.parametrize("is_bool", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_with_many_pairs_the_boundaries_and_p_values_are_those_of_a_normal_process(is_bool):
    """Within a hundredth, with a correction for continuity: the places of a walk have a distance of 2."""
    from normal_process import NormalProcess

    chance = random.Random(7)
    n = 1_500
    losses = [chance.choice([-1.0, 1.0]) if is_bool else chance.gauss(0, 1) for _ in range(n)]
    options = {} if is_bool else {"draws": 60_000}
    found, normal = looking(n, is_bool=is_bool, significance=0.5, **options), NormalProcess()
    deviation = math.sqrt(math.fsum(loss * loss for loss in losses))
    cross = found._signs.cross
    boundaries: list[float] = []
    found._signs.cross = lambda spent: boundaries.append(cross(spent)) or math.inf
    for look in range(1, LOOKS):
        seen = losses[: n * look // LOOKS]
        found.look(seen)
        time = math.fsum(loss * loss for loss in seen) / deviation**2
        spent = found._signs.crossed if is_bool else SPENT * 0.5 * look / LOOKS
        expected = normal.cross(time, spent)
        assert spent == pytest.approx(SPENT * 0.5 * look / LOOKS, abs=0.003)
        error = 0.01 if is_bool else 0.03  # of the draws
        assert (boundaries[-1] - is_bool) / deviation == pytest.approx(expected, abs=error)
    for total in (0.0, 1.0, 1.5, 2.0, 2.5):
        found._signs.advance(losses)
        assert found._signs.tail(2 * round(total * deviation / 2)) == pytest.approx(normal.p_value(total), abs=0.01)


# --- failing ---------------------------------------------------------------------------------------------


@given(st.data())
def test_no_look_fails_before_the_mean_loss_exceeds_the_tolerance(data):
    is_bool = data.draw(st.booleans())
    values = st.sampled_from([-1.0, 0.0, 1.0, 1.0, 1.0]) if is_bool else st.floats(-0.5, 1).map(lambda x: round(x, 2))
    losses = data.draw(st.lists(values, min_size=10, max_size=80))
    tolerance = data.draw(st.floats(0, 1))
    found = looking(len(losses), is_bool=is_bool, tolerance=tolerance, significance=0.5, draws=500)
    while found.number < found.count - 1:
        seen = losses[: found.next_at]
        if found.look(seen) == "failed":
            assert math.fsum(seen) / len(seen) > tolerance


def test_a_clear_drop_fails_at_a_look_and_within_its_tolerance_it_does_not():
    losses = [1.0] * 100
    assert look_at_all(looking(100), losses) == [None, None, "failed"]
    assert look_at_all(looking(100, tolerance=0.99), losses) == [None, None, "failed"]
    assert look_at_all(looking(100, tolerance=1.0), losses) == [None] * 19
    assert look_at_all(looking(100, tolerance=1 - 1e-12), losses) == [None] * 19, "a rounding error fails no gate"


def test_a_failure_has_the_p_value_that_was_spent():
    found = looking(100)
    assert look_at_all(found, [1.0] * 100)[-1] == "failed"
    assert found.p_value == found._signs.crossed
    assert 0 < found.p_value <= SPENT * SIGNIFICANCE * 0.15


def test_a_boundary_fails_a_gate_that_reaches_it_exactly():
    """Means of five bools are no exact floats: at the boundary, the sum of the losses may be lower by a rounding error."""
    for seed in range(40):
        chance = random.Random(seed)
        losses = [chance.choice([-0.2, 0.2, 0.4, 0.6]) for _ in range(60)]
        fifths = [round(5 * loss) for loss in losses]
        exact, rounded = looking(60, is_bool=False, draws=2_000), looking(60, is_bool=False, draws=2_000)
        assert look_at_all(rounded, losses) == look_at_all(exact, [float(fifth) for fifth in fifths])


@pytest.mark.parametrize("n", [5, 7, 9])
@pytest.mark.parametrize("significance", [0.05, 0.3])
def test_over_all_signs_the_looks_and_the_end_fail_no_more_often_than_the_significance(n, significance):
    """Exactly, for losses of any size: what was spent early is missing at the end."""
    chance = random.Random(n)
    sizes = [round(chance.expovariate(1) + 0.1, 1) for _ in range(n)]
    early = failed = 0
    for signs in itertools.product((1, -1), repeat=n):
        losses = [sign * size for sign, size in zip(signs, sizes, strict=True)]
        found = looking(n, is_bool=False, significance=significance)
        is_early = look_at_all(found, losses)[-1] == "failed"
        early += is_early
        failed += is_early or found.final_p_value(losses) <= significance
    assert failed / 2**n <= significance
    assert early / 2**n <= SPENT * significance
    assert failed > 0


def test_the_significance_is_spent_in_proportion_to_the_information():
    """85% of it are left for the whole experiment."""
    found = looking(400, is_bool=False, significance=0.1, draws=20_000)
    chance = random.Random(1)
    losses = [chance.gauss(0, 1) for _ in range(400)]
    while found.number < found.count - 1:
        assert found.next_at == 20 * (found.number + 1)
        found.look(losses[: found.next_at])
        assert found._signs.crossed == pytest.approx(SPENT * 0.005 * found.number, abs=1.1 / 20_000)


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=5, max_size=60), st.booleans())
def test_the_final_p_value_is_that_of_the_fixed_test_and_at_most_what_was_spent_more(losses, is_bool):
    draws = 1_000
    found = looking(len(losses), is_bool=is_bool, significance=0.5, draws=draws)
    while found.number < found.count - 1:
        found.look(losses[: found.next_at])
    counts = losses.count(1.0), losses.count(-1.0)
    fixed = sign_flip([-loss for loss in losses]) if not is_bool else mcnemar_midp(*counts) if any(counts) else 0.5
    error = 5 * math.sqrt(fixed * (1 - fixed) / draws) + 5 / draws if not is_bool and len(losses) > 12 else 0
    p_value = found.final_p_value(losses)
    assert fixed - error - 1e-12 <= p_value <= fixed + SPENT * 0.5 * 0.95 + error + 1e-12


@pytest.mark.parametrize(
    ("pairs", "places"),
    [(10, list(range(1, 10))), (50, [3, 5, 8, 10, 13, 15, 18, 20, 23, 25, 28, 30, 33, 35, 38, 40, 43, 45, 48])],
)
def test_looks_are_due_at_each_twentieth_of_the_pairs(pairs, places):
    found, due = looking(pairs), []
    while found.number < found.count - 1:
        due.append(found.next_at)
        found.look([0.0] * found.next_at)
    assert due == places


# --- passing ---------------------------------------------------------------------------------------------


def balanced(n: int, every: int) -> list[float]:
    """Losses of which one of `every` is not 0, for the better and for the worse in turn."""
    return [(1.0 if k % (2 * every) else -1.0) if not k % every else 0.0 for k in range(n)]


def test_a_run_without_a_change_of_its_mean_passes_early():
    found = looking(200, tolerance=0.05)
    said = look_at_all(found, balanced(200, 4))
    assert said[-1] == "passed"
    assert 6 <= len(said) <= 14
    assert 0 <= (found.chance or 0.0) < 0.015


@pytest.mark.parametrize(
    ("pairs", "every", "earliest"),
    [
        (49, 1, None),  # nothing to save
        (50, 1, 30),
        (60, 1, 30),
        (100, 1, 30),
        (1_000, 1, 300),
        (1_000, 10, 300),
        (200, 10, 100),  # ten pairs that changed
        (200, 40, None),
    ],
)
def test_a_pass_needs_three_tenths_of_the_pairs_thirty_pairs_and_ten_that_changed(pairs, every, earliest):
    """A tolerance that nothing could exceed, so that only these floors delay the pass."""
    found = looking(pairs, tolerance=1.0)
    losses = balanced(pairs, every)
    said = look_at_all(found, losses)
    if earliest is None:
        assert said == [None] * 19
        return
    seen = math.ceil(pairs * found.number / LOOKS)
    assert said[-1] == "passed"
    assert earliest <= seen < earliest + pairs / LOOKS + 1


def test_the_chance_of_a_pass_is_divided_by_the_gates_of_the_experiment():
    losses = balanced(500, 4)
    taken = []
    for siblings in (1, 2, 10, 100):
        found = looking(500, siblings=siblings)
        assert look_at_all(found, losses)[-1] == "passed"
        assert (found.chance or 0.0) < 0.015 / siblings
        taken.append(found.number)
    assert taken == [12, 14, 16, 17]


def test_a_pass_changes_no_boundary():
    """A gate that is looked at again after it passed has the p-value of the whole experiment."""
    chance = random.Random(3)
    losses = balanced(100, 2) + changed(chance, 100, 0.5, 0.0)
    found, other = looking(200), looking(200, siblings=10**9)
    for place in range(10, 200, 10):
        found.look(losses[:place])
        other.look(losses[:place])
    assert found.final_p_value(losses) == other.final_p_value(losses) < 0.01


# --- rounds ----------------------------------------------------------------------------------------------


def rounds_of(chance: random.Random, n: int, rounds: int, *, worse: float) -> list[list[float]]:
    """The mean losses after each round; the baseline had as many rounds."""
    likely = [1 - chance.random() ** 2 for _ in range(n)]
    before = [sum(chance.random() < p for _ in range(rounds)) / rounds for p in likely]
    after = [[float(chance.random() < p * (1 - worse)) for _ in range(rounds)] for p in likely]
    return [
        [then - sum(now[:done]) / done for then, now in zip(before, after, strict=True)]
        for done in range(1, rounds + 1)
    ]


def test_after_a_round_the_losses_of_all_examples_may_differ():
    """The signs stay those of the examples, so the p-value is that of the fixed test, and what was spent."""
    losses = rounds_of(random.Random(11), 60, 5, worse=0.08)
    found = looking(60, is_bool=False, significance=0.2)
    for done in range(1, 5):
        found.look(losses[done - 1], share=2 * done / (done + 5))
        assert found._signs.crossed <= SPENT * 0.2 * 2 * done / (done + 5)
    fixed = sign_flip([-loss for loss in losses[-1]])
    assert 0.001 < fixed < 0.5
    assert fixed - 0.02 <= found.final_p_value(losses[-1]) <= fixed + found._signs.crossed + 0.02


@pytest.mark.parametrize("tolerance", [0.02, 0.05])
def test_a_round_predicts_the_same_mean_and_a_smaller_variance(tolerance):
    """All examples are known after the first round, with a third of the information. The larger tolerance decides."""
    losses = rounds_of(random.Random(2), 200, 5, worse=0.0)[0]
    found = looking(200, is_bool=False, tolerance=tolerance)
    found.look(losses, share=1 / 3)
    variance = math.fsum(loss * loss for loss in losses) / 3
    least = max(1.66 * math.sqrt(variance), tolerance * 200)
    expected = NORMAL.cdf((math.fsum(losses) - least) / math.sqrt(variance * 2))
    assert found.chance == pytest.approx(expected)


@pytest.mark.parametrize(("worse", "last"), [(0.0, "passed"), (0.4, "failed")])
def test_a_round_can_pass_and_fail(worse, last):
    losses = rounds_of(random.Random(4), 200, 5, worse=worse)
    found = looking(200, is_bool=False, tolerance=0.02)
    said = [found.look(losses[done - 1], share=2 * done / (done + 5)) for done in range(1, 5)]
    assert last in said
    assert {last, None} >= set(said)
