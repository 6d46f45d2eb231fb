"""How many fields of a JSON object are as expected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from evalwire.evaluators._expected import Evaluator, items
from evalwire.evaluators._values import is_equal, parse_json, spelled


def make_json_match_evaluator(keys: Iterable[str] | None = None, *, key: str = "expected_output") -> Evaluator[float]:
    """Make an evaluator that scores the share of keys whose values are equal in the output and in the expected object.

    The output is a dict or JSON text; expected is the first item, likewise. Values are equal as in JSON, at any depth:
    1 is 1.0, but neither `True` nor `"1"`. A key that either side lacks does not match. The score is from 0.0 to 1.0;
    an output that is None or no JSON object, and an example without an expected object, score 0.0.

    Args:
        keys: the keys to compare; by default those of the expected object.
        key: the expected column.

    Returns:
        A function of `output` and `expected` that returns a float. It raises TypeError when `expected` is not a
        mapping.

    Raises:
        ValueError: `keys` is empty.
        TypeError: `keys` is a text instead of several.
    """
    if isinstance(keys, str):
        raise TypeError(f"`keys` is a list of keys; for a single one write [{keys!r}]")
    compared = None if keys is None else tuple(dict.fromkeys(keys))
    if compared == ():
        raise ValueError("`keys` is empty, so that nothing would be compared; leave it out to compare all keys")

    def json_match(output: Any, expected: Mapping[str, Any] | None) -> float:
        """The share of keys with equal values in the output and in the expected object."""
        wanted = _expected_object(items(expected, key))
        found = _object(output)
        names = tuple(wanted) if compared is None else compared
        if not names:
            return 0.0
        same = [name in wanted and name in found and is_equal(wanted[name], found[name]) for name in names]
        return sum(same) / len(names)

    return json_match


def _object(output: Any) -> Mapping[Any, Any]:
    """A JSON object, from text too; an empty one where it is none."""
    if isinstance(output, str):
        try:
            output = parse_json(output)
        except ValueError:
            return {}
    return output if isinstance(output, Mapping) else {}


def _expected_object(wanted: list[Any]) -> Mapping[Any, Any]:
    """The first item as an object; its text may also be a dict literal of Python's."""
    for item in wanted[:1]:
        for value in spelled(item) if isinstance(item, str) else (item,):
            if isinstance(value, Mapping):
                return value
    return {}
