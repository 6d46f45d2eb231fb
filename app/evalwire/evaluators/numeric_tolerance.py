"""Score whether the output is close to the expected number."""

from __future__ import annotations

import contextlib
import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from evalwire.evaluators._expected import Evaluator, items
from evalwire.evaluators._values import parse_number, plain

if TYPE_CHECKING:
    from collections.abc import Mapping


def make_numeric_tolerance_evaluator(
    atol: float = 1e-6, rtol: float = 0.0, *, key: str = "expected_output"
) -> Evaluator[bool]:
    """Make an evaluator that scores whether `abs(output - expected) <= atol + rtol * abs(expected)`.

    The output and the first expected item are numbers, or text that spells a number. A value that is not a number
    (text such as `about 3`, a bool, NaN, None) and an example without an expected item score False. An infinity is
    close only to itself.

    Args:
        atol: the absolute tolerance.
        rtol: the relative tolerance, as a share of the expected number.
        key: the expected column.

    Returns:
        A function of `output` and `expected` that returns a bool. It raises TypeError if `expected` is not a mapping.

    Raises:
        ValueError: a tolerance is negative, NaN or infinite.
    """
    for name, tolerance in (("atol", atol), ("rtol", rtol)):
        if not (math.isfinite(tolerance) and tolerance >= 0):
            raise ValueError(f"invalid {name} {tolerance}: a tolerance must be a finite number of at least 0")

    def numeric_close(output: Any, expected: Mapping[str, Any] | None) -> bool:
        """Check whether the output is within the tolerance of the first expected item."""
        wanted = items(expected, key)
        number, goal = _number(output), _number(wanted[0]) if wanted else None
        return number is not None and goal is not None and _is_close(number, goal, atol, rtol)

    return numeric_close


def _number(value: Any) -> int | float | None:
    match plain(value):
        case bool():
            return None
        case int() | float() as number:
            return number
        case str() as text:
            try:
                return parse_number(text)
            except ValueError:
                return None
    return None


def _is_close(number: float, goal: float, atol: float, rtol: float) -> bool:
    if not all(isinstance(value, int) or math.isfinite(value) for value in (number, goal)):
        return number == goal
    with contextlib.suppress(OverflowError):  # an int outside the range of floats
        distance = abs(number - goal)
        if math.isfinite(distance):
            return distance <= atol + rtol * abs(goal)
    return abs(Fraction(number) - Fraction(goal)) <= Fraction(atol) + Fraction(rtol) * abs(Fraction(goal))
