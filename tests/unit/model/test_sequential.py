"""Looks at a drop, held to all choices of signs, to scipy, and to random orders."""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalwire.model import mcnemar_midp, sign_flip
from evalwire.model.sequential import SignDraws, SignWalk, chance_of_drop


class Counted:
    """The same by its definition: all choices of signs, as a list of sums at each look."""

    def __init__(self, n: int) -> None:
        self.signs = list(itertools.product((1, -1), repeat=n))
        self.has_crossed = [False] * len(self.signs)
        self.sums: list[Fraction] = []

    def advance(self, losses: Sequence[Fraction]) -> Fraction:
        self.sums = [sum(map(lambda sign, loss: sign * loss, choice, losses), Fraction(0)) for choice in self.signs]
        return sum(losses, Fraction(0))

    @property
    def crossed(self) -> Fraction:
        return Fraction(sum(self.has_crossed), len(self.signs))

    def reaching(self, least: Fraction) -> list[bool]:
        """Which choices have not crossed, and reach a sum now."""
        return [not has and found >= least for has, found in zip(self.has_crossed, self.sums, strict=True)]

    def cross(self, spent: Fraction) -> Fraction | None:
        """The smallest sum that can be a boundary; None without one."""
        alive = {found for has, found in zip(self.has_crossed, self.sums, strict=True) if not has}
        allowed = [
            least for least in alive if self.crossed + Fraction(sum(self.reaching(least)), len(self.signs)) <= spent
        ]
        if not allowed:
            return None
        boundary = min(allowed)
        self.has_crossed = [has or now for has, now in zip(self.has_crossed, self.reaching(boundary), strict=True)]
        return boundary

    def tail(self, total: Fraction, *, is_mid: bool) -> Fraction:
        reached = Fraction(0)
        for has, found in zip(self.has_crossed, self.sums, strict=True):
            if has or found > total:
                reached += 1
            elif found == total:
                reached += Fraction(1, 2) if is_mid else 1
        return reached / len(self.signs)


@st.composite
def looked_at(draw, *, of: st.SearchStrategy[int]) -> tuple[list[int], list[tuple[int, float]]]:
    """Up to ten losses, and looks at the first of them with what each may spend."""
    losses = draw(st.lists(of, min_size=1, max_size=10))
    places = sorted(draw(st.lists(st.integers(0, len(losses)), min_size=1, max_size=4)))
    spent = sorted(draw(st.integers(0, 64)) / 128 for _ in places)
    return losses, list(zip(places, spent, strict=True))


@given(looked_at(of=st.integers(-1, 1)))
def test_a_walk_has_the_boundaries_and_p_values_of_all_choices_of_signs(case):
    losses, looks = case
    walk, counted = SignWalk(), Counted(len(losses))
    for place, spent in looks:
        seen = [Fraction(loss) for loss in losses[:place]]
        assert walk.advance([float(loss) for loss in seen]) == counted.advance(seen)
        boundary = counted.cross(Fraction(spent))
        assert walk.cross(spent) == (math.inf if boundary is None else boundary)
        assert walk.crossed == pytest.approx(float(counted.crossed), abs=1e-12)
        assert walk.crossed <= spent
    last = [Fraction(loss) for loss in losses]
    total, expected = walk.advance([float(loss) for loss in last]), counted.advance(last)
    assert total == expected
    assert walk.tail(total) == pytest.approx(float(counted.tail(expected, is_mid=True)), abs=1e-12)


@given(looked_at(of=st.integers(-7, 7)), st.data())
def test_enumerated_draws_have_the_boundaries_and_p_values_of_all_choices_of_signs(case, data):
    """Of tenths, whose sums are no exact floats; after a round, the losses seen earlier may have changed."""
    losses, looks = case
    draws, counted = SignDraws(len(losses)), Counted(len(losses))
    for place, spent in looks:
        if data.draw(st.booleans()):
            losses = data.draw(st.permutations(losses))
        seen = [Fraction(loss, 10) for loss in losses[:place]]
        assert draws.advance([loss / 10 for loss in losses[:place]]) == pytest.approx(float(counted.advance(seen)))
        boundary = counted.cross(Fraction(spent))
        found = draws.cross(spent)
        assert found == (math.inf if boundary is None else pytest.approx(float(boundary), abs=1e-12))
        assert draws.crossed == pytest.approx(float(counted.crossed), abs=1e-12)
    total = draws.advance([loss / 10 for loss in losses])
    expected = counted.advance([Fraction(loss, 10) for loss in losses])
    assert draws.tail(total) == pytest.approx(float(counted.tail(expected, is_mid=False)), abs=1e-12)


def test_a_boundary_may_spend_just_what_it_may():
    walk, draws = SignWalk(), SignDraws(2)
    for signs in (walk, draws):
        signs.advance([1.0, 1.0])
        assert signs.cross(0.25) == 2.0
        assert signs.crossed == 0.25
        assert signs.cross(0.74) == math.inf
        assert signs.cross(0.75) == 0.0


