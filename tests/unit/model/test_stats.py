"""The formulas, held to counting everything, to the standard library, and to scipy and statsmodels."""

from __future__ import annotations

import itertools
import math
import random
import statistics
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalwire.model.permutation import sign_flip
from evalwire.model.power import minimum_detectable_change
from evalwire.model.stats import (
    holm,
    mcnemar_midp,
    mean_interval,
    pass_at_k,
    pass_hat_k,
    sample_deviation,
    student_t_cdf,
    student_t_quantile,
    wilson_interval,
)

CASES = [(n, c, k) for n in range(1, 8) for c in range(n + 1) for k in range(1, n + 1)]


def draws(n: int, c: int, k: int) -> list[tuple[bool, ...]]:
    """Every way to take k of n tries of which c passed."""
    return list(itertools.combinations([True] * c + [False] * (n - c), k))


def test_pass_at_k_is_the_share_of_draws_with_a_pass():
    """Of all ways to take k of n runs, pass@k is the share with at least one pass."""
    for n, c, k in CASES:
        drawn = draws(n, c, k)
        assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, drawn)) / len(drawn), abs=1e-15), (n, c, k)


def test_pass_hat_k_is_the_share_of_draws_without_a_failure():
    """Of all ways to take k of n runs, pass^k is the share in which all passed."""
    for n, c, k in CASES:
        drawn = draws(n, c, k)
        assert pass_hat_k(n, c, k) == pytest.approx(sum(map(all, drawn)) / len(drawn), abs=1e-15), (n, c, k)


@pytest.mark.parametrize("n", [1, 3, 100])
def test_one_try_of_all_passed_or_none_is_exact(n):
    """Nothing passed is 0, everything passed is 1, and one try is the share that passed: no rounding shows."""
    for formula in (pass_at_k, pass_hat_k):
        assert [formula(n, 0, k) for k in (1, n)] == [0.0, 0.0]
        assert [formula(n, n, k) for k in (1, n)] == [1.0, 1.0]
    assert pass_hat_k(n, 1, 1) == 1 / n


def test_many_tries_do_not_overflow():
    """Thousands of tries make numbers beyond any float, and their quotient is one all the same."""
    assert pass_at_k(5000, 1, 2500) == 0.5
    assert pass_hat_k(5000, 4999, 2500) == 0.5


@pytest.mark.parametrize("formula", [pass_at_k, pass_hat_k])
@pytest.mark.parametrize(
    ("n", "c", "k"), [(3, 1, 4), (3, 1, 0), (3, 1, -1), (3, 4, 1), (3, -1, 1), (0, 0, 1), (0, 0, 0)]
)
def test_what_cannot_be_drawn_is_an_error(formula, n, c, k):
    """More than there is, nothing at all, or more passes than tries have no estimate."""
    with pytest.raises(ValueError, match="cannot draw"):
        formula(n, c, k)


@pytest.mark.parametrize("count", [2, 3, 10, 1000])
def test_a_deviation_is_that_of_the_standard_library(count):
    """On any numbers, near or far from zero, it is `statistics.stdev`, which computes in fractions."""
    chance = random.Random(count)
    for middle, width in [(0, 1), (0.5, 0.5), (1e9, 1e-3), (-3, 1e-12), (0, 1e200)]:
        values = [chance.uniform(middle - width, middle + width) for _ in range(count)]
        assert sample_deviation(values) == pytest.approx(statistics.stdev(values), rel=1e-9)


def test_a_deviation_divides_by_one_less_than_there_are():
    """One pass in two tries is spread by the root of a half, not by a half."""
    assert sample_deviation([0.0, 1.0]) == pytest.approx(math.sqrt(0.5))


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e300, 0.0])
@pytest.mark.parametrize("count", [2, 3, 10])
def test_equal_values_have_no_deviation(value, count):
    """What is always the same is not spread, not even by a rounding error."""
    assert sample_deviation([value] * count) == 0.0


@pytest.mark.parametrize("values", [[], [1.0]])
def test_fewer_than_two_values_have_no_deviation(values):
    """One value says nothing of how far another would be."""
    with pytest.raises(ValueError, match="two values or more"):
        sample_deviation(values)


