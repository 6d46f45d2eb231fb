"""Find the examples of a finished report to look at first, for all report formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import nlargest, nsmallest
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from evalwire.model import mean, remembered

if TYPE_CHECKING:
    from evalwire.model import Baseline, BaselineRun, Direction, ExperimentResult, TaskRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Highlight:
    """An example and its score in an evaluation.

    Attributes:
        run: run of the example; if it has repetitions, the run with the worst score.
        evaluation: name of the evaluation.
        after: score of the example, as the mean over repetitions; None without a score.
    """

    run: TaskRun
    evaluation: str
    after: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreChange:
    """A score of an example in the baseline and in this job, as means over repetitions.

    Attributes:
        evaluation: name of the evaluation.
        before: score in the baseline; None without a score.
        after: score in this job; None without a score.
        gain: improvement; negative for a regression, 0 if both are equal or cannot be compared.
        is_bool: whether the score is a bool on both sides, in a single repetition.
    """

    evaluation: str
    before: float | None
    after: float | None
    gain: float = 0.0
    is_bool: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedExample:
    """An example with a score that differs from the baseline.

    Attributes:
        run: run of the example; if it has repetitions, the run with the worst score in the evaluation that lost most.
        scores: all compared scores of the example: regressions, largest first, then improvements, then equal scores.
        baseline_run: the baseline's run of the same repetition; None if it is not known.
    """

    run: TaskRun
    scores: tuple[ScoreChange, ...]
    baseline_run: BaselineRun | None

    @property
    def is_worse(self) -> bool:
        """Check whether any score became worse."""
        return any(score.gain < 0 for score in self.scores)

    @property
    def is_better(self) -> bool:
        """Check whether any score became better."""
        return any(score.gain > 0 for score in self.scores)


def changed_examples(baseline: Baseline | None, result: ExperimentResult) -> list[ChangedExample]:
    """Return each example with a changed score once, with all its scores: largest regressions first.

    The scores of an evaluation are weighted by its largest change, because evaluations have different scales.

    Args:
        baseline: comparison of the experiment with its baseline; None without a comparison.
        result: the experiment.
    """
    # the pair keeps the baseline alive, so that no other baseline has its ID
    known = remembered(result, ("changed", id(baseline)), lambda: (baseline, _changed_examples(baseline, result)))
    return list(known[1])


def _changed_examples(baseline: Baseline | None, result: ExperimentResult) -> list[ChangedExample]:
    comparisons = baseline.comparisons if baseline else ()
    pairs = {compared.name: {pair.example_id: pair for pair in compared.pairs} for compared in comparisons}
    largest = {
        compared.name: max((abs(compared.gain(pair)) for pair in compared.pairs), default=0.0) or 1.0
        for compared in comparisons
    }
    earlier = baseline.runs_by_key if baseline else {}
    directions = {compared.name: compared.direction for compared in comparisons}
    found: list[tuple[float, float, ChangedExample]] = []
    for example_id, runs in _by_example(result).items():
        scores = [
            ScoreChange(
                evaluation=compared.name,
                before=pair.before,
                after=pair.after,
                gain=compared.gain(pair),
                is_bool=compared.is_bool and result.repetitions == 1 and pair.before in (0.0, 1.0),
            )
            for compared in comparisons
            if (pair := pairs[compared.name].get(example_id)) is not None
        ]
        shares = [score.gain / largest[score.evaluation] for score in scores]
        if not any(shares):
            continue
        ordered = [scores[place] for place in sorted(range(len(scores)), key=lambda place: _rank(shares[place]))]
        run = _worst_run(runs, ordered[0].evaluation, directions[ordered[0].evaluation])
        example = ChangedExample(run=run, scores=tuple(ordered), baseline_run=earlier.get((example_id, run.repetition)))
        found.append((sum(min(share, 0.0) for share in shares), -sum(shares), example))
    return [example for *_, example in sorted(found, key=lambda item: item[:2])]


def _rank(share: float) -> tuple[int, float]:
    """Return the sort key of a change: regressions, then improvements, then equal scores, largest first."""
    return (0 if share < 0 else 1 if share > 0 else 2), -abs(share)


def comparison_link(baseline: Baseline | None, result: ExperimentResult) -> str | None:
    """Return the address of Phoenix's page that shows an experiment next to its baseline.

    None if they are not experiments of the same dataset on the same server, or if their addresses are not known.
    """
    if baseline is None or not baseline.experiment_id or not result.url or not result.opened or not result.opened.id:
        return None
    page, dataset_page = (_dataset_page(url) for url in (result.url, baseline.url or ""))
    if page != dataset_page:
        return None
    ids = urlencode([("experimentId", id_) for id_ in (baseline.experiment_id, result.opened.id)], errors="replace")
    return f"{page}/compare?{ids}"


def _dataset_page(url: str) -> str:
    """Return the address of the dataset that an experiment's address contains; empty without a dataset."""
    site, found, rest = url.partition("/datasets/")
    return f"{site}{found}{rest.partition('/')[0]}" if found else ""


def lowest(result: ExperimentResult, name: str, *, direction: Direction = "maximize", most: int = 5) -> list[Highlight]:
    """Return the examples with the worst scores of an evaluation; an empty list if all scores are equal."""
    scores: dict[str, list[float]] = {}
    for run in result.runs:
        for found in run.evaluations:
            if found.name == name and found.score is not None:
                scores.setdefault(run.example.id, []).append(found.score)
    means = {example_id: own[0] if len(own) == 1 else mean(own) for example_id, own in scores.items()}
    if not means:
        return []
    best = (min if direction == "minimize" else max)(means.values())
    first = nlargest if direction == "minimize" else nsmallest  # both keep the order of equal means
    worst = [example_id for example_id in first(most, means, key=means.__getitem__) if means[example_id] != best]
    runs = _by_example(result) if worst else {}
    return [
        Highlight(run=_worst_run(runs[example_id], name, direction), evaluation=name, after=means[example_id])
        for example_id in worst
    ]


def link(result: ExperimentResult, run: TaskRun | BaselineRun) -> str | None:
    """Return the address of a run's trace in Phoenix; None without a trace."""
    return f"{_traces(result.url)}{run.trace_id}" if run.trace_id and result.url else None


@lru_cache(maxsize=256)
def _traces(url: str) -> str:
    """Return the start of the addresses of traces on the server of an experiment's page."""
    return f"{url.partition('/datasets/')[0]}/redirects/traces/"


def _by_example(result: ExperimentResult) -> dict[str, list[TaskRun]]:
    found: dict[str, list[TaskRun]] = {}
    for run in result.runs:
        found.setdefault(run.example.id, []).append(run)
    return found


def _worst_run(runs: Sequence[TaskRun], name: str, direction: Direction) -> TaskRun:
    """Return the run of an example to show: a run without a score, or else with the worst score, or not applicable."""
    sign = -1 if direction == "minimize" else 1

    def badness(run: TaskRun) -> tuple[bool, bool, float]:
        evaluations = [found for found in run.evaluations if found.name == name]
        scores = [found.score for found in evaluations if found.score is not None]
        return any(not found.is_applicable for found in evaluations), bool(scores), sign * scores[0] if scores else 0.0

    return min(runs, key=badness)
