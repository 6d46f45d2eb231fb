"""Whether what is expected is in the output."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from evalwire.evaluators._expected import Evaluator, items, matches, unreadable
from evalwire.evaluators._values import as_text, plain


def make_contains_evaluator(*, key: str = "expected_output") -> Evaluator[bool]:
    """Make an evaluator that scores whether the first expected item is in the output.

    In text, and in a number as Python writes it, the item is looked for as text, in its own case. In a list, a tuple
    or a set it is one of the elements, and in a dict one of the keys, equal as for `make_exact_match_evaluator`. An
    output of None, and an example without an expectation, score False.

    Args:
        key: the expected column.

    Returns:
        A function of `output` and `expected` that returns a bool. It raises TypeError when `expected` is not a mapping,
        when the output is none of the above, and when the item to be found in text is neither text nor a number.
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
        raise unreadable("an output that is not a list, a tuple, a set or a dict", output)
    if sought is None:
        raise unreadable("what is expected in a text", item)
    return sought != "" and sought in text  # the empty text is in every text