def test_a_rounding_error_of_many_steps_makes_no_p_value_above_1():
    walk = SignWalk()
    walk.advance([1.0] * 78)
    assert math.fsum(walk._alive.values()) > 1
    assert walk.tail(-78.0) == 1.0


def test_of_drawn_signs_the_observed_signs_are_one_themselves():
    """So that a p-value is valid for any number of draws: it is never below 1 in one more than there are, nor above 1."""
    losses = [1.0 + n / 100 for n in range(13)]
    signs = SignDraws(13, draws=9)
    signs.advance(losses)
    assert signs.tail(-100.0) == 1.0
    assert SignDraws(13, draws=9).crossed == 0.0
    largest = max(signs._totals)
    assert signs.tail(largest) == 0.2
    lone = SignDraws(13, draws=1, seed=1)
    observed = [-loss for loss in losses[:7]] + losses[7:]
    total = lone.advance(observed)
    assert lone._totals[0] < total, "by the seed"
    assert sign_flip([-loss for loss in observed]) > 0.5
    assert lone.tail(total) == 0.5


def test_without_a_look_the_p_values_are_those_of_the_fixed_tests():
    losses = [1.0] * 9 + [-1.0] * 3
    walk, draws = SignWalk(), SignDraws(12)
    assert walk.tail(walk.advance(losses)) == pytest.approx(mcnemar_midp(9, 3), abs=1e-12)
    assert draws.tail(draws.advance(losses)) == pytest.approx(sign_flip([-loss for loss in losses]), abs=1e-12)


def walked(chance: random.Random, n: int, changed: int) -> list[float]:
    """Losses of which some are -1 or 1, in a random order."""
    losses = [chance.choice([-1.0, 1.0, 1.0]) for _ in range(changed)] + [0.0] * (n - changed)
    chance.shuffle(losses)
    return losses


@pytest.mark.parametrize("changed", [20, 60, 120])
def test_drawn_signs_are_near_a_walk(changed):
    """Within four standard errors of the draws. No place at which a boundary could be is just what may be spent."""
    losses, draws = walked(random.Random(changed), 200, changed), 40_000
    walk, drawn = SignWalk(), SignDraws(200, draws=draws)
    for place in (50, 100, 150):
        spent = 0.05 * place / 200
        assert walk.advance(losses[:place]) == drawn.advance(losses[:place])
        assert drawn.cross(spent) == walk.cross(spent)
        assert drawn.crossed == pytest.approx(walk.crossed, abs=4 * math.sqrt(spent / draws))
    assert walk.crossed > 0.02
    walk.advance(losses)
    drawn.advance(losses)
    for total in (0.0, 4.0, 10.0, 16.0):
        exact = walk.tail(total) + walk._alive.get(int(total), 0.0) / 2  # draws have no mid-p
        error = math.sqrt(exact * (1 - exact) / draws)
        assert drawn.tail(total) == pytest.approx(exact, abs=4 * error + 1 / draws)


@given(st.lists(st.integers(-1, 1), min_size=1, max_size=60), st.lists(st.integers(0, 60), max_size=5), st.data())
def test_a_walks_p_value_is_never_below_the_fixed_one_nor_above_it_by_more_than_was_spent(losses, places, data):
    walk = SignWalk()
    spent = 0.0
    for place in sorted(place for place in places if place <= len(losses)):
        spent = data.draw(st.floats(spent, 0.5))
        walk.advance(losses[:place])
        walk.cross(spent)
    assert walk.crossed <= spent
    found = walk.tail(walk.advance([float(loss) for loss in losses]))
    fixed = mcnemar_midp(losses.count(1), losses.count(-1)) if any(losses) else 0.5
    assert fixed - 1e-12 <= found <= fixed + walk.crossed + 1e-12


@given(
    st.lists(st.floats(-1, 1).map(lambda loss: round(loss, 3)), min_size=1, max_size=40),
    st.lists(st.integers(0, 40), max_size=4),
    st.data(),
)
def test_a_p_value_of_draws_is_that_of_the_fixed_test_and_what_was_spent(losses, places, data):
    """Beyond the error of the draws of both, five standard errors of each."""
    draws = 2_000
    signs = SignDraws(len(losses), draws=draws)
    spent = 0.0
    for place in sorted(place for place in places if 0 < place <= len(losses)):
        spent = data.draw(st.floats(spent, 0.3))
        signs.advance(losses[:place])
        signs.cross(spent)
    assert signs.crossed <= spent
    found = signs.tail(signs.advance(losses))
    fixed = sign_flip([-loss for loss in losses])
    error = 0.0 if len(losses) <= 12 else 5 * math.sqrt(fixed * (1 - fixed) / draws) + 5 / draws
    assert fixed - error - 1e-12 <= found <= fixed + signs.crossed + error + 1e-12


