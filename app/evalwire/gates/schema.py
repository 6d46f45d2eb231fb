"""Describe the gate tables as JSON Schema."""

from __future__ import annotations

from typing import Any, get_args

from evalwire.gates.config import (
    CORRECTED,
    LABEL_SHARE,
    OF_EVALUATION,
    OF_EXPERIMENT,
    Mode,
    OnEvaluatorChange,
    OnInconclusive,
    OnMissing,
    OnNoBaseline,
)

_NUMBER: Any = {"type": ["number", "string"]}

_SHARE: Any = {
    "type": "object",
    "properties": {"min": _NUMBER, "max": _NUMBER},
    "additionalProperties": False,
    "minProperties": 1,
}

_POLICY: dict[str, Any] = {
    "significance": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "on_inconclusive": {"enum": [*get_args(OnInconclusive)]},
    "mode": {"enum": [*get_args(Mode)]},
    "on_no_baseline": {"enum": [*get_args(OnNoBaseline)]},
    "on_evaluator_change": {"enum": [*get_args(OnEvaluatorChange)]},
    "min_paired": _NUMBER,
    "max_minimum_detectable": _NUMBER,
    "max_calibration_age": {"type": "string"},
    "missing": {"enum": [*get_args(OnMissing)]},
}


def evaluation_schema() -> dict[str, Any]:
    """Return the JSON Schema of the gates of an evaluation."""
    own: dict[str, Any] = dict.fromkeys(OF_EVALUATION, _NUMBER) | _POLICY
    own[LABEL_SHARE] = {"type": "object", "additionalProperties": _SHARE, "minProperties": 1}
    own[CORRECTED] = {"type": "boolean"}
    own["direction"] = {"enum": ["maximize", "minimize"]}
    return {"type": "object", "properties": own, "additionalProperties": False}


def gates_schema(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of `[gates]`, and of the gates of an experiment.

    Args:
        evaluation: schema of the gates of an evaluation, or a reference to that schema.
    """
    own: dict[str, Any] = dict.fromkeys(OF_EXPERIMENT, _NUMBER) | _POLICY
    return {"type": "object", "properties": own, "additionalProperties": evaluation}