FREEDOMS = [1, 1.5, 2, 3, 4.7, 9, 10, 29, 99, 499, 999, 9_999, 1e6]


@pytest.mark.parametrize("df", FREEDOMS)
def test_students_distribution_is_scipys(df):
    """From the middle to far out on both sides, in the tails by their own measure."""
    import scipy.stats

    for t in (0.0, 1e-9, 0.01, 0.3, 0.68, 1.0, 1.7, 1.74, 2.3, 5.0, 12.0, 40.0):
        for signed in (t, -t):
            expected = scipy.stats.t.cdf(signed, df)
            assert student_t_cdf(signed, df) == pytest.approx(expected, rel=1e-8, abs=1e-100)


@pytest.mark.parametrize("df", FREEDOMS)
def test_students_quantiles_are_scipys(df):
    """Of every probability that anybody would ask for, and of some that nobody would."""
    import scipy.stats

    for p in (1e-12, 1e-6, 0.001, 0.025, 0.05, 0.2, 0.4999, 0.5, 0.6, 0.8, 0.95, 0.975, 0.999, 1 - 1e-6):
        assert student_t_quantile(p, df) == pytest.approx(scipy.stats.t.ppf(p, df), rel=1e-8, abs=1e-12)


@given(st.floats(-1e3, 1e3, allow_subnormal=False), st.floats(-1e3, 1e3, allow_subnormal=False), st.floats(1, 1e5))
def test_students_distribution_rises_and_is_symmetric(one, other, df):
    """More is never less likely to be below, and below -t is as likely as above t."""
    low, high = sorted([one, other])
    assert 0 <= student_t_cdf(low, df) <= student_t_cdf(high, df) + 1e-12
    assert student_t_cdf(-one, df) + student_t_cdf(one, df) == pytest.approx(1, abs=1e-15)


@given(st.floats(1e-9, 1 - 1e-9), st.floats(1, 1e5))
def test_a_quantile_is_where_the_distribution_has_its_probability(p, df):
    """One is the other's inverse."""
    assert student_t_cdf(student_t_quantile(p, df), df) == pytest.approx(p, rel=1e-9)


def test_with_very_many_degrees_of_freedom_student_is_normal():
    """What is beyond any dataset neither takes for ever nor goes astray."""
    normal = statistics.NormalDist()
    for df in (1e7, 1e12, math.inf):
        assert student_t_quantile(0.975, df) == pytest.approx(normal.inv_cdf(0.975), abs=1e-6)
        assert student_t_cdf(-1.0, df) == pytest.approx(normal.cdf(-1.0), abs=1e-7)
    assert [student_t_cdf(t, 3) for t in (-math.inf, -1e200, 1e200, math.inf)] == [0, 0, 1, 1]


def test_what_students_distribution_does_not_have_is_an_error():
    """No degree of freedom, and no quantile of what is never or always so."""
    for df in (0, 0.5, -1, math.nan):
        with pytest.raises(ValueError, match="degrees of freedom must be at least 1"):
            student_t_cdf(1.0, df)
    for p in (0, 1, -0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="probability of a quantile"):
            student_t_quantile(p, 3)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize(("passes", "n"), [(0, 1), (1, 1), (0, 10), (10, 10), (3, 10), (499, 500), (77_777, 100_000)])
def test_a_wilson_interval_is_that_of_statsmodels(passes, n, confidence):
    """At the ends as in between."""
    from statsmodels.stats.proportion import proportion_confint

    expected = proportion_confint(passes, n, alpha=1 - confidence, method="wilson")
    assert wilson_interval(passes, n, confidence=confidence) == pytest.approx(expected, abs=1e-9)


def test_ten_of_ten_passes_do_not_prove_that_all_would():
    """The figure of which the t interval would be [1, 1]."""
    assert wilson_interval(10, 10) == pytest.approx((0.722, 1.0), abs=5e-4)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.01, 0.9999))
def test_a_wilson_interval_is_around_the_rate_and_within_0_and_1(rate, confidence):
    """It has a width, failures are the mirror of passes, and more of the same is narrower."""
    passes, n = rate
    low, high = wilson_interval(passes, n, confidence=confidence)
    assert 0 <= low <= passes / n <= high <= 1
    assert low < high
    mirrored = wilson_interval(n - passes, n, confidence=confidence)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-12)
    more_low, more_high = wilson_interval(10 * passes, 10 * n, confidence=confidence)
    assert more_high - more_low < high - low


