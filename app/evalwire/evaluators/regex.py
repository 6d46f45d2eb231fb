"""Score whether a regular expression matches in the output."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from evalwire.evaluators._expected import Evaluator, items, unreadable
from evalwire.evaluators._values import as_text

if TYPE_CHECKING:
    from collections.abc import Mapping


def make_regex_evaluator(*, key: str = "expected_output") -> Evaluator[bool]:
    r"""Make an evaluator that scores whether the first expected item, a pattern, matches anywhere in the output.

    The pattern has the syntax of Python's `re`, as written in the testset. `[abc]` is a set of characters, while
    `['a']` is a Python list with the pattern `a`. A number is matched as Python writes it. An output of None or an
    example without a pattern scores False.

    The time of a match is not limited. A pattern such as `(a+)+$` can take forever, and a run's timeout does not stop
    it.

    Args:
        key: the expected column.

    Returns:
        A function of `output` and `expected` that returns a bool. It raises re.error for an invalid pattern. It
        raises TypeError if the output or the pattern is neither text nor a number, or if `expected` is not a mapping.
    """

    def regex_match(output: Any, expected: Mapping[str, Any] | None) -> bool:
        """Check whether the first expected item, a pattern, matches anywhere in the output."""
        wanted = items(expected, key)
        return output is not None and bool(wanted) and _is_found(wanted[0], output)

    return regex_match


def _is_found(item: Any, output: Any) -> bool:
    pattern, text = as_text(item), as_text(output)
    if pattern is None:
        raise unreadable("a pattern", item)
    if text is None:
        raise unreadable("an output to match with a pattern", output)
    return pattern != "" and _compiled(pattern).search(text) is not None  # the empty pattern matches every text


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (OverflowError, RecursionError) as error:  # a count is too large, or groups are nested too deeply
        raise re.error(f"{type(error).__name__}: {error}") from None
