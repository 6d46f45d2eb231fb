"""The agreement with people, held to scikit-learn and scipy, to counting, and to simulation."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalwire.model.agreement import (
    AgreementTable,
    kappa_interval,
    rank_correlation,
    weighted_kappa,
    weighted_kappa_interval,
)

PAIRS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)
GRADES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=40)


@given(PAIRS)
def test_kappa_is_scikit_learns(pairs):
    from sklearn.metrics import cohen_kappa_score

    found = AgreementTable.of(pairs).kappa
    if len({value for pair in pairs for value in pair}) == 1:
        assert found is None, "all agree on the only value"
        return
    expected = cohen_kappa_score(*zip(*pairs, strict=True))
    assert found == pytest.approx(expected, abs=1e-9)


@given(GRADES)
def test_the_weighted_kappa_of_grades_is_scikit_learns(pairs):
    from sklearn.metrics import cohen_kappa_score

    found = weighted_kappa([(float(a), float(b)) for a, b in pairs])
    if len({value for pair in pairs for value in pair}) == 1:
        assert found is None
        return
    expected = cohen_kappa_score(*zip(*pairs, strict=True), weights="quadratic", labels=range(5))
    assert found == pytest.approx(expected, abs=1e-9)


@given(GRADES)
def test_the_rank_correlation_is_scipys(pairs):
    import scipy.stats

    first, second = zip(*pairs, strict=True)
    found = rank_correlation([(float(a), float(b)) for a, b in pairs])
    if min(len(set(first)), len(set(second))) == 1:
        assert found is None
        return
    assert found == pytest.approx(scipy.stats.spearmanr(first, second).statistic, abs=1e-9)


def test_a_table_counts_what_people_and_the_evaluator_say():
    table = AgreementTable.of(
        [*[(True, True)] * 46, *[(True, False)] * 4, *[(False, True)] * 9, *[(False, False)] * 20]
    )
    assert (table.true_passes, table.false_failures, table.false_passes, table.true_failures) == (46, 4, 9, 20)
    assert (table.size, table.passes, table.failures) == (79, 50, 29)
    assert table.true_pass_rate == pytest.approx(0.92)
    assert table.true_failure_rate == pytest.approx(20 / 29)
    assert table.discrimination == pytest.approx(0.92 + 20 / 29 - 1)


def test_without_a_failure_by_people_the_rate_of_found_failures_is_unknown():
    table = AgreementTable(true_passes=8, false_failures=2)
    assert table.true_pass_rate == 0.8
    assert table.true_failure_rate is None
    assert table.discrimination is None
    assert table.kappa == pytest.approx(0.0)


def test_nothing_has_no_agreement():
    assert AgreementTable().kappa is None
    assert AgreementTable().true_pass_rate is None
    with pytest.raises(ValueError, match=r"^an interval needs at least one output, got 0$"):
        kappa_interval([])


def test_a_single_output_proves_nothing():
    interval = kappa_interval([AgreementTable(true_passes=1)])
    assert (interval.low, interval.high) == (0, 0)


def exactly(weights, size, statistic):
    """The probability of each value of a statistic of a resample, from all resamples."""
    total, found = sum(weights.values()), Counter()
    for drawn in itertools.combinations_with_replacement(weights, size):
        times = Counter(drawn).values()
        ways = math.factorial(size) / math.prod(map(math.factorial, times))
        found[round(statistic(drawn) or 0.0, 9)] += ways * math.prod(weights[each] / total for each in drawn)
    return found


def share_below(end, found, *, with_ties):
    return sum(share for value, share in found.items() if value < end - 1e-9 or (with_ties and value < end + 1e-9))


def is_interval_of(interval, found):
    """Whether the ends are the quantiles, up to the share by which 2,000 draws differ from all resamples."""
    assert (interval.method, interval.confidence) == ("bootstrap", 0.95)
    return all(
        share_below(end, found, with_ties=False) - 0.007 <= quantile <= share_below(end, found, with_ties=True) + 0.007
        for end, quantile in ((interval.low, 0.025), (interval.high, 0.975))
    )


@pytest.mark.parametrize("cells", [(6, 0, 0, 3), (2, 1, 1, 6), (5, 3, 0, 3), (4, 1, 0, 4)])
def test_the_interval_is_of_all_resamples_of_the_outputs_and_of_half_an_output_in_each_cell(cells):
    weights = {(n == 0, n == 1, n == 2, n == 3): times + 0.5 for n, times in enumerate(cells)}

    def kappa(drawn):
        both, missed, wrong, neither = (sum(column) for column in zip(*drawn, strict=True))
        return AgreementTable(true_passes=both, false_failures=missed, false_passes=wrong, true_failures=neither).kappa

    fields = ("true_passes", "false_failures", "false_passes", "true_failures")
    tables = singles(AgreementTable(**dict(zip(fields, cells, strict=True))))
    assert is_interval_of(kappa_interval(tables), exactly(weights, sum(cells), kappa))


@pytest.mark.parametrize(
    "pairs",
    [
        [(0, 0), (1, 1), (2, 3), (4, 4)],
        [(0, 0), (0, 0), (1, 1), (3, 3)],
        [(0, 1), (1, 0), (3, 4)],
    ],
)
def test_the_interval_of_a_weighted_kappa_is_of_all_resamples_and_of_two_pairs_by_chance(pairs):
    weights = Counter(pairs)
    for (first, _), (_, second) in itertools.product(pairs, pairs):
        weights[first, second] += 2 / len(pairs) ** 2
    interval = weighted_kappa_interval([[(float(a), float(b))] for a, b in pairs])
    assert is_interval_of(interval, exactly(weights, len(pairs), weighted_kappa))


def singles(table: AgreementTable) -> list[AgreementTable]:
    return [
        *[AgreementTable(true_passes=1)] * table.true_passes,
        *[AgreementTable(false_failures=1)] * table.false_failures,
        *[AgreementTable(false_passes=1)] * table.false_passes,
        *[AgreementTable(true_failures=1)] * table.true_failures,
    ]


def test_the_interval_contains_kappa_and_narrows_with_more_labels():
    small = AgreementTable(true_passes=46, false_failures=4, false_passes=9, true_failures=20)
    large = AgreementTable(true_passes=460, false_failures=40, false_passes=90, true_failures=200)
    narrow, wide = kappa_interval(singles(large)), kappa_interval(singles(small))
    assert wide.low < narrow.low < small.kappa < narrow.high < wide.high
    assert (wide.high - wide.low) / (narrow.high - narrow.low) == pytest.approx(math.sqrt(10), rel=0.15)


def test_the_interval_is_the_same_for_the_same_seed():
    tables = singles(AgreementTable(true_passes=30, false_failures=4, true_failures=20))
    assert kappa_interval(tables, seed=3) == kappa_interval(tables, seed=3) != kappa_interval(tables, seed=4)
    grades = [[(n % 5 / 4, n % 7 / 6)] for n in range(30)]
    intervals = [weighted_kappa_interval(grades, seed=seed) for seed in (3, 3, 4)]
    assert intervals[0] == intervals[1] != intervals[2]


def test_labels_of_the_same_example_are_not_independent():
    """Ten labels of each of twelve examples that all agree say as much as twelve labels."""
    apart = singles(AgreementTable(true_passes=60, false_failures=20, true_failures=40))
    together = [
        *[AgreementTable(true_passes=10)] * 6,
        *[AgreementTable(false_failures=10)] * 2,
        *[AgreementTable(true_failures=10)] * 4,
    ]
    independent, clustered = kappa_interval(apart), kappa_interval(together)
    assert clustered.high - clustered.low > 2 * (independent.high - independent.low)


def test_without_any_disagreement_the_lower_end_stays_below_one():
    interval = kappa_interval(singles(AgreementTable(true_passes=25, true_failures=15)))
    assert 0.5 < interval.low < 0.95 <= interval.high


def test_the_interval_of_a_weighted_kappa_contains_it():
    chance = random.Random(5)
    grades = [chance.randrange(5) for _ in range(120)]
    examples = [[(float(grade), float(min(4, max(0, grade + chance.choice([-1, 0, 0, 1])))))] for grade in grades]
    interval = weighted_kappa_interval(examples)
    assert interval.low < weighted_kappa([pair for (pair,) in examples]) < interval.high
    assert interval.high - interval.low < 0.2


@pytest.mark.parametrize(("size", "most"), [(4, 0.1), (10, 0.5), (60, 0.95)])
def test_a_few_scores_without_any_disagreement_do_not_prove_agreement(size, most):
    interval = weighted_kappa_interval([[(grade / size, grade / size)] for grade in range(size)])
    assert interval.low < most
    assert interval.high == 1.0
