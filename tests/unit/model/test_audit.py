"""The audit of a total, held to all orders of small populations and to all scores that could follow."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalwire.model.audit import Audit, Expected

GRID = (0.0, 0.25, 0.5, 1.0)
EXPECTED = (Expected(mean=0.95, variance=0.05), Expected(mean=0.5), Expected(mean=0.05, variance=0.05))
BOOLS = [(0.0,) * (n - passes) + (1.0,) * passes for n in range(1, 8) for passes in range(n + 1)]
GRADED = [scores for n in range(1, 5) for scores in itertools.combinations_with_replacement(GRID, n)] + [
    (0.0, 0.25, 0.25, 0.5, 1.0, 1.0),
    (0.0, 0.0, 0.5, 0.5, 0.5, 0.5, 1.0),
    (0.1, 0.3, 0.7, 0.7, 0.9, 1.0, 1.0),
]


def orders(scores: Sequence[float]) -> list[tuple[float, ...]]:
    """All orders of the scores that differ; each stands for the same number of orders."""
    return sorted(set(itertools.permutations(scores)))


def audit(n: int, bound: float, *, risk: float = 0.1, expected: Expected = EXPECTED[0], is_bool: bool = False) -> Audit:
    return Audit(n, bound, risk=risk, expected=expected, is_bool=is_bool)


def wealths(found: Audit, scores: Iterable[float]) -> list[float]:
    """The wealth after each score, until the null hypothesis is impossible."""
    seen = []
    for score in scores:
        found.add(score)
        seen.append(found._wealth)
    return seen


@pytest.mark.parametrize("expected", EXPECTED)
@pytest.mark.parametrize(("populations", "is_bool"), [(BOOLS, True), (GRADED, False)])
def test_over_all_orders_the_mean_wealth_under_the_null_is_at_most_its_start(populations, is_bool, expected):
    """After each score. The total is the bound, or just below it. At the bound, the first bet on bools is fair."""
    for scores in populations:
        for above in (0.0, 0.2):
            paths = [
                wealths(audit(len(scores), math.fsum(scores) + above, expected=expected, is_bool=is_bool), order)
                for order in orders(scores)
            ]
            for at_place in zip(*paths, strict=True):
                assert math.fsum(at_place) / len(paths) <= 1 + 1e-9
            if is_bool and not above and 0 < math.fsum(scores) < len(scores):
                assert math.fsum(path[0] for path in paths) / len(paths) == pytest.approx(1)


@pytest.mark.parametrize("expected", EXPECTED)
@pytest.mark.parametrize("is_bool", [True, False])
def test_no_bet_is_won_by_a_score_of_0_nor_lost_by_a_score_of_1(is_bool, expected):
    """Not even on bounds near all scores, and whatever is expected: bets are on a larger total."""
    for bound in (1.0, 10.0, 500.0, 970.0, 990.0, 998.0):
        for before in ([], [0.0], [1.0]):
            last = [
                wealths(audit(1_000, bound, expected=expected, is_bool=is_bool), [*before, score])[-2:]
                for score in (0.0, 1.0)
            ]
            start = last[0][0] if before else 1.0
            assert 0 <= last[0][-1] <= start <= last[1][-1]


def test_the_smallest_bet_on_bools_is_two_hundredths_of_what_is_left_beyond_the_limit():
    """If fewer passes are expected than the bound needs. More would cost examples if the expectation is wrong."""
    found = audit(10, 5.0, expected=EXPECTED[2], is_bool=True)
    assert wealths(found, [1.0]) == [pytest.approx((0.5 + 0.0005 + 0.02 * 0.5) / 0.5)]


@pytest.mark.parametrize("risk", [0.3, 0.1, 0.01])
@pytest.mark.parametrize(("populations", "is_bool"), [(BOOLS, True), (GRADED, False)])
def test_over_all_orders_a_total_that_just_misses_is_decided_at_most_as_often_as_the_risk(populations, is_bool, risk):
    shares = []
    for scores, expected in itertools.product(populations, EXPECTED):
        ways = orders(scores)
        decided = 0
        for order in ways:
            found = audit(len(scores), math.fsum(scores), risk=risk, expected=expected, is_bool=is_bool)
            wealths(found, order)
            decided += found.is_decided
            assert not found.is_certain
        shares.append(decided / len(ways))
    assert max(shares) <= risk
    if risk == 0.3:
        assert max(shares) > 0.05, "the bound would be no merit"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(0, 60), st.sampled_from(EXPECTED))
def test_the_wealth_is_never_negative_and_a_total_within_the_bound_is_never_certain(scores, above, expected):
    """Whatever comes first, and for any scores between 0 and 1."""
    found = audit(len(scores), math.fsum(scores) + above, expected=expected)
    assert all(wealth >= 0 for wealth in wealths(found, scores))
    assert not found.is_certain


@pytest.mark.parametrize("is_bool", [True, False])
def test_a_null_hypothesis_that_is_certain_ends_the_bets(is_bool):
    found = audit(4, 3.0, risk=0.9, is_bool=is_bool)
    assert wealths(found, [0.0, 1.0, 1.0])[1:] == [0.0, 0.0]
    assert not found.is_decided


@given(st.data())
def test_an_audit_is_certain_exactly_if_no_scores_that_are_left_could_change_the_total(data):
    """By trying all of them; a certain total is decided."""
    is_bool = data.draw(st.booleans())
    grid = (0.0, 1.0) if is_bool else GRID
    n = data.draw(st.integers(1, 5))
    scores = data.draw(st.lists(st.sampled_from(grid), min_size=n, max_size=n))
    bound = float(data.draw(st.integers(-1, n))) if is_bool else data.draw(st.integers(-2, 4 * n)) / 4
    found = audit(n, bound, is_bool=is_bool, expected=data.draw(st.sampled_from(EXPECTED)))
    for seen in range(n + 1):
        rests = itertools.product(grid, repeat=n - seen)
        is_certain = all(math.fsum(scores[:seen]) + math.fsum(rest) > bound for rest in rests)
        assert found.is_certain == is_certain
        assert found.is_decided >= is_certain
        if seen < n:
            found.add(scores[seen])


def test_a_rounding_error_decides_nothing():
    found = audit(3, 0.3)
    wealths(found, [0.1, 0.1, 0.1])
    assert 0.1 + 0.1 + 0.1 > 0.3
    assert not found.is_decided


def test_the_rounding_errors_of_many_scores_decide_nothing():
    found = audit(1_000, 600.0, expected=EXPECTED[2])
    wealths(found, [0.6] * 1_000)
    assert found._sum > 600.0
    assert not found.is_certain


def test_the_bet_on_other_scores_is_by_the_mean_and_variance_of_five_expected_scores_and_of_all_so_far():
    """In fractions: of (5 * 0.5 + 1.5) / 7 after a score of 1 and of 0.5, and of what is left of the bound."""
    found = audit(10, 4.0, expected=Expected(mean=0.5, variance=0.25))
    wealth = wealths(found, [1.0, 0.5, 0.75])
    mean, limit = Fraction(4, 7), Fraction(5, 16)
    variance = (5 * (Fraction(1, 4) + Fraction(1, 4)) + Fraction(5, 4)) / 7 - mean**2
    bet = (mean - limit) / (variance + (mean - limit) ** 2)
    assert wealth[2] / wealth[1] == pytest.approx(float(1 + bet * (Fraction(3, 4) - limit)))


def test_no_bet_is_made_on_a_total_that_is_not_expected():
    for mean in (0.5, 0.25):
        assert wealths(audit(2, 1.0, expected=Expected(mean=mean, variance=0.0)), [1.0]) == [1.0]


def test_what_is_decided_stays_decided():
    found = audit(100, 50.0, is_bool=True)
    wealths(found, [1.0] * 40)
    assert found.is_decided
    assert not found.is_certain
    wealths(found, [0.0] * 60)
    assert found.is_decided
    assert not found.is_certain


def test_the_first_score_above_0_refutes_a_total_of_0():
    """Its limit on what is left is 0, where the bets would divide by it."""
    for is_bool in (True, False):
        found = audit(3, 0.0, is_bool=is_bool)
        assert wealths(found, [0.0]) == [1.0]
        assert not found.is_decided
        found.add(1.0)
        assert found.is_decided
        assert found.is_certain
        found.add(0.0)
        assert found.is_decided


@pytest.mark.parametrize("is_bool", [True, False])
def test_what_is_expected_decides_the_savings(is_bool):
    """Of 200 passes; a wrong expectation costs examples, and a right one saves them."""
    taken = []
    for expected in EXPECTED:
        found = audit(200, 180.0, risk=0.01, expected=expected, is_bool=is_bool)
        taken.append(next(n for n in range(1, 201) if (found.add(1.0), found.is_decided)[1]))
    assert taken == sorted(taken)
    assert taken[0] < taken[-1]
    assert taken[0] < 60


@pytest.mark.parametrize("is_bool", [True, False])
def test_a_total_far_above_its_bound_is_decided_after_few_scores(is_bool):
    chance = random.Random(3)
    found = audit(500, 350.0, risk=0.01, is_bool=is_bool)
    scores = [float(chance.random() < 0.9) if is_bool else 0.6 + 0.4 * chance.random() for _ in range(500)]
    taken = next(n for n, score in enumerate(scores, 1) if (found.add(score), found.is_decided)[1])
    assert 5 < taken < 150


def test_a_bound_below_0_is_exceeded_from_the_start():
    found = audit(2, -1.0)
    assert found.is_decided
    assert found.is_certain
    assert not audit(0, 0.0).is_decided


@pytest.mark.parametrize("score", [-0.001, 1.001, math.nan])
def test_a_score_that_is_not_between_0_and_1_is_refused(score):
    with pytest.raises(ValueError, match="an audit of 3 scores cannot add"):
        audit(3, 1.0).add(score)


def test_more_scores_than_there_are_are_refused():
    found = audit(1, 0.5)
    found.add(0.0)
    with pytest.raises(ValueError, match=r"an audit of 1 scores cannot add 1\.0 after 1 scores"):
        found.add(1.0)


@pytest.mark.parametrize(("n", "risk"), [(-1, 0.1), (5, 0.0), (5, 1.0), (5, -0.1)])
def test_an_audit_without_a_risk_or_with_a_negative_number_of_scores_is_refused(n, risk):
    with pytest.raises(ValueError, match=f"cannot audit {n} scores with a risk of {risk}"):
        audit(n, 1.0, risk=risk)
