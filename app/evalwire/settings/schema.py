"""The JSON Schema of `evalwire.toml`, generated from the table of settings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalwire.gates import evaluation_schema, gates_schema
from evalwire.settings.settings import EXPERIMENT_OPTIONS, OPTIONS

if TYPE_CHECKING:
    from evalwire.settings.options import Option

_PRICE = {"type": "number", "minimum": 0, "description": "USD per million tokens."}

_VARIANT = {
    "type": "object",
    "properties": {
        "env": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"type": "string"},
            "description": "Environment variables of the variant, which must not contain secrets.",
        }
    },
    "required": ["env"],
    "additionalProperties": False,
    "description": "A variant of the experiment: the same code with other environment variables.",
}


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema of `evalwire.toml`."""
    sections: dict[str, dict[str, Any]] = {}
    for option in OPTIONS:
        if option.key:
            section, _, key = option.key.partition(".")
            sections.setdefault(section, _table([]))["properties"][key] = _setting(option)
    experiment = _table(EXPERIMENT_OPTIONS)
    experiment["properties"]["gates"] = {"$ref": "#/definitions/gates"}
    experiment["properties"]["variants"] = {"type": "object", "additionalProperties": _VARIANT}
    sections["experiments"]["additionalProperties"] = experiment
    gates = gates_schema({"$ref": "#/definitions/evaluation"})
    in_gates = sections["gates"]["properties"]
    sections["gates"] = {**gates, "properties": {**gates["properties"], **in_gates}}
    price = {
        "type": "object",
        "properties": {"input": _PRICE, "output": _PRICE},
        "required": ["input", "output"],
        "additionalProperties": False,
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "evalwire.toml",
        "type": "object",
        "properties": {**sections, "prices": {"type": "object", "additionalProperties": price}},
        "additionalProperties": False,
        "definitions": {"evaluation": evaluation_schema(), "gates": gates},
    }


def _table(options: Iterable[Option]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {option.name: _setting(option) for option in options},
        "additionalProperties": False,
    }


def _setting(option: Option) -> dict[str, Any]:
    shown = {**option.parser.schema, "description": option.help}
    if option.default is not None:
        default = list(option.default) if isinstance(option.default, tuple) else option.default
        shown["default"] = str(default) if isinstance(default, Path) else default
    return shown
