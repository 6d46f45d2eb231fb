"""The order in which a person labels outputs: random, with the same share of each score in every part."""

from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BLOCK = 10
"""The number of outputs in which the shares of the scores are as in the whole."""

_MOST_STRATA = 5


def labeling_order(scores: Mapping[str, float | str], *, seed: str) -> list[str]:
    """Return IDs in a random order that is stratified in proportion by their scores.

    After each `BLOCK` IDs, the number of IDs of each stratum is within 2 of the stratum's share. Any start of the order
    is thus a fair sample. Within a block the order is random, so that a label does not reveal the next score.

    The order depends only on the arguments, without the order of `scores`.

    Args:
        scores: the score or the label of each output, by the output's ID.
        seed: a text, such as the ID of the experiment; another text has another order.
    """
    placed = []
    for number, stratum in enumerate(_strata(scores)):
        shuffled = sorted(stratum, key=lambda id_: _digest(seed, "stratum", id_))
        phase = _fraction(seed, "phase", str(number))
        placed += [((rank + phase) / len(shuffled), id_) for rank, id_ in enumerate(shuffled)]
    spread = [id_ for _, id_ in sorted(placed)]
    blocks = (spread[start : start + BLOCK] for start in range(0, len(spread), BLOCK))
    return [id_ for block in blocks for id_ in sorted(block, key=lambda id_: _digest(seed, "block", id_))]


def _strata(scores: Mapping[str, float | str]) -> list[list[str]]:
    """Return the IDs by score or label; if there are more than 5 different scores, by fifths of the scores."""
    by_score: dict[float | str, list[str]] = {}
    for id_ in sorted(scores):
        by_score.setdefault(scores[id_], []).append(id_)
    if len(by_score) <= _MOST_STRATA or any(isinstance(score, str) for score in by_score):
        return [by_score[score] for score in sorted(by_score, key=lambda score: (isinstance(score, str), str(score)))]
    ranked = sorted(scores, key=lambda id_: (scores[id_], id_))
    edges = [len(ranked) * part // _MOST_STRATA for part in range(_MOST_STRATA + 1)]
    return [ranked[start:end] for start, end in itertools.pairwise(edges)]


def _digest(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).digest()


def _fraction(*parts: str) -> float:
    return int.from_bytes(_digest(*parts)[:6]) / 2**48
