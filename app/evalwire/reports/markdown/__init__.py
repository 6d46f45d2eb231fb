"""Render `summary.md`: the report as GitHub Markdown, for a step summary or a comment on a pull request.

Texts of users and models are in code spans, so nothing in them is Markdown, HTML, a mention or a link. Lists are cut
until the text is short enough for a comment, and show how many entries they omit.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from evalwire.model import count, token_count, total_usage, usage_cost
from evalwire.reports import trend
from evalwire.reports.baseline_text import drops_without_baseline, scored_again
from evalwire.reports.budget_text import ended_text, used_text
from evalwire.reports.calibration_text import calibration_sentences
from evalwire.reports.ci_links import commit_link, pull_request_link
from evalwire.reports.digest import REASONS, Digest
from evalwire.reports.markdown.examples import baselines, lowest_scores
from evalwire.reports.markdown.parts import ELSEWHERE, LONGEST_NAME, ROOMS, Part, folded, listed, omitted
from evalwire.reports.markdown.scores import score_table, statistics
from evalwire.reports.markdown.variants import variant_parts
from evalwire.reports.markdown_text import code, link_to, prose
from evalwire.reports.measured import not_needed_text
from evalwire.reports.reachable import with_reachable_pages
from evalwire.reports.text import gate_sentence, relative

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalwire.model import ExperimentResult, Failure, GateResult, Report
    from evalwire.reports.causes import Cause
    from evalwire.reports.markdown.parts import Room

MOST_BYTES = 60_000  # GitHub limits a comment to 65,536 characters
_MARKS = {"PASSED": "✅", "PARTIAL": "⚠️", "FAILED": "❌", "OUT OF BUDGET": "❌", "INTERRUPTED": "⚠️"}


def pieces(report: Report) -> list[str]:
    """Return the report as Markdown, in a single piece."""
    return [render(report)]


def render(report: Report) -> str:
    """Return the report as Markdown of at most 60,000 bytes."""
    report = with_reachable_pages(report)
    parts = [Part.of(report, result) for result in report.results]
    for room in ROOMS:
        text = "\n".join(_lines(report, parts, room))
        if len(text.encode()) <= MOST_BYTES:
            return text
    return f"{_heading(report)}\n\nThe rest is too long to show here; {ELSEWHERE}.\n"


def _lines(report: Report, parts: Sequence[Part], room: Room) -> Iterator[str]:
    yield _heading(report)
    yield ""
    if numbers := _numbers(report):
        yield numbers
        yield ""
    if parts:
        yield from score_table(report, parts, room)
        yield from _calibrations(report)
    yield from _failed_gates(report, room)
    yield from variant_parts(report, room)
    yield from _errors(report, parts, room)
    yield from baselines(parts, room)
    yield from lowest_scores(report, parts, room)
    yield from folded("History", trend.markdown_lines(report) if room.items else ())
    yield from _other_gates(report, room)
    yield from folded("Statistics: intervals, p-values and methods", statistics(parts, report.gates, room))
    if links := _links(report):
        yield links
        yield ""


def _calibrations(report: Report) -> Iterator[str]:
    sentences = calibration_sentences(report)
    yield from (f"- {prose(sentence)}" for sentence in sentences)
    if sentences:
        yield ""


# --- first lines ---


def _heading(report: Report) -> str:
    """Return the outcome of the job and the reason, on a single line."""
    digest = Digest.of(report)
    ended = f"{digest.word}{ended_text(report)}"
    word = f"{ended} ({prose(report.scope)})" if report.scope else ended
    mark = _MARKS["FAILED"] if report.exit_code == 1 else _MARKS[digest.word]
    head = f"## {mark} evalwire {word}{drops_without_baseline(report)}"
    if not report.results:
        return f"{head}: {REASONS.get(report.outcome, 'no experiment was run')}"
    reasons = [
        f"{count(digest.failed_gates, 'gate')} failed" if digest.failed_gates else "",
        *(f"not written: {prose(problem)}" for problem in report.unwritten),
        _failed(digest) if digest.failed_runs else "",
        f"{digest.not_run} not run" if digest.not_run else "",
    ]
    size = [_experiments(digest, report), count(digest.expected_runs, "run")] if not any(reasons) else []
    again = f"; {prose(again)}" if (again := scored_again(report)) else ""
    return f"{head}: {', '.join(filter(None, [*size, *reasons, 'no gates' if digest.has_no_gates else '']))}{again}"


def _experiments(digest: Digest, report: Report) -> str:
    experiments = count(len(report.results), "experiment")
    is_counted = digest.failed_experiments and len(report.results) > 1  # the first word is enough for a single one
    return f"{digest.failed_experiments} of {experiments} failed" if is_counted else experiments


def _failed(digest: Digest) -> str:
    """Return how many runs failed, and how many of the failures a gate tolerated."""
    tolerated = digest.tolerated_runs
    text = f"{digest.failed_runs} of {count(digest.expected_runs, 'run')} failed"
    if tolerated == digest.failed_runs:
        return f"{text} (tolerated by max_error_rate)"
    return f"{text} ({tolerated} tolerated by max_error_rate)" if tolerated else text


def _numbers(report: Report) -> str:
    """Return sizes, duration and usage of language models, on a single line."""
    digest = Digest.of(report)
    size = [_experiments(digest, report), count(digest.examples, "example"), f"{report.seconds:.1f} s"]
    parts = size if report.results else []
    usage = total_usage(result.usage or () for result in report.results)
    if used := token_count(usage):
        cost = usage_cost(usage, report.prices)
        date = f" (prices of {cost.as_of})" if cost.as_of else ""
        parts.append(f"{used:,} tokens" + (f", {cost.text}{date}" if cost.usd else ""))
    parts += filter(None, [used_text(report), not_needed_text(report), report.gates_note])
    return " · ".join(parts)


def _links(report: Report) -> str:
    """Return the commit, the pull request and the CI job, on a single line; empty outside CI."""
    ci = report.ci
    parts = []
    if commit := ci.get("commit"):
        shown = code(str(commit)[:10])
        changes = " with uncommitted changes" if ci.get("dirty") else ""
        parts.append(f"Commit {link_to(shown, commit_link(ci)) or shown}{changes}")
    if branch := ci.get("branch"):
        parts.append(f"branch {code(str(branch), LONGEST_NAME)}")
    if number := ci.get("pull_request"):
        parts.append(link_to(f"pull request {code(str(number))}", pull_request_link(ci)))
    parts.append(link_to("CI job with all reports", str(ci.get("job_url", ""))))
    return " · ".join(filter(None, parts))


# --- gates and errors ---


def _failed_gates(report: Report, room: Room) -> Iterator[str]:
    failed = [gate for gate in report.gates if gate.is_red]
    if failed:
        yield "### Failed gates"
        yield ""
        yield from listed(map(_gate, failed), room.rows, len(failed), "failed gates")


def _other_gates(report: Report, room: Room) -> Iterator[str]:
    others = [gate for gate in report.gates if not gate.is_red]
    states = [
        f"{number} {status}"
        for status in ("passed", "inconclusive", "no baseline")
        if (number := sum(gate.status == status for gate in others))
    ]
    title = f"{'Other gates' if len(others) < len(report.gates) else 'Gates'}: {', '.join(states)}"
    if others:
        yield from folded(title, listed(map(_gate, others), min(room.rows, 50), len(others), "gates"))


def _gate(gate: GateResult) -> str:
    state = gate_sentence(gate).removesuffix(gate.text)
    return f"{code(gate.experiment, LONGEST_NAME)}: {state}{prose(gate.text)}"


def _errors(report: Report, parts: Sequence[Part], room: Room) -> Iterator[str]:
    found = [(part, list(_own_failures(report, part.result, room))) for part in parts]
    found = [(part, own) for part, own in found if own or part.causes]
    if found:
        yield "### Errors"
        yield ""
    for part, own in found[: room.rows]:
        yield f"{code(part.result.name, LONGEST_NAME)}:"
        yield ""
        of_runs = (f"{count(len(cause.runs), 'run')}, {_cause(report, cause, room)}" for cause in part.causes)
        number = len(own) + len(part.causes)
        yield from listed(chain(own, of_runs), max(room.items, 1), number, "kinds of error")
    yield from omitted(len(found) - room.rows, len(found), "experiments with errors")


def _own_failures(report: Report, result: ExperimentResult, room: Room) -> Iterator[str]:
    for problem in result.problems:
        yield _failure(report, problem, room)
    if result.failure:
        yield _failure(report, result.failure, room)
    for score in result.incomplete_scores:
        yield f"{code(score.name, LONGEST_NAME)} was returned for only {score.count} of {len(result.runs)} runs"


def _cause(report: Report, cause: Cause, room: Room) -> str:
    stage = f"{cause.what} {code(cause.name, LONGEST_NAME)}" if cause.name is not None else cause.what
    return f"{stage}: {_failure(report, cause.failure, room)}"


def _failure(report: Report, failure: Failure, room: Room) -> str:
    text = f"{failure.type}: {failure.message}" if failure.message else failure.type
    if failure.cause:
        text += f" (from {failure.cause})"
    place = relative(failure.where or "", report.directory)
    return code(text, room.length) + (f" at {code(place, LONGEST_NAME)}" if place else "")
