"""Render `metrics.txt`: the numbers of a report as OpenMetrics text, for the metrics report of a GitLab merge request.

GitLab matches a metric of the merge request with the target branch's metric by its name and labels, so a label never
contains a value that changes with each job.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from evalwire.model import usage_cost
from evalwire.reports.text import CONTROLS, DIRECTIONS, LINE_SEPARATORS, WHITE_CONTROLS, cut, replace_unsafe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalwire.model import ExperimentResult, Report

_HELP = {
    "evalwire_passed": "1 if the experiment and its gates passed, else 0.",
    "evalwire_examples": "Number of examples.",
    "evalwire_failed_runs": "Number of runs that failed or were not run.",
    "evalwire_cost_usd": "Cost of language models in USD, if the cost of every call is known.",
    "evalwire_score": "Mean of an evaluator's scores.",
}
_LONGEST_LABEL = 200
_UNSAFE = re.compile(f"[{WHITE_CONTROLS}{CONTROLS}{LINE_SEPARATORS}{DIRECTIONS}]")


def pieces(report: Report) -> Iterator[str]:
    """Yield the metrics, all values of a metric together."""
    samples = [sample for result in report.results for sample in _samples(report, result)]
    for name, text in _HELP.items():
        lines = [f"{name}{labels} {value:.6g}\n" for found, labels, value in samples if found == name]
        if lines:
            yield f"# TYPE {name} gauge\n# HELP {name} {text}\n{''.join(lines)}"
    yield "# EOF\n"


def _samples(report: Report, result: ExperimentResult) -> Iterator[tuple[str, str, float]]:
    """Yield the name, the labels and the value of each metric of an experiment; unknown values are omitted."""
    labels = _labels(experiment=result.name)
    yield "evalwire_passed", labels, float(report.passed(result))
    yield "evalwire_examples", labels, result.example_count
    yield "evalwire_failed_runs", labels, result.bad_runs
    if result.usage:
        cost = usage_cost(result.usage, report.prices)
        if not cost.unknown:
            yield "evalwire_cost_usd", labels, cost.usd
    for score in result.scores:
        if score.mean is not None and math.isfinite(score.mean):
            yield "evalwire_score", _labels(experiment=result.name, evaluator=score.name), score.mean


def _labels(**labels: str) -> str:
    return f"{{{','.join(f'{name}={_quoted(value)}' for name, value in labels.items())}}}"


def _quoted(value: str) -> str:
    """Return a quoted label; GitLab reads the rest of a line after `#` as a comment, even inside quotes."""
    text = cut(replace_unsafe(_UNSAFE, value), _LONGEST_LABEL).replace("#", "\uff03")
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))
