"""Say how the job ended, in words, and write the numbers of gates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from evalwire.reports.highlights import has_no_gates
from evalwire.reports.html.numbers import DASH, duration, number, percent
from evalwire.reports.text import count

if TYPE_CHECKING:
    from evalwire.model import GateResult, Report

_SHARES = ("min_pass_rate", "max_pass_rate", "min_label_share", "max_label_share", "max_error_rate")
_WHOLE = ("min_examples", "max_total_tokens")


def word(report: Report) -> str:
    """Return how the job ended, in one word."""
    return {"passed": "PASSED", "interrupted": "INTERRUPTED"}.get(report.outcome, "FAILED")


def tolerated(report: Report) -> str:
    """Return the failures that a gate of the user's tolerated, which belong beside the outcome."""
    told = [
        f"{percent(gate.value)} of the runs of {gate.experiment} failed, {percent(gate.threshold)} tolerated"
        for gate in report.tolerated
    ]
    return "; ".join(told)


def reason(report: Report) -> str:
    """Return why the job ended as it did, in a sentence or two."""
    found = ", ".join(_broken(report))
    told = f"{found[:1].upper()}{found[1:]}." if found else ""
    match report.outcome:
        case "passed" if not found:
            gates = "; there are no gates" if has_no_gates(report) else "; no gate failed" if report.gates else ""
            return f"Every example ran, and every evaluator scored every output{gates}."
        case "passed":
            return f"All that was asked for held; {found}."
        case "infrastructure":
            return f"Phoenix, or something else around the job, did not work. {told}"
        case "nothing_to_run":
            return f"There was nothing to run. {told}"
        case "interrupted":
            return f"The job was stopped before its end. {told}"
    return told or "An evaluator did not judge every run in the same way."


def _broken(report: Report) -> Iterator[str]:
    """Return how many gates, experiments, runs and records failed."""
    if red := sum(gate.is_red for gate in report.gates):
        yield f"{red} of {count(len(report.gates), 'gate')} failed"
    if broken := sum(bool(result.problems or result.failure) for result in report.results):
        yield f"{count(broken, 'experiment')} could not run to the end"
    if failed := sum(len(result.failed_runs) for result in report.results):
        yield f"{failed:,} of {count(sum(result.expected_runs for result in report.results), 'run')} failed"
    if missing := sum(result.not_run for result in report.results):
        yield f"{count(missing, 'run')} not made"
    yield from (f"{problem} (not written)" for problem in report.unwritten)
    if report.undelivered:
        yield f"{count(report.undelivered, 'record')} did not reach Phoenix"


def size(report: Report) -> str:
    """Return how many experiments, examples and runs there were, and how long they took."""
    examples = sum(result.example_count for result in report.results)
    runs = sum(len(result.runs) for result in report.results)
    repeated = [count(runs, "run")] if runs != examples else []
    return " · ".join(
        [
            count(len(report.results), "experiment"),
            count(examples, "example"),
            *repeated,
            duration(report.seconds),
        ]
    )


def amount(gate: GateResult, value: float | None) -> str:
    """Return a gate's value or its limit in the rule's unit."""
    if value is None:
        return DASH
    if gate.rule in _SHARES:
        return percent(value)
    if gate.rule in _WHOLE:
        return f"{value:,.0f}"
    if gate.rule == "max_p95_seconds":
        return duration(value)
    return f"${value:,.4f}" if gate.rule == "max_cost_usd" else number(value)