@pytest.mark.parametrize(("passes", "n"), [(0, 0), (-1, 3), (4, 3)])
def test_what_is_no_rate_has_no_interval(passes, n):
    """None of none, fewer than none, more than all."""
    with pytest.raises(ValueError, match="is not a rate"):
        wilson_interval(passes, n)


@pytest.mark.parametrize("confidence", [0, 1, -0.5, 95])
def test_a_confidence_is_between_0_and_1(confidence):
    """95 is a mistake for 0.95."""
    with pytest.raises(ValueError, match="confidence level must be"):
        wilson_interval(1, 2, confidence=confidence)
    with pytest.raises(ValueError, match="confidence level must be"):
        mean_interval([1.0, 2.0], confidence=confidence)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize("n", [2, 3, 10, 300])
def test_the_interval_of_a_mean_is_scipys(n, confidence):
    """Of values, and of paired differences."""
    import scipy.stats

    chance = random.Random(n)
    before = [chance.betavariate(5, 2) for _ in range(n)]
    after = [value + chance.gauss(-0.1, 0.2) for value in before]
    alone = scipy.stats.ttest_1samp(before, 0).confidence_interval(confidence)
    assert mean_interval(before, confidence=confidence) == pytest.approx(tuple(alone), abs=1e-9)
    paired = scipy.stats.ttest_rel(after, before).confidence_interval(confidence)
    gains = [new - old for new, old in zip(after, before, strict=True)]
    assert mean_interval(gains, confidence=confidence) == pytest.approx(tuple(paired), abs=1e-9)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e300, 0.0])
def test_the_interval_of_equal_values_has_no_width(value):
    """Not even by a rounding error."""
    assert mean_interval([value] * 7) == (value, value)


@pytest.mark.parametrize("values", [[], [1.0]])
def test_one_value_has_no_interval(values):
    """One value says nothing of how far another would be."""
    with pytest.raises(ValueError, match="two values or more"):
        mean_interval(values)


def test_mcnemars_mid_p_is_that_of_its_paper():
    """1 child with hyper-responsive airways before alone, 7 after alone: Fagerland et al. give 0.0391, two-sided."""
    assert 2 * mcnemar_midp(7, 1) == pytest.approx(0.0391, abs=5e-5)


@pytest.mark.parametrize("n", range(9))
def test_mcnemars_mid_p_is_a_count_of_all_outcomes(n):
    """Every sequence of changes for better and worse is as likely as any other; equal ones count half."""
    outcomes = [sum(coins) for coins in itertools.product([0, 1], repeat=n)]
    for worse in range(n + 1):
        expected = Fraction(2 * sum(x > worse for x in outcomes) + sum(x == worse for x in outcomes), 2 ** (n + 1))
        assert mcnemar_midp(worse, n - worse) == pytest.approx(float(expected), rel=1e-14)


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        (5, 0),
        (0, 5),
        (20, 9),
        (60, 40),
        (40, 60),
        (540, 480),
        (900, 100),
        (5_000, 5_000),
        (50_300, 49_700),
        (0, 100_000),
    ],
)
def test_mcnemars_mid_p_is_scipys(worse, better):
    """Also where the number of outcomes is beyond any float."""
    import scipy.stats

    coin = scipy.stats.binom(worse + better, 0.5)
    assert mcnemar_midp(worse, better) == pytest.approx(coin.sf(worse) + coin.pmf(worse) / 2, rel=1e-8, abs=1e-300)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemars_mid_p_falls_with_each_one_that_became_worse(worse, better):
    """It is a probability, rises with each that became better, and its mirror is the rest of 1."""
    p = mcnemar_midp(worse, better)
    assert 0 <= p <= 1
    assert mcnemar_midp(worse + 1, better) <= p <= mcnemar_midp(worse, better + 1)
    assert p + mcnemar_midp(better, worse) == pytest.approx(1, abs=1e-12)


