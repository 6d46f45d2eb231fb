"""Judge results against gates and baselines, without any input or output."""

from typing import TYPE_CHECKING

from evalwire.loading import lazy_names

if TYPE_CHECKING:
    from evalwire.gates.baselines import BaselineChoice, BaselineQuery, branches_for, choose_baseline, find_base_branch
    from evalwire.gates.comparison import compare_results
    from evalwire.gates.config import DropPolicy, GateConfig, GateTable, read_gates
    from evalwire.gates.judge import judge_gates
    from evalwire.gates.resolve import Gate, KnownNames, resolve_gates, unjudged_gates
    from evalwire.gates.schema import evaluation_schema, gates_schema

__all__ = [
    "BaselineChoice",
    "BaselineQuery",
    "DropPolicy",
    "Gate",
    "GateConfig",
    "GateTable",
    "KnownNames",
    "branches_for",
    "choose_baseline",
    "compare_results",
    "evaluation_schema",
    "find_base_branch",
    "gates_schema",
    "judge_gates",
    "read_gates",
    "resolve_gates",
    "unjudged_gates",
]

__getattr__ = lazy_names(
    __name__,
    {
        "BaselineChoice": "baselines",
        "BaselineQuery": "baselines",
        "DropPolicy": "config",
        "Gate": "resolve",
        "GateConfig": "config",
        "GateTable": "config",
        "KnownNames": "resolve",
        "branches_for": "baselines",
        "find_base_branch": "baselines",
        "choose_baseline": "baselines",
        "compare_results": "comparison",
        "evaluation_schema": "schema",
        "gates_schema": "schema",
        "judge_gates": "judge",
        "read_gates": "config",
        "resolve_gates": "resolve",
        "unjudged_gates": "resolve",
    },
)
