"""The values that functions of the user can be bound to."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from evalwire.model import EMPTY, Example

_OF_TASKS = ("input", "expected", "reference", "metadata", "example")
_OF_EVALUATORS = (*_OF_TASKS, "output", "trace_id")

_SCALARS = frozenset({str, int, float, bool, type(None)})


class _Copies(Mapping[str, Any]):
    """Values by name, each copied on first use: a function is seldom bound to all of them."""

    __slots__ = ("_example", "_made", "_names", "_output")

    def __init__(self, example: Example, names: tuple[str, ...], output: Any, made: dict[str, Any]) -> None:
        self._example = example
        self._names = names
        self._output = output
        self._made = made

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _make(self, name: str) -> Any:
        example = self._example
        match name:
            case "expected":
                return _copy(example.output)
            case "reference":
                return self["expected"]
            case "example":
                return Example(
                    id=example.id,
                    node_id=example.node_id,
                    input=self["input"],
                    output=self["expected"],
                    metadata=self["metadata"],
                    updated_at=example.updated_at,
                )
            case "output" if "output" in self._names:
                return _copy(self._output)
            case "input" | "metadata":
                return _copy(getattr(example, name))
        raise KeyError(name)


def task_values(example: Example) -> Mapping[str, Any]:
    """Return the values that a task can be bound to, as copies: changes by the task do not reach the evaluators."""
    return _Copies(example, _OF_TASKS, None, {})


def evaluator_values(example: Example, output: Any, trace_id: str | None) -> Mapping[str, Any]:
    """Return the values that an evaluator can be bound to, as its own copies."""
    return _Copies(example, _OF_EVALUATORS, output, {"trace_id": trace_id})


def _copy(value: Any) -> Any:
    """Return a deep copy of JSON values, ten times as fast as `copy.deepcopy`."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is dict or value is EMPTY:
        return {key: item if type(item) in _SCALARS else _copy(item) for key, item in value.items()}
    if kind is list:
        return [item if type(item) in _SCALARS else _copy(item) for item in value]
    return copy.deepcopy(value)
