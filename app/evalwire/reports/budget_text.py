"""Describe the budget of a job, how it ended the job, and how to resume the job."""

from __future__ import annotations

import math
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evalwire.model import BudgetUse, ExperimentResult, Report

_RESERVE = 1.25  # of the expected usage of the remaining runs: a run starts only if all runs in flight have a reserve


def ended_text(report: Report) -> str:
    """Return the used budget of a job that its budget ended, to follow the first word; empty for any other job."""
    budget = report.budget
    if budget is None or not budget.ended:
        return ""
    after = " (a price or a token count is not known)" if budget.is_unknown else f" after {budget.text}"
    return after if report.outcome == "out_of_budget" else f", out of budget{after}"


def used_text(report: Report) -> str:
    """Return the used budget of a job that its budget did not end; empty without a budget."""
    budget = report.budget
    return f"{budget.text} used" if budget is not None and not budget.ended else ""


def missing_text(result: ExperimentResult) -> str:
    """Return the number of runs that failed, and of runs that the budget prevented; empty if there are none.

    Runs that were not made for another reason count as failed.
    """
    missing = result.not_run if result.is_out_of_budget else 0
    parts = [f"{failed} failed"] if (failed := result.bad_runs - missing) else []
    return ", ".join([*parts, f"{missing} not run"] if missing else parts)


def resume_command(report: Report) -> str:
    """Return the command that resumes a job, with a budget for the remaining runs if the budget ended the job."""
    budget = report.budget
    more = _more(report, budget) if budget is not None and budget.ended else []
    return " ".join(["evalwire resume", shlex.quote(report.journal or ""), *more])


def _more(report: Report, budget: BudgetUse) -> list[str]:
    """Return flags with a budget for the remaining runs, for each limit that the job has."""
    made = sum(len(result.runs) for result in report.results)
    share = _RESERVE * (sum(result.not_run for result in report.results) / made if made else 1.0)
    flags = []
    if budget.max_cost_usd is not None:
        flags.append(f"--max-cost {_rounded_up(budget.spent_usd * share or budget.max_cost_usd):g}")
    if budget.max_tokens is not None:
        flags.append(f"--max-tokens {_rounded_up(budget.spent_tokens * share or budget.max_tokens):.0f}")
    if budget.max_seconds is not None:
        flags.append(f"--max-seconds {math.ceil(_rounded_up(budget.spent_seconds * share)):d}")
    return flags


def _rounded_up(value: float) -> float:
    """Return a value with two significant digits that is not smaller."""
    step = 10.0 ** (math.floor(math.log10(value)) - 1) if value > 0 else 1.0
    return math.ceil(round(value / step, 6)) * step