def test_as_many_worse_as_better_is_a_mid_p_of_a_half():
    """None of either is no exception."""
    assert [mcnemar_midp(count, count) for count in (0, 1, 2, 77)] == pytest.approx([0.5] * 4, abs=1e-12)


@pytest.mark.parametrize("counts", [(-1, 3), (3, -1)])
def test_a_count_below_0_has_no_mid_p(counts):
    """It comes of a mistake."""
    with pytest.raises(ValueError, match="counts must not be negative"):
        mcnemar_midp(*counts)


@pytest.mark.parametrize("count", [1, 2, 3, 8, 20])
def test_holms_p_values_are_those_of_statsmodels(count, monkeypatch):
    """In the given order, ties and ends included."""
    from statsmodels.stats.multitest import multipletests

    monkeypatch.setattr("gc.collect", int)  # which it calls each time
    chance = random.Random(count)
    for _ in range(4):
        p_values = [chance.choice([chance.random() ** 3, 0.0, 0.01, 0.05, 1.0]) for _ in range(count)]
        assert holm(p_values) == pytest.approx(list(multipletests(p_values, method="holm")[1]), abs=1e-12)


@given(st.lists(st.floats(0, 1), max_size=12), st.randoms(use_true_random=False))
def test_holms_p_values_keep_their_order_of_size_and_do_not_shrink(p_values, chance):
    """What was smaller stays as small or smaller, and whatever the order in which they are given, each has its own."""
    adjusted = holm(p_values)
    assert all(p <= new <= 1 for p, new in zip(p_values, adjusted, strict=True))
    both = list(zip(p_values, adjusted, strict=True))
    assert [new for _, new in sorted(both)] == sorted(adjusted)
    chance.shuffle(both)
    assert holm([p for p, _ in both]) == [new for _, new in both]


def test_holm_of_one_is_itself_and_of_none_is_none():
    """Whoever gates one evaluator pays nothing."""
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_holm_takes_p_values(p):
    """Anything else would be put in order all the same."""
    with pytest.raises(ValueError, match="a p-value must be between 0 and 1"):
        holm([0.5, p])


@pytest.mark.parametrize("n", [5, 10, 30, 200, 2000])
def test_the_detectable_drop_of_a_mean_is_nearly_that_of_statsmodels(n):
    """Which solves the t test's power by the noncentral distribution."""
    from statsmodels.stats.power import TTestPower

    chance = random.Random(n)
    gains = [chance.gauss(0, 0.3) for _ in range(n)]
    size = TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8, alternative="larger")
    found = minimum_detectable_change(gains, is_bool=False)
    assert found == pytest.approx(size * sample_deviation(gains), rel=0.02)


def find(drop: float, gains: list[float], p_value, chance: random.Random) -> float:
    """How often a drop by `drop` is significant beside noise like these gains: any of them, better or worse alike."""
    tries = 400
    found = 0
    for _ in range(tries):
        noise = [gain * chance.choice([-1, 1]) for gain in chance.choices(gains, k=len(gains))]
        found += p_value(drop, noise, chance) <= 0.05
    return found / tries


def p_of_lowered_scores(drop: float, noise: list[float], chance: random.Random) -> float:
    return sign_flip([gain - drop for gain in noise], draws=199, seed=chance.getrandbits(32))


def p_of_failures(drop: float, noise: list[float], chance: random.Random) -> float:
    """Each example fails with the same probability."""
    gains = [-1.0 if chance.random() < drop else gain for gain in noise]
    return mcnemar_midp(gains.count(-1), gains.count(1))


