"""Whether the output is a number close to the expected one."""

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

    Both may be numbers or text that spells one; expected is the first item. What is no number (text such as `about 3`,
    a bool, NaN, None), and an example without an expectation, score False; an infinity is close to itself alone.

    Args:
        atol: the absolute tolerance.
        rtol: the tolerance as a share of the expected number.
        key: the expected column.

    Returns:
        A function of `output` and `expected` that returns a bool. It raises TypeError when `expected` is not a mapping.

    Raises:
        ValueError: a tolerance is negative, NaN or infinite.
    """
    for name, tolerance in (("atol", atol), ("rtol", rtol)):
        if not (math.isfinite(tolerance) and tolerance >= 0):
            raise ValueError(f"{name} is {tolerance}; a tolerance is a finite number that is not negative")

    def numeric_close(output: Any, expected: Mapping[str, Any] | None) -> bool:
        """Check whether the output is within the tolerance around the first expected item."""
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
    if not all(isinstance(one, int) or math.isfinite(one) for one in (number, goal)):
        return number == goal
    with contextlib.suppress(OverflowError):  # an int beyond the range of floats
        distance = abs(number - goal)
        if math.isfinite(distance):
            return distance <= atol + rtol * abs(goal)
    return abs(Fraction(number) - Fraction(goal)) <= Fraction(atol) + Fraction(rtol) * abs(Fraction(goal))
