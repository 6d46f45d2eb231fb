"""Built-in evaluators: factories of functions `(output, expected)`, each imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evalwire.evaluators.composition import (
        make_all_pass_evaluator,
        make_any_pass_evaluator,
        make_weighted_evaluator,
    )
    from evalwire.evaluators.contains import make_contains_evaluator
    from evalwire.evaluators.exact_match import make_exact_match_evaluator
    from evalwire.evaluators.json_match import make_json_match_evaluator
    from evalwire.evaluators.llm_judge import make_llm_judge_evaluator
    from evalwire.evaluators.membership import make_membership_evaluator
    from evalwire.evaluators.numeric_tolerance import make_numeric_tolerance_evaluator
    from evalwire.evaluators.regex import make_regex_evaluator
    from evalwire.evaluators.schema import make_schema_evaluator
    from evalwire.evaluators.top_k import make_top_k_evaluator

__all__ = [
    "make_all_pass_evaluator",
    "make_any_pass_evaluator",
    "make_contains_evaluator",
    "make_exact_match_evaluator",
    "make_json_match_evaluator",
    "make_llm_judge_evaluator",
    "make_membership_evaluator",
    "make_numeric_tolerance_evaluator",
    "make_regex_evaluator",
    "make_schema_evaluator",
    "make_top_k_evaluator",
    "make_weighted_evaluator",
]

_HOMES = {
    "make_all_pass_evaluator": "composition",
    "make_any_pass_evaluator": "composition",
    "make_contains_evaluator": "contains",
    "make_exact_match_evaluator": "exact_match",
    "make_json_match_evaluator": "json_match",
    "make_llm_judge_evaluator": "llm_judge",
    "make_membership_evaluator": "membership",
    "make_numeric_tolerance_evaluator": "numeric_tolerance",
    "make_regex_evaluator": "regex",
    "make_schema_evaluator": "schema",
    "make_top_k_evaluator": "top_k",
    "make_weighted_evaluator": "composition",
}


def __getattr__(name: str) -> object:
    """Import a factory or its module on first access."""
    if name in _HOMES.values():
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
