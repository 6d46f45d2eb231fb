"""Score whether the output is among the expected items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evalwire.evaluators._expected import Evaluator, items, matches

if TYPE_CHECKING:
    from collections.abc import Mapping


def make_membership_evaluator(*, key: str = "expected_output") -> Evaluator[bool]:
    """Make an evaluator that scores whether the output is among the expected items.

    Values are compared as for `make_exact_match_evaluator`. An output of None or an example without an expected item
    scores False.

    Args:
        key: the expected column.

    Returns:
        A function of `output` and `expected` that returns a bool. It raises TypeError if `expected` is not a mapping.
    """

    def is_in(output: Any, expected: Mapping[str, Any] | None) -> bool:
        """Check whether the output is among the expected items."""
        wanted = items(expected, key)
        return output is not None and any(matches(item, output) for item in wanted)

    return is_in
