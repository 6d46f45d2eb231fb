"""Size limits of the text, and the data of an experiment that its parts share."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from evalwire.reports.causes import causes_of
from evalwire.reports.highlights import changed_examples

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evalwire.model import Baseline, ExperimentResult, Report, ScoreSummary
    from evalwire.reports.causes import Cause
    from evalwire.reports.highlights import ChangedExample

LONGEST_NAME = 120
ELSEWHERE = "see results.json"


@dataclass(frozen=True, slots=True)
class Room:
    """The size limits: rows of tables and gates, items of a list, and characters of a text."""

    rows: int
    items: int
    length: int


ROOMS = (
    Room(500, 10, 300),
    Room(500, 10, 150),
    Room(300, 5, 150),
    Room(200, 3, 100),
    Room(100, 1, 80),
    Room(50, 0, 80),
    Room(20, 0, 40),
    Room(5, 0, 20),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The data to show for an experiment, computed once.

    Attributes:
        result: the experiment.
        passed: whether it passed, including its gates.
        scores: summaries of its scores.
        baseline: comparison with its baseline; None if none was requested.
        changed: examples with a changed score, largest regressions first.
        causes: causes of failed runs, most common first.
    """

    result: ExperimentResult
    passed: bool
    scores: list[ScoreSummary]
    baseline: Baseline | None
    changed: list[ChangedExample]
    causes: list[Cause]

    @classmethod
    def of(cls, report: Report, result: ExperimentResult) -> Part:
        """Compute the data of an experiment."""
        baseline = report.baseline_of(result.name)
        return cls(
            result=result,
            passed=report.passed(result),
            scores=result.scores,
            baseline=baseline,
            changed=changed_examples(baseline, result),
            causes=causes_of(result),
        )

    @property
    def worse(self) -> list[ChangedExample]:
        """The examples that became worse, largest regressions first."""
        return [example for example in self.changed if example.is_worse]


def listed(items: Iterable[str], most: int, number: int, noun: str) -> Iterator[str]:
    """Yield at most `most` list items, and the number of omitted items."""
    for item in islice(items, most):
        yield f"- {item}"
    yield ""
    yield from omitted(number - most, number, noun)


def omitted(number: int, total: int, noun: str) -> Iterator[str]:
    """Yield how many entries a list omits, and where they are; nothing for 0."""
    if number > 0:
        yield f"Not shown: {number:,} of {total:,} {noun}; {ELSEWHERE}."
        yield ""


def folded(title: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield lines below a title that opens them; nothing without lines."""
    found = list(lines)
    if found:
        yield from ("<details>", f"<summary>{title}</summary>", "", *found, "</details>", "")