@pytest.mark.slow
@pytest.mark.parametrize("n", [8, 20, 60])
def test_a_detectable_drop_of_a_mean_is_found_in_four_of_five_cases(n):
    """By the test that gates use, of skewed and tied scores too; half of the drop is mostly not found."""
    chance = random.Random(n)
    continuous = [chance.betavariate(5, 1) - chance.betavariate(5, 1) for _ in range(n // 2)]
    tied = [chance.choice([-0.5, 0, 0.25, 0.25]) for _ in range(n // 2)]
    for half in (continuous, tied):
        gains = half + [-gain for gain in half]
        drop = minimum_detectable_change(gains, is_bool=False)
        assert 0.65 < find(drop, gains, p_of_lowered_scores, chance) < 0.95
        assert find(drop / 2, gains, p_of_lowered_scores, chance) < 0.5


@pytest.mark.slow
@pytest.mark.parametrize(("n", "changed"), [(10, 2), (20, 2), (20, 6), (50, 4), (50, 16), (200, 40), (1000, 200)])
def test_a_detectable_drop_of_a_pass_rate_is_found_in_four_of_five_cases(n, changed):
    """Numbers of examples are whole and so are never right to the last per cent; half of the drop is mostly not found."""
    chance = random.Random(n)
    gains = [-1.0, 1.0] * (changed // 2) + [0.0] * (n - changed)
    drop = minimum_detectable_change(gains, is_bool=True)
    assert 0.65 < find(drop, gains, p_of_failures, chance) < 0.95
    assert find(drop / 2, gains, p_of_failures, chance) < 0.5


@pytest.mark.parametrize("n", [4, 5, 50, 5000])
def test_without_noise_the_detectable_drop_is_that_of_four_failures_in_four_of_five_cases(n):
    """Four that became worse and none that became better are significant at 0.05; three are not."""
    assert mcnemar_midp(4, 0) <= 0.05 < mcnemar_midp(3, 0)
    drop = minimum_detectable_change([0.0] * n, is_bool=True)
    assert 3.5 < drop * n < 6.5
    stricter = minimum_detectable_change([0.0] * n, is_bool=True, significance=0.01)
    assert (stricter is None) if n < 6 else stricter > drop


def test_beside_much_noise_it_takes_all_of_a_few():
    """Where no smaller number of failures would be enough, that of all examples is one."""
    assert minimum_detectable_change([-1.0, 1.0, -1.0, 1.0, -1.0], is_bool=True) == 1.0


@pytest.mark.parametrize("significance", [0.001, 0.01, 0.05, 0.2])
def test_no_drop_is_detectable_where_the_worst_that_could_be_is_not_significant(significance):
    """With one pair fewer there is none, and with that many there is one, of at most everything."""
    for is_bool, worst in ((True, lambda n: mcnemar_midp(n, 0)), (False, lambda n: sign_flip([-1.0] * n))):
        enough = next(n for n in range(2, 20) if worst(n) <= significance)
        for n in range(enough + 3):
            gains = [-1.0, 1.0, -1.0, 0.0, 1.0, 0.0, -1.0, 1.0, 0.0, 0.0, 1.0, -1.0, 1.0, 1.0][:n]
            drop = minimum_detectable_change(gains, is_bool=is_bool, significance=significance)
            assert (drop is None) == (n < enough)
            assert drop is None or not is_bool or 0 < drop <= 1


def test_equal_gains_say_nothing_of_what_is_detectable():
    """A drop of 0 would be a lie, and how far such scores vary is not known."""
    assert minimum_detectable_change([0.0] * 50, is_bool=False) is None
    assert minimum_detectable_change([-0.1] * 50, is_bool=False) is None


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=20, max_size=60), st.booleans(), st.floats(0.001, 0.4))
def test_more_pairs_detect_less_and_more_certainty_takes_more(gains, is_bool, significance):
    """Four times the pairs of the same spread detect a smaller drop; so does a laxer test, and one that may miss more."""
    gains[:3] = [-1.0, 0.0, 1.0]
    drop = minimum_detectable_change(gains, is_bool=is_bool, significance=significance)
    assert minimum_detectable_change(gains * 4, is_bool=is_bool, significance=significance) < drop
    assert minimum_detectable_change(gains, is_bool=is_bool, significance=significance / 2) >= drop
    assert minimum_detectable_change(gains, is_bool=is_bool, significance=significance, power=0.9) >= drop


@pytest.mark.parametrize("share", [0, 1, -0.1, 80])
def test_significance_and_power_are_between_0_and_1(share):
    """80 is a mistake for 0.8."""
    with pytest.raises(ValueError, match="a significance level must be"):
        minimum_detectable_change([0.0, 1.0] * 9, is_bool=False, significance=share)
    with pytest.raises(ValueError, match="a power must be"):
        minimum_detectable_change([0.0, 1.0] * 9, is_bool=True, power=share)
