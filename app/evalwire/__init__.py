"""Run LLM evaluation experiments in CI against Arize Phoenix, with an exit code that can be trusted."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from evalwire._version import __version__

if TYPE_CHECKING:
    from evalwire.errors import ExperimentsFailed
    from evalwire.evaluators import (
        make_all_pass_evaluator,
        make_any_pass_evaluator,
        make_contains_evaluator,
        make_exact_match_evaluator,
        make_json_match_evaluator,
        make_llm_judge_evaluator,
        make_membership_evaluator,
        make_numeric_tolerance_evaluator,
        make_regex_evaluator,
        make_schema_evaluator,
        make_top_k_evaluator,
        make_weighted_evaluator,
    )
    from evalwire.langgraph import build_subgraph, invoke_node
    from evalwire.observability import setup_observability
    from evalwire.runner import ExperimentRunner
    from evalwire.uploader import DatasetUploader
    from evalwire.usercode import NOT_APPLICABLE

__all__ = [
    "NOT_APPLICABLE",
    "DatasetUploader",
    "ExperimentRunner",
    "ExperimentsFailed",
    "__version__",
    "build_subgraph",
    "invoke_node",
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
    "setup_observability",
]

_HOMES = {
    "NOT_APPLICABLE": "evalwire.usercode",
    "DatasetUploader": "evalwire.uploader",
    "ExperimentRunner": "evalwire.runner",
    "ExperimentsFailed": "evalwire.errors",
    "build_subgraph": "evalwire.langgraph",
    "invoke_node": "evalwire.langgraph",
    "setup_observability": "evalwire.observability",
    "make_all_pass_evaluator": "evalwire.evaluators",
    "make_any_pass_evaluator": "evalwire.evaluators",
    "make_contains_evaluator": "evalwire.evaluators",
    "make_exact_match_evaluator": "evalwire.evaluators",
    "make_json_match_evaluator": "evalwire.evaluators",
    "make_llm_judge_evaluator": "evalwire.evaluators",
    "make_membership_evaluator": "evalwire.evaluators",
    "make_numeric_tolerance_evaluator": "evalwire.evaluators",
    "make_regex_evaluator": "evalwire.evaluators",
    "make_schema_evaluator": "evalwire.evaluators",
    "make_top_k_evaluator": "evalwire.evaluators",
    "make_weighted_evaluator": "evalwire.evaluators",
}


# modules that are attributes after `import evalwire`, as in 0.6
_DOORS = ("cli", "config", "evaluators", "langgraph", "observability", "results", "runner", "uploader", "validator")


def __getattr__(name: str) -> object:
    """Import a public name on first use, so that `import evalwire` is fast."""
    if name in _DOORS:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
