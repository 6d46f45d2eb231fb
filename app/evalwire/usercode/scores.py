"""Parsing of evaluators' return values into scores and labels."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn

from evalwire.model import kind_by_score, to_json

if TYPE_CHECKING:
    from evalwire.model import EvaluationKind

_FIELDS = ("name", "score", "label", "explanation", "metadata")
_EXPLANATIONS = ("explanation", "reason", "reasoning", "comment")  # the first key that is present counts


class NotApplicable(enum.Enum):
    """The type of `NOT_APPLICABLE`."""

    NOT_APPLICABLE = "not applicable"

    def __bool__(self) -> NoReturn:
        """Raise an error, because a true value would silently pass in `all([...])`.

        Raises:
            TypeError: always.
        """
        raise TypeError("NOT_APPLICABLE is neither true nor false; compare with `is NOT_APPLICABLE`")


NOT_APPLICABLE: Final = NotApplicable.NOT_APPLICABLE
"""The return value, alone or as a score, of an evaluator for a run to which it does not apply.

Means, rates and example counts exclude the run. `None` is a failure instead.
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatorScore:
    """An evaluation as the user's evaluator returned it, without times and IDs.

    Attributes:
        kind: the kind, by the type of the returned value.
        dropped: the keys of a returned dict that are not recorded.
    """

    name: str
    kind: EvaluationKind
    score: float | None = None
    label: str | None = None
    explanation: str | None = None
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    dropped: tuple[str, ...] = ()


def parse_scores(returned: Any, *, name: str) -> list[EvaluatorScore]:
    """Convert an evaluator's return value to evaluations with a finite score, a label, or both.

    Accepted values:

    - A bool, int or float, numpy's included, or a str, which is a label.
    - A tuple (score, label[, explanation]), whose score may be a number as text and whose label may have any type.
    - A dict with `score`, `label`, `explanation` and `metadata`, or a phoenix-evals score.
    - A list of dicts or scores, named by `name`, or numbered as by Phoenix's client.
    - `NOT_APPLICABLE`, alone or as a score.

    Raises:
        TypeError: the value has another type.
        ValueError: the value is None, NaN, an infinity or empty, or has two results with the same name.
    """
    if isinstance(returned, list) or (isinstance(returned, tuple) and returned and _is_score_object(returned[0])):
        if not returned:
            raise ValueError("the evaluator returned an empty list")
        several = len(returned) > 1
        verdicts = [
            _to_verdict(item, name=f"{name}-{number}" if several and _has_fields(item) else name, named=several)
            for number, item in enumerate(returned, start=1)
        ]
        repeated = {verdict.name for verdict in verdicts if sum(verdict.name == v.name for v in verdicts) > 1}
        if repeated:
            raise ValueError(
                f"the evaluator returned several results named {', '.join(sorted(repeated))}; "
                "give each dict a unique `name`"
            )
        return verdicts
    return [_to_verdict(returned, name=name, named=False)]


def _to_verdict(value: Any, *, name: str, named: bool) -> EvaluatorScore:
    match value:
        case None:
            raise ValueError("the evaluator returned None, which is not a score")
        case bool():
            return EvaluatorScore(name=name, kind="bool", score=float(value), label=str(value))
        case str():
            return EvaluatorScore(name=name, kind="label", label=_label(value))
        case int() | float() | NotApplicable():
            return _from_fields({"score": value}, name=name, named=False)
        case Mapping():
            return _from_fields(value, name=name, named=named)
        case tuple():
            if len(value) not in (2, 3):
                text = f"a tuple must be (score, label) or (score, label, explanation), not {len(value)} items"
                raise ValueError(text)
            score, label, *explanation = value
            fields = {
                "score": _from_text(score),
                "label": _as_label(label),
                "explanation": next(iter(explanation), None),
            }
            return _from_fields(fields, name=name, named=False)
    if type(value).__module__.partition(".")[0] == "numpy" and getattr(value, "ndim", None) == 0:
        return _to_verdict(value.item(), name=name, named=named)
    if _is_score_object(value):
        fields = {key: getattr(value, key, None) for key in ("name", "score", "label", "explanation", "metadata")}
        return _from_fields(fields, name=name, named=named)
    raise TypeError(
        f"an evaluator cannot return a {type(value).__qualname__}; return a score, a label, or a dict of them"
    )


def _from_text(score: Any) -> Any:
    """Convert the score of a tuple, which may be a number as text.

    Raises:
        TypeError: the text is not a number.
    """
    if not isinstance(score, str):
        return score
    try:
        return float(score)
    except ValueError:
        raise TypeError(f"a score must be a number, not the text {score!r}; a tuple is (score, label)") from None


def _as_label(label: Any) -> Any:
    return label if label is None or isinstance(label, str) else str(label)


def _has_fields(item: Any) -> bool:
    return isinstance(item, Mapping) or _is_score_object(item)


def _is_score_object(value: Any) -> bool:
    return all(hasattr(value, key) for key in ("score", "label", "explanation"))


def _from_fields(fields: Mapping[str, Any], *, name: str, named: bool) -> EvaluatorScore:
    score, label = fields.get("score"), fields.get("label")
    if score is None and label is None:
        keys = ", ".join(map(str, fields)) or "nothing"
        raise ValueError(f"the evaluator returned neither `score` nor `label` (it has: {keys})")
    own_name = fields.get("name")
    if named and own_name is not None and not (isinstance(own_name, str) and own_name):
        raise ValueError(f"the name of a result must be text, not {own_name!r}")
    explained_by = next((key for key in _EXPLANATIONS if fields.get(key) is not None), "explanation")
    explanation = fields.get(explained_by)
    known = (*_FIELDS, explained_by)
    number, kind = _score(score)
    label = None if label is None else _label(label)
    if kind == "not_applicable":
        label = label or NOT_APPLICABLE.value
    elif kind == "number":
        kind = kind_by_score(number, label)
    return EvaluatorScore(
        name=str(own_name) if named and own_name is not None else name,
        kind=kind,
        score=number,
        label=label,
        explanation=None if explanation is None else _clean(str(explanation)),
        metadata=_metadata(fields.get("metadata")),
        dropped=tuple(str(key) for key, value in fields.items() if key not in known and value is not None),
    )


def _metadata(value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise TypeError(f"metadata must be a dict, not a {type(value).__qualname__}")
    metadata: dict[str, Any] = to_json(value or {}, name="metadata")
    return metadata


def _score(value: Any) -> tuple[float | None, EvaluationKind]:
    """Return a score as a number, and its kind."""
    if value is None:
        return None, "label"
    if value is NOT_APPLICABLE:
        return None, "not_applicable"
    if type(value).__module__.partition(".")[0] == "numpy" and getattr(value, "ndim", None) == 0:
        value = value.item()
    if not isinstance(value, int | float):
        raise TypeError(f"a score must be a number, not a {type(value).__qualname__}")
    if not math.isfinite(value):
        raise ValueError(f"a score must be a finite number, not {value}")
    return float(value), "bool" if isinstance(value, bool) else "number"


def _label(value: Any) -> str:
    if isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise TypeError(f"a label must be text, not a {type(value).__qualname__}")
    if not value.strip():
        raise ValueError("the label is empty")
    return _clean(str.__str__(value))


def _clean(text: str) -> str:
    """Replace halves of surrogate pairs, which cannot be sent, and NULs, which PostgreSQL does not store."""
    return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
