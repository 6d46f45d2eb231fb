"""What the user's functions return: a task's output as JSON, an evaluator's word as scores and labels."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

_LONGEST_INT_BITS = 10_000  # Python writes no number of more than 4,300 digits


def to_json(value: Any) -> Any:  # noqa: C901, PLR0912 - a flat table of cases
    """Turn what a task returned into JSON values, converting what converts without loss.

    Dataclasses, pydantic models, numpy values, tuples and dates are converted.

    Raises:
        TypeError: something in it has no JSON form (the Phoenix client would store `{}` without a word).
        ValueError: a NaN, an infinity, or text that is not valid Unicode.
    """
    match value:
        case None | bool():
            return value
        case int():
            if value.bit_length() > _LONGEST_INT_BITS:
                raise ValueError("the number is too large for JSON")
            return int(value)
        case float():
            if not math.isfinite(value):
                raise ValueError(f"{value} has no JSON form")
            return float(value)
        case str():
            value.encode()  # a lone surrogate raises UnicodeEncodeError, a ValueError
            return str.__str__(value)
        case Mapping():
            converted = {_to_key(key): to_json(item) for key, item in value.items()}
            if len(converted) < len(value):
                raise ValueError("two keys of a dict are the same text in JSON")
            return converted
        case list() | tuple():
            return [to_json(item) for item in value]
        case datetime() | date():
            return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_json(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if callable(dump := getattr(value, "model_dump", None)) and not isinstance(value, type):
        return to_json(dump(mode="json"))
    if type(value).__module__.partition(".")[0] == "numpy" and callable(listed := getattr(value, "tolist", None)):
        return to_json(listed())
    raise TypeError(
        f"a {type(value).__qualname__} has no JSON form; return JSON values, a dataclass or a pydantic model"
    )


def _to_key(key: Any) -> str:
    if isinstance(key, str):
        key.encode()  # as for other text
        return str.__str__(key)
    if isinstance(key, int) and not isinstance(key, bool):
        return str(int(key))
    raise TypeError(f"a {type(key).__qualname__} cannot be a key in JSON; use text")


def is_same_json(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal; as in JSON, and unlike in Python, `true` is not 1."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(is_same_json(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same_json, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One evaluation as the user's evaluator said it, before it has times and ids."""

    name: str
    score: float | None = None
    label: str | None = None
    explanation: str | None = None
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def to_verdicts(returned: Any, *, name: str) -> list[Verdict]:
    """Turn what an evaluator returned into evaluations with a finite score, a label, or both.

    Accepted: bool, int or float (numpy's too), str (a label), a tuple (score, label[, explanation]), a dict
    with `score`, `label`, `explanation`, `metadata`; a phoenix-evals score; a list of dicts or scores, each
    named by its own `name`.

    Raises:
        TypeError: a value of another kind.
        ValueError: None, NaN, an infinity, an empty result, or two results of one name.
    """
    if isinstance(returned, list) or (isinstance(returned, tuple) and returned and _is_score_object(returned[0])):
        if not returned:
            raise ValueError("the evaluator returned an empty list")
        verdicts = [_to_verdict(item, name=name, named=len(returned) > 1) for item in returned]
        repeated = {verdict.name for verdict in verdicts if sum(verdict.name == v.name for v in verdicts) > 1}
        if repeated:
            raise ValueError(
                f"the evaluator returned several results named {', '.join(sorted(repeated))}; "
                "give each dict a `name` of its own"
            )
        return verdicts
    return [_to_verdict(returned, name=name, named=False)]


def _to_verdict(value: Any, *, name: str, named: bool) -> Verdict:
    match value:
        case None:
            raise ValueError("the evaluator returned None, which is no score")
        case bool():
            return Verdict(name=name, score=float(value), label=str(value))
        case str():
            return Verdict(name=name, label=_label(value))
        case int() | float():
            return Verdict(name=name, score=_score(value))
        case Mapping():
            return _from_fields(value, name=name, named=named)
        case tuple():
            if len(value) not in (2, 3):
                raise ValueError(f"a tuple is (score, label) or (score, label, explanation), not {len(value)} items")
            keys = ("score", "label", "explanation")
            return _from_fields(dict(zip(keys, value, strict=False)), name=name, named=False)
    if type(value).__module__.partition(".")[0] == "numpy" and getattr(value, "ndim", None) == 0:
        return _to_verdict(value.item(), name=name, named=named)
    if _is_score_object(value):
        fields = {key: getattr(value, key, None) for key in ("name", "score", "label", "explanation", "metadata")}
        return _from_fields(fields, name=name, named=named)
    raise TypeError(
        f"an evaluator cannot return a {type(value).__qualname__}; return a score, a label, or a dict of them"
    )


def _is_score_object(value: Any) -> bool:
    return all(hasattr(value, key) for key in ("score", "label", "explanation"))


def _from_fields(fields: Mapping[str, Any], *, name: str, named: bool) -> Verdict:
    score, label = fields.get("score"), fields.get("label")
    if score is None and label is None:
        keys = ", ".join(map(str, fields)) or "nothing"
        raise ValueError(f"the evaluator returned neither `score` nor `label` (it has: {keys})")
    own_name = fields.get("name")
    if named and not (isinstance(own_name, str) and own_name):
        raise ValueError("each of several results needs a `name`")
    explanation = fields.get("explanation")
    return Verdict(
        name=str(own_name) if named else name,
        score=None if score is None else _score(score),
        label=None if label is None else _label(label),
        explanation=None if explanation is None else _clean(str(explanation)),
        metadata=_metadata(fields.get("metadata")),
    )


def _metadata(value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise TypeError(f"metadata is a dict, not a {type(value).__qualname__}")
    metadata: dict[str, Any] = to_json(value or {})
    return metadata


def _score(value: Any) -> float:
    if type(value).__module__.partition(".")[0] == "numpy" and getattr(value, "ndim", None) == 0:
        value = value.item()
    if not isinstance(value, int | float):
        raise TypeError(f"a score is a number, not a {type(value).__qualname__}")
    if not math.isfinite(value):
        raise ValueError(f"the score is {value}, which is no score")
    return float(value)


def _label(value: Any) -> str:
    if isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise TypeError(f"a label is text, not a {type(value).__qualname__}")
    if not value.strip():
        raise ValueError("the label is empty")
    return _clean(str.__str__(value))


def _clean(text: str) -> str:
    """Text that can be sent and stored: no half of a surrogate pair, and no NUL, which PostgreSQL refuses."""
    return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
