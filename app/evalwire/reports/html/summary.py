"""Describe the outcome of the job in words, and format the numbers of gates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from evalwire.model import cost_text, count
from evalwire.reports.budget_text import used_text
from evalwire.reports.html.numbers import DASH, duration, number, percent, points, signed
from evalwire.reports.measured import not_needed_text

if TYPE_CHECKING:
    from evalwire.model import GateResult, Report
    from evalwire.reports.digest import Digest

_SHARES = ("min_pass_rate", "max_pass_rate", "min_label_share", "max_label_share", "max_error_rate")
_WHOLE = ("min_examples", "max_total_tokens", "min_llm_calls")


def tolerated(digest: Digest) -> str:
    """Return the failures that gates tolerated, to show next to the outcome."""
    return "; ".join(
        f"{percent(gate.value)} of the runs of {gate.experiment} failed, up to {percent(gate.threshold)} tolerated"
        for gate in digest.tolerating
    )


def reason(report: Report, digest: Digest) -> str:
    """Return the reason for the outcome, in a few sentences."""
    text = _reason(report, digest)
    return f"{text} No task was called: these are {report.source_note}." if report.source_note else text


def _reason(report: Report, digest: Digest) -> str:
    found = ", ".join(_failures(report, digest))
    details = f"{found[:1].upper()}{found[1:]}." if found else ""
    match report.outcome:
        case "partial":
            note = f" {report.gates_note}." if report.gates_note else ""
            return f"The selected examples ran, and every evaluator scored every output.{note}"
        case "passed" if not found and report.early_note:
            return ". ".join(filter(None, ("No gate failed", not_needed_text(report)))) + "."
        case "passed" if not found:
            gates = "; there are no gates" if digest.has_no_gates else "; no gate failed" if report.gates else ""
            return f"Every example ran, and every evaluator scored every output{gates}."
        case "passed":
            return f"The job passed. {details}"
        case "infrastructure":
            return f"Phoenix or another part of the infrastructure failed. {details}"
        case "nothing_to_run":
            return f"There was nothing to run. {details}"
        case "interrupted":
            return f"The job was interrupted before it finished. {details}"
        case "out_of_budget" if report.budget is not None:
            return f"The budget ended the job after {report.budget.text}: {report.budget.ended}. {details}"
    return details or "An evaluator did not return all scores for every run."


def _failures(report: Report, digest: Digest) -> Iterator[str]:
    """Yield how many gates, experiments, runs and records failed."""
    if digest.failed_gates:
        yield f"{digest.failed_gates} of {count(len(report.gates), 'gate')} failed"
    if digest.unfinished_experiments:
        yield f"{count(digest.unfinished_experiments, 'experiment')} did not finish"
    if digest.failed_runs:
        yield f"{digest.failed_runs:,} of {count(digest.expected_runs, 'run')} failed"
    if digest.not_run:
        yield f"{count(digest.not_run, 'run')} not made"
    yield from (f"{problem} (not written)" for problem in report.unwritten)
    if report.undelivered:
        yield f"{count(report.undelivered, 'record')} did not reach Phoenix"


def size(report: Report, digest: Digest) -> str:
    """Return the numbers of experiments, examples and runs, and the duration."""
    runs = sum(len(result.runs) for result in report.results)
    repeated = [count(runs, "run")] if runs != digest.examples else []
    return " · ".join(
        [
            count(len(report.results), "experiment"),
            count(digest.examples, "example"),
            *repeated,
            duration(report.seconds),
            *filter(None, [used_text(report)]),
        ]
    )


def amount(gate: GateResult) -> str:
    """Return the value of a gate, in the unit of the rule."""
    value = gate.value
    if value is None:
        return DASH
    if gate.rule == "max_drop":
        return f"drop {(points(value) if gate.is_rate else number(value)).removeprefix('+')}"
    if gate.rule in _WHOLE:
        return f"{value:,.0f}"
    if gate.rule == "max_p95_seconds":
        return duration(value)
    if gate.rule == "max_cost_usd":
        return cost_text(value)
    return percent(value) if _is_share(gate) else number(value)


def end_of_interval(gate: GateResult) -> Callable[[float | None], str]:
    """Return the function that formats the ends of a gate's interval."""
    if gate.rule == "max_drop":
        return points if gate.is_rate else signed
    return percent if _is_share(gate) else number


def _is_share(gate: GateResult) -> bool:
    return gate.is_rate or gate.rule in _SHARES
