"""Render the output of `evalwire report --experiment`: a recorded experiment as a Markdown page.

Texts of users and models are in code spans, except names that are plain words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evalwire.model import written
from evalwire.reports.highlights import link
from evalwire.reports.text import cut, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalwire.model import ExperimentResult, ScoreSummary, TaskRun

_MOST_FAILURES = 20
_LONGEST_ERROR = 300
_MOST_LABELS = 10
_WORD = re.compile(r"[A-Za-z0-9]+(?:[ _.:/-][A-Za-z0-9]+)*=*")
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~!$&'*+,;=:@%/?#-]*)?")


def render(result: ExperimentResult) -> str:
    """Return a recorded experiment as Markdown.

    The score of an evaluator that returns bools is the share of all runs that passed. Runs that failed or were not
    made count as not passed. The score of any other evaluator is the mean of the available scores, with their number
    if runs have no score.

    Args:
        result: recorded experiment, in which failed runs have no evaluations, as `evalwire.model.scores` counts them.
    """
    return "\n".join([*_head(result), *_scores(result), *_failures(result)]) + "\n"


def _head(result: ExperimentResult) -> Iterator[str]:
    opened = result.opened
    errors = sum(evaluation.failure is not None for run in result.runs for evaluation in run.evaluations)
    facts = {
        "Name": _named(opened.recorded_name) if opened else "",
        "Dataset": _named(result.dataset_name),
        "Phoenix": f"<{result.url}>" if result.url and _ADDRESS.fullmatch(result.url) else "",
        "Total runs": str(len(result.runs)),
        "Failed runs": str(sum(run.failure is not None for run in result.runs)),
        "Not run": str(result.not_run),
        "Evaluator errors": str(errors),
    }
    yield f"# Experiment Report: {_named(result.experiment_id)}"
    yield ""
    for name, fact in facts.items():
        if fact:
            yield f"**{name}:** {fact}"
            yield ""


def _scores(result: ExperimentResult) -> Iterator[str]:
    yield "## Scores"
    yield ""
    for score in result.scores:
        yield f"- **{_named(score.name)}**: {_score(score, result.expected_runs)}"
    if not result.scores:
        yield "No evaluations are recorded."
    yield ""


def _score(score: ScoreSummary, expected: int) -> str:
    number = score.mean if score.pass_rate is None else score.pass_rate
    details = []
    if number is None:
        common = sorted(score.labels.items(), key=lambda pair: (-pair[1], pair[0]))
        details += [f"{_code(label)} {count}" for label, count in common[:_MOST_LABELS]]
        details += [f"{len(common) - _MOST_LABELS} more labels"] if len(common) > _MOST_LABELS else []
    if score.given < expected:
        details.append(f"{score.given} of {expected} runs evaluated")
    if score.unscored:
        details.append(f"{score.unscored} of {expected} have no score")
    if score.not_applicable:
        details.append(f"{score.not_applicable} not applicable")
    text = "no score" if number is None else written(number, digits=4)
    return f"{text} ({', '.join(details)})" if details else text


def _failures(result: ExperimentResult) -> Iterator[str]:
    failed = result.failed_runs
    if not failed:
        return
    yield "## Failures"
    yield ""
    for run in failed[:_MOST_FAILURES]:
        for failure in run.failures:
            error = _code(cut(plain(str(failure)), _LONGEST_ERROR))
            yield f"- {_of(run)}{_link(result, run)}: {error}"
    if len(failed) > _MOST_FAILURES:
        yield f"- and {len(failed) - _MOST_FAILURES} more runs"
    yield ""


def _of(run: TaskRun) -> str:
    return _code(run.example.id) + (f", repetition {run.repetition}" if run.repetition > 1 else "")


def _link(result: ExperimentResult, run: TaskRun) -> str:
    url = link(result, run)
    return f" ([trace](<{url}>))" if url and _ADDRESS.fullmatch(url) else ""


def _named(text: str) -> str:
    """Return a name unchanged if it contains no Markdown, else as code."""
    return text if _WORD.fullmatch(text) else _code(text)


def _code(text: str) -> str:
    """Return text as a code span that the text itself cannot end."""
    text = plain(text) or " "
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}"
