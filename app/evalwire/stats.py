"""The formulas behind repeated runs; pure, and of the standard library alone."""

from __future__ import annotations

import math
from collections.abc import Sequence


def sample_deviation(values: Sequence[float]) -> float:
    """The sample standard deviation, sqrt(sum((x - mean)²) / (n - 1)), with Bessel's correction.

    Source: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.5.6.

    Raises:
        ValueError: fewer than two values have none.
    """
    if len(values) < 2:  # noqa: PLR2004 - the formula's own bound
        raise ValueError(f"a deviation needs two values or more, not {len(values)}")
    shifted = [value - values[0] for value in values]  # so that equal values have none, not even by a rounding
    mean = math.fsum(shifted) / len(shifted)
    return math.hypot(*(value - mean for value in shifted)) / math.sqrt(len(shifted) - 1)


def pass_at_k(n: int, c: int, k: int) -> float:
    """pass@k: how likely one of `k` tries passes at least, by `c` passes in `n` tries: 1 - C(n-c, k) / C(n, k).

    Source: Chen et al. 2021, "Evaluating Large Language Models Trained on Code", arXiv 2107.03374, equation 1.

    Raises:
        ValueError: not 1 <= k <= n, or not 0 <= c <= n.
    """
    return 1 - _share_of_subsets(n, n - c, k)


def pass_hat_k(n: int, c: int, k: int) -> float:
    """pass^k: how likely all of `k` tries pass, by `c` passes in `n` tries: C(c, k) / C(n, k).

    Source: Yao et al. 2024, "τ-bench", arXiv 2406.12045.

    Raises:
        ValueError: not 1 <= k <= n, or not 0 <= c <= n.
    """
    return _share_of_subsets(n, c, k)


def _share_of_subsets(n: int, members: int, k: int) -> float:
    """Of all ways to draw `k` of `n` things, the share that draws from some `members` of them only."""
    if not (1 <= k <= n and 0 <= members <= n):
        raise ValueError(f"no {k} of {n} can be drawn, {members} of which are of one kind")
    return math.comb(members, k) / math.comb(n, k)