def test_the_boundaries_of_draws_are_valid_for_any_number_of_draws():
    """Of orders in which the observed signs are themselves one of the draws, at most the share spent crosses."""
    chance, crossed, times, spent = random.Random(5), 0, 3_000, 0.1
    losses = [chance.expovariate(1) for _ in range(20)]
    for seed in range(times):
        signs = SignDraws(20, draws=39, seed=seed)
        observed = [loss * chance.choice([-1, 1]) for loss in losses]
        has_crossed = False
        for place, share in ((8, 0.4), (14, 0.7), (20, 1.0)):
            total = signs.advance(observed[:place])
            has_crossed = has_crossed or total >= signs.cross(spent * share)
        crossed += has_crossed
    error = math.sqrt(spent * (1 - spent) / times)
    assert spent / 2 < crossed / times <= spent + 3 * error


def test_too_few_draws_spend_nothing():
    """A boundary at 1 in 1,000 needs 1,999 draws: one that crosses, and the observed one."""
    losses = [1.0 + n / 100 for n in range(30)]
    for draws, has_boundary in ((1_998, False), (1_999, True)):
        signs = SignDraws(30, draws=draws)
        signs.advance(losses)
        assert (signs.cross(0.001) < math.inf) is has_boundary


def test_a_total_beyond_all_draws_has_a_p_value_below_one_in_them():
    """As in the fixed test, so that one of hundreds of gates can be significant."""
    losses = [1.0 - n / 1000 for n in range(60)]
    signs = SignDraws(60)
    assert 0 < signs.tail(signs.advance(losses)) < 1e-15
    signs.advance(losses[:30])
    signs.cross(0.0005)
    found = signs.tail(signs.advance(losses))
    assert signs.crossed < found <= 0.0005 + 1e-4


def test_the_draws_do_not_depend_on_how_often_they_were_looked_at():
    chance = random.Random(2)
    losses = [chance.gauss(0.1, 1) for _ in range(50)]
    often, once = SignDraws(50), SignDraws(50)
    for place in range(1, 51, 7):
        often.advance(losses[:place])
    assert often.tail(often.advance(losses)) == once.tail(once.advance(losses))


def test_fewer_losses_than_before_are_counted_again():
    """A round in which some examples have no score."""
    chance = random.Random(8)
    losses = [chance.gauss(0.1, 1) for _ in range(40)]
    signs, fresh = SignDraws(40), SignDraws(40)
    signs.advance(losses)
    found = signs.tail(signs.advance(losses[:19]))
    assert found == fresh.tail(fresh.advance(losses[:19]))


# --- the chance of a drop --------------------------------------------------------------------------------


@pytest.mark.parametrize("total", [-10.0, 0.0, 12.5, 30.0])
@pytest.mark.parametrize(("variance", "share", "tolerance"), [(50.0, 0.3, 4.0), (50.0, 0.9, 20.0), (8.0, 0.5, 0.0)])
def test_the_chance_of_a_drop_is_its_formula(total, variance, share, tolerance):
    import scipy.stats

    least = max(1.66 * variance**0.5, tolerance)
    expected = scipy.stats.norm.sf(least, loc=total, scale=(variance * (1 - share) / share) ** 0.5)
    assert chance_of_drop(total, variance, share, tolerance=tolerance) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_without_a_variance_the_drop_is_certain_or_impossible():
    assert chance_of_drop(3.0, 0.0, 0.5, tolerance=2.0) == 1.0
    assert chance_of_drop(2.0, 0.0, 0.5, tolerance=2.0) == 0.0


def graded(chance: random.Random, n: int) -> list[float]:
    """Skewed losses, whose mean is as probable at any place around a standard error."""
    mean = chance.uniform(-0.5, 0.8)
    return [chance.expovariate(1) - 1 + mean for _ in range(n)]


def bools(chance: random.Random, n: int) -> list[float]:
    """Three in ten pairs change, and any share of them for the worse is as probable."""
    worse = chance.uniform(0, 0.3)
    return chance.choices([1.0, -1.0, 0.0], [worse, 0.3 - worse, 0.7], k=n)


@pytest.mark.parametrize("losses_of", [graded, bools])
@pytest.mark.parametrize(("share", "tolerance"), [(0.3, 0.0), (0.6, 0.02), (0.5, 0.1)])
def test_of_the_orders_with_a_chance_about_that_share_ends_with_a_drop(losses_of, share, tolerance):
    """The rest of each order is made, too. Within three standard errors, and a hundredth for the unknown variance."""
    chance = random.Random(f"{losses_of.__name__} {share}")
    n, found = 200, []
    for _ in range(4_000):
        losses = losses_of(chance, n)
        seen, squares = losses[: round(share * n)], math.fsum(loss * loss for loss in losses)
        total, variance = math.fsum(seen) / share, math.fsum(loss * loss for loss in seen) / share
        has_drop = math.fsum(losses) > max(1.66 * math.sqrt(squares), tolerance * n)
        found.append((chance_of_drop(total, variance, share, tolerance=tolerance * n), has_drop))
    for low, high in ((0, 0.02), (0.02, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 0.98), (0.98, 1)):
        chances, drops = zip(*[each for each in found if low <= each[0] <= high], strict=True)
        error = math.sqrt(math.fsum(each * (1 - each) for each in chances)) / len(chances)
        assert len(chances) > 50
        assert statistics.fmean(drops) == pytest.approx(statistics.fmean(chances), abs=3 * error + 0.015)
