"""Score the positions of the expected items in a ranking."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from evalwire.evaluators._expected import Evaluator, items, matches
from evalwire.evaluators._values import as_text, plain

if TYPE_CHECKING:
    from collections.abc import Mapping


def make_top_k_evaluator(K: int = 20, *, key: str = "expected_output") -> Evaluator[float]:  # noqa: N803 - a contract
    """Make an evaluator that scores the positions of the expected items in the first K elements of the output.

    An item at position `pos`, counted from 0, scores `1 - pos / K`. A missing item scores 0. The score is the mean over
    the items, from 0.0 to 1.0. The output is a list or a tuple, best first. Text or a number is a ranking with a single
    element. Values are compared as for `make_exact_match_evaluator`. An output of None or an example without an
    expected item scores 0.0.

    Args:
        K: number of elements that count (default: 20).
        key: the expected column.

    Returns:
        A function of `output` and `expected` that returns a float. It raises TypeError if the output is not a ranking,
        or if `expected` is not a mapping.

    Raises:
        ValueError: K is less than 1.
        TypeError: K is not a whole number.
    """
    size = operator.index(K)
    if size < 1:
        raise ValueError(f"K must be at least 1, not {size}")

    def top_k(output: Any, expected: Mapping[str, Any] | None) -> float:
        """Return the mean of `1 - position / K` over the expected items; a missing item counts as 0."""
        wanted = items(expected, key)
        if output is None or not wanted:
            return 0.0
        ranking = _ranking(output)[:size]
        return sum(_score(item, ranking, size) for item in wanted) / len(wanted)

    return top_k


def _ranking(output: Any) -> list[Any] | tuple[Any, ...]:
    found = plain(output)
    if isinstance(found, list | tuple):
        return found
    if as_text(found) is None:
        raise TypeError(f"a ranking must be a list, best first, not a {type(output).__qualname__}")
    return [found]


def _score(item: Any, ranking: list[Any] | tuple[Any, ...], size: int) -> float:
    position = next((pos for pos, element in enumerate(ranking) if matches(item, element)), size)
    return 1 - position / size
