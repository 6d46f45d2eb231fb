"""Describe the tables of gates as JSON Schema."""

from __future__ import annotations

from typing import Any, get_args

from evalwire.gates.config import OF_EVALUATION, OF_EXPERIMENT, Mode, OnEvaluatorChange, OnInconclusive, OnNoBaseline

_NUMBER: Any = {"type": ["number", "string"]}

_DROP_POLICY: dict[str, Any] = {
    "significance": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "on_inconclusive": {"enum": [*get_args(OnInconclusive)]},
    "mode": {"enum": [*get_args(Mode)]},
    "on_no_baseline": {"enum": [*get_args(OnNoBaseline)]},
    "on_evaluator_change": {"enum": [*get_args(OnEvaluatorChange)]},
    "min_paired": _NUMBER,
}


def evaluation_schema() -> dict[str, Any]:
    """Return the JSON Schema of the gates of one evaluation."""
    own: dict[str, Any] = dict.fromkeys(OF_EVALUATION, _NUMBER) | _DROP_POLICY
    own["direction"] = {"enum": ["maximize", "minimize"]}
    return {"type": "object", "properties": own, "additionalProperties": False}


def gates_schema(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of `[gates]`, and of the gates of one experiment.

    Args:
        evaluation: the schema of the gates of one evaluation, or a reference to it.
    """
    own: dict[str, Any] = dict.fromkeys(OF_EXPERIMENT, _NUMBER) | _DROP_POLICY
    return {"type": "object", "properties": own, "additionalProperties": evaluation}
