"""Score whether the output contains the expected item."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from evalwire.evaluators._expected import Evaluator, items, matches, unreadable
from evalwire.evaluators._values import as_text, plain


def make_contains_evaluator(*, key: str = "expected_output") -> Evaluator[bool]:
    """Make an evaluator that scores whether the first expected item is in the output.

    In text, or in a number as Python writes it, the item is searched as case-sensitive text. In a list, a tuple or a
    set, the item must equal an element, and in a dict a key. Equality is defined as for
    `make_exact_match_evaluator`. An output of None or an example without an expected item scores False.

    Args:
        key: the expected column.

    Returns:
        A function of `output` and `expected` that returns a bool. It raises TypeError if `expected` is not a mapping,
        if the output has another type, or if an item to find in text is neither text nor a number.
    """

    def contains(output: Any, expected: Mapping[str, Any] | None) -> bool:
        """Check whether the first expected item is in the output."""
        wanted = items(expected, key)
        return output is not None and bool(wanted) and _is_in(plain(output), wanted[0])

    return contains


def _is_in(output: Any, item: Any) -> bool:
    if isinstance(output, Mapping | AbstractSet | list | tuple):
        return any(matches(item, element) for element in output)
    text, sought = as_text(output), as_text(item)
    if text is None:
        raise unreadable("an output other than a list, a tuple, a set or a dict", output)
    if sought is None:
        raise unreadable("an expected item to find in text", item)
    return sought != "" and sought in text  # every text contains the empty text
