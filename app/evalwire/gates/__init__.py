"""Apply gates to results and compare results with baselines, without any input or output."""

from typing import TYPE_CHECKING

from evalwire.loading import lazy_names

if TYPE_CHECKING:
    from evalwire.gates.apply import RULES_OF_CALLS, apply_gates, undecided_gates
    from evalwire.gates.baselines import (
        BaselineChoice,
        BaselineQuery,
        choose_baseline,
        choose_history,
        covered_share,
        find_base_branch,
        is_of_base_branch,
        on_branches,
    )
    from evalwire.gates.calibrated import NO_CALIBRATIONS, Calibrations
    from evalwire.gates.changes import changed_evaluators, changed_task, comparable_part
    from evalwire.gates.comparison import compare_results
    from evalwire.gates.config import DropPolicy, GateConfig, GateTable, Limit, read_gates
    from evalwire.gates.drops import check_drop
    from evalwire.gates.noise import measure_noise, unstable_limits
    from evalwire.gates.power import SampleSize, detectable_drop
    from evalwire.gates.resolve import Gate, KnownNames, resolve_gates, unapplied_gates
    from evalwire.gates.schema import evaluation_schema, gates_schema
    from evalwire.gates.stopping import ExperimentStopping, with_shares
    from evalwire.gates.variants import compare_variants

__all__ = [
    "NO_CALIBRATIONS",
    "RULES_OF_CALLS",
    "BaselineChoice",
    "BaselineQuery",
    "Calibrations",
    "DropPolicy",
    "ExperimentStopping",
    "Gate",
    "GateConfig",
    "GateTable",
    "KnownNames",
    "Limit",
    "SampleSize",
    "apply_gates",
    "changed_evaluators",
    "changed_task",
    "check_drop",
    "choose_baseline",
    "choose_history",
    "comparable_part",
    "compare_results",
    "compare_variants",
    "covered_share",
    "detectable_drop",
    "evaluation_schema",
    "find_base_branch",
    "gates_schema",
    "is_of_base_branch",
    "measure_noise",
    "on_branches",
    "read_gates",
    "resolve_gates",
    "unapplied_gates",
    "undecided_gates",
    "unstable_limits",
    "with_shares",
]

__getattr__ = lazy_names(
    __name__,
    {
        "RULES_OF_CALLS": "apply",
        "BaselineChoice": "baselines",
        "BaselineQuery": "baselines",
        "NO_CALIBRATIONS": "calibrated",
        "Calibrations": "calibrated",
        "DropPolicy": "config",
        "Gate": "resolve",
        "GateConfig": "config",
        "GateTable": "config",
        "KnownNames": "resolve",
        "SampleSize": "power",
        "detectable_drop": "power",
        "measure_noise": "noise",
        "unstable_limits": "noise",
        "Limit": "config",
        "find_base_branch": "baselines",
        "is_of_base_branch": "baselines",
        "on_branches": "baselines",
        "choose_history": "baselines",
        "changed_evaluators": "changes",
        "changed_task": "changes",
        "check_drop": "drops",
        "choose_baseline": "baselines",
        "comparable_part": "changes",
        "compare_results": "comparison",
        "compare_variants": "variants",
        "covered_share": "baselines",
        "evaluation_schema": "schema",
        "gates_schema": "schema",
        "apply_gates": "apply",
        "read_gates": "config",
        "resolve_gates": "resolve",
        "unapplied_gates": "resolve",
        "ExperimentStopping": "stopping",
        "with_shares": "stopping",
        "undecided_gates": "apply",
    },
)
