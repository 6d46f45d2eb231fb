"""Parse the rules for evaluators that people calibrate."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalwire.errors import UsageError

if TYPE_CHECKING:
    from evalwire.model import Rule

CORRECTED_RULES: tuple[Rule, ...] = ("min_pass_rate", "max_pass_rate", "max_drop")
"""The limits on pass rates, which `corrected = true` corrects for the errors of the evaluator."""

_AGE = re.compile(r"(?P<number>[1-9][0-9]{0,4})\s*(?P<unit>d|w|days?|weeks?)")
_DAYS_OF_A_WEEK = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationPolicy:
    """The rules for a gate on an evaluator that people calibrate.

    Attributes:
        corrected: whether pass rates and their drops are corrected for the errors of the evaluator.
        max_age_days: the age from which a calibration is too old; None for any age.
    """

    corrected: bool = False
    max_age_days: int | None = None


def read_corrected(value: Any, where: str) -> bool:
    """Return whether rates are corrected.

    Raises:
        UsageError: the value is not true or false.
    """
    if not isinstance(value, bool):
        raise UsageError(f"{where} = {value!r}: expected true or false.")
    return value


def read_age(value: Any, where: str) -> int:
    """Return a number of days.

    Raises:
        UsageError: the value is not a text such as "90d" or "12w".
    """
    found = _AGE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise UsageError(f'{where} = {value!r}: expected a number of days or weeks, such as "90d" or "12w".')
    return int(found["number"]) * (_DAYS_OF_A_WEEK if found["unit"].startswith("w") else 1)
