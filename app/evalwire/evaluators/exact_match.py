"""Score whether the output equals the expected item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evalwire.evaluators._expected import Evaluator, items, matches

if TYPE_CHECKING:
    from collections.abc import Mapping


def make_exact_match_evaluator(*, key: str = "expected_output") -> Evaluator[bool]:
    """Make an evaluator that scores whether the output equals the first expected item.

    Values are compared as in JSON, so `True` does not equal 1. An expected text also equals the value that it spells:
    `"42"` equals `"42"` and 42. An output of None or an example without an expected item scores False.

    Args:
        key: the expected column.

    Returns:
        A function of `output` and `expected` that returns a bool. It raises TypeError if `expected` is not a mapping.
    """

    def exact_match(output: Any, expected: Mapping[str, Any] | None) -> bool:
        """Check whether the output equals the first expected item."""
        wanted = items(expected, key)
        return output is not None and bool(wanted) and matches(wanted[0], output)

    return exact_match
