"""Whether the output equals what is expected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evalwire.evaluators._expected import Evaluator, items, matches

if TYPE_CHECKING:
    from collections.abc import Mapping


def make_exact_match_evaluator(*, key: str = "expected_output") -> Evaluator[bool]:
    """Make an evaluator that scores whether the output equals the first expected item.

    Values are equal as in JSON, so `True` is no 1; an expected text also equals the value that it spells, so `"42"`
    equals `"42"` and 42. An output of None, and an example without an expectation, score False.

    Args:
        key: the expected column.

    Returns:
        A function of `output` and `expected` that returns a bool. It raises TypeError when `expected` is not a mapping.
    """

    def exact_match(output: Any, expected: Mapping[str, Any] | None) -> bool:
        """Check whether the output equals the first expected item."""
        wanted = items(expected, key)
        return output is not None and bool(wanted) and matches(wanted[0], output)

    return exact_match
