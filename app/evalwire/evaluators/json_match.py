"""Score the share of JSON fields that are as expected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from evalwire.evaluators._expected import Evaluator, items
from evalwire.evaluators._values import is_equal, parse_json, spelled


def make_json_match_evaluator(keys: Iterable[str] | None = None, *, key: str = "expected_output") -> Evaluator[float]:
    """Make an evaluator that scores the share of keys whose values are equal in the output and in the expected object.

    The output and the first expected item are dicts or JSON text. Values are compared as in JSON, at any depth: 1
    equals 1.0, but neither `True` nor `"1"`. A key that is missing on either side does not match. The score is from
    0.0 to 1.0. An output that is None or not a JSON object scores 0.0, as does an example without an expected object.

    Args:
        keys: the keys to compare (default: all keys of the expected object).
        key: the expected column.

    Returns:
        A function of `output` and `expected` that returns a float. It raises TypeError if `expected` is not a
        mapping.

    Raises:
        ValueError: `keys` is empty.
        TypeError: `keys` is a single text instead of a list.
    """
    if isinstance(keys, str):
        raise TypeError(f"`keys` must be a list of keys. For a single key, write [{keys!r}].")
    compared = None if keys is None else tuple(dict.fromkeys(keys))
    if compared == ():
        raise ValueError("`keys` is empty, so there is nothing to compare. Omit it to compare all keys.")

    def json_match(output: Any, expected: Mapping[str, Any] | None) -> float:
        """Return the share of keys with equal values in the output and in the expected object."""
        wanted = _expected_object(items(expected, key))
        found = _object(output)
        names = tuple(wanted) if compared is None else compared
        if not names:
            return 0.0
        same = [name in wanted and name in found and is_equal(wanted[name], found[name]) for name in names]
        return sum(same) / len(names)

    return json_match


def _object(output: Any) -> Mapping[Any, Any]:
    """Return a dict or the JSON object of a text; an empty dict for any other value."""
    if isinstance(output, str):
        try:
            output = parse_json(output)
        except ValueError:
            return {}
    return output if isinstance(output, Mapping) else {}


def _expected_object(wanted: list[Any]) -> Mapping[Any, Any]:
    """Return the first item as an object; text may be JSON or a Python dict literal."""
    for item in wanted[:1]:
        for value in spelled(item) if isinstance(item, str) else (item,):
            if isinstance(value, Mapping):
                return value
    return {}
