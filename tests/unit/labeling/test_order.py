"""The order of labeling: any start of it is a fair sample, the same for everybody, and no label reveals a score."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalwire.labeling import labeling_order
from evalwire.labeling.order import BLOCK

IDS = st.text("abcdef0123456789", min_size=1, max_size=6)
SCORES = st.sampled_from([0.0, 1.0]) | st.sampled_from(["good", "poor", "odd"]) | st.floats(0, 1)


@given(st.dictionaries(IDS, SCORES, max_size=80), st.text(max_size=5))
def test_each_output_is_asked_once_in_an_order_that_depends_on_the_seed_alone(scores, seed):
    order = labeling_order(scores, seed=seed)
    assert sorted(order) == sorted(scores)
    assert labeling_order(dict(reversed(scores.items())), seed=seed) == order


@given(st.dictionaries(IDS, st.sampled_from([0.0, 0.5, 1.0]), max_size=200), st.integers(0, 9))
def test_each_block_has_the_shares_of_the_whole(scores, seed):
    order = labeling_order(scores, seed=str(seed))
    whole = Counter(scores.values())
    for end in range(BLOCK, len(order), BLOCK):
        start = Counter(scores[id_] for id_ in order[:end])
        for score, total in whole.items():
            assert abs(start[score] - end * total / len(order)) <= 2


@pytest.mark.parametrize("rare", [3, 20, 50])
def test_a_rare_score_is_in_every_part(rare):
    scores = {f"r{n}": float(n >= rare) for n in range(100)}
    order = labeling_order(scores, seed="s")
    for end in range(BLOCK, 101, BLOCK):
        assert abs(sum(scores[id_] == 0 for id_ in order[:end]) - end * rare / 100) <= 2


@given(st.integers(50, 300), st.integers(0, 9))
def test_graded_scores_are_spread_by_fifths(size, seed):
    scores = {f"r{n}": n / size for n in range(size)}
    order = labeling_order(scores, seed=str(seed))
    for end in range(BLOCK, size, BLOCK):
        fifths = Counter(math.floor(scores[id_] * 5 - 1e-9) for id_ in order[:end])
        assert all(abs(fifths[fifth] - end / 5) <= 3 for fifth in range(5))


def test_seeds_have_different_orders_and_neighbors_are_random():
    """With equal shares, a fixed alternation would reveal the next score."""
    scores = {f"r{n}": float(n % 2) for n in range(1_000)}
    orders = [labeling_order(scores, seed=str(seed)) for seed in range(5)]
    assert len({tuple(order) for order in orders}) == 5
    for order in orders:
        changes = sum(scores[one] != scores[other] for one, other in pairwise(order))
        assert 500 <= changes <= 610  # 555 expected in blocks of 10; an alternation has 999
