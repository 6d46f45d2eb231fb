"""Mean scores of an experiment: computed at its end, written into its metadata, and read back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalwire.model.baseline import Interval
from evalwire.model.intervals import interval_of_mean, interval_of_rate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalwire.model.result import ExperimentResult
    from evalwire.model.scores import ScoreSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreMean:
    """The mean score of an evaluation in an experiment.

    Attributes:
        name: the name of the evaluation.
        mean: the mean, or for bools the pass rate over all expected runs to which the evaluator applies.
        count: the number of runs behind the mean.
        interval: the two-sided confidence interval of the mean; None if there are too few different values.
        is_rate: whether the mean is a pass rate.
    """

    name: str
    mean: float
    count: int
    interval: Interval | None = None
    is_rate: bool = False


def score_means(result: ExperimentResult) -> tuple[ScoreMean, ...]:
    """Return the mean of each score of an experiment, with Wilson's interval or Student's t interval over examples."""
    return tuple(found for score in result.scores if (found := _score_mean(result, score)) is not None)


def _score_mean(result: ExperimentResult, score: ScoreSummary) -> ScoreMean | None:
    if score.mean is None:
        return None
    values = _values(result, score)
    if score.pass_rate is None:
        return ScoreMean(name=score.name, mean=score.mean, count=score.count, interval=interval_of_mean(values))
    size = max(result.expected_runs, len(result.runs)) - score.not_applicable
    is_repeated = result.repetitions > 1
    interval = interval_of_mean(values) if is_repeated else interval_of_rate(round(score.pass_rate * size), size)
    return ScoreMean(name=score.name, mean=score.pass_rate, count=size, interval=interval, is_rate=True)


def _values(result: ExperimentResult, score: ScoreSummary) -> Sequence[float]:
    """Return the mean of each example; in a pass rate, a missing run did not pass."""
    if result.repetitions > 1:
        lost = score.pass_rate is not None
        return [
            each.mean * each.count / (each.count + each.missing) if lost else each.mean
            for each in score.per_example
            if each.mean is not None
        ]
    evaluations = (each for run in result.runs for each in run.evaluations if each.name == score.name)
    return [each.score for each in evaluations if each.score is not None and each.failure is None]


def means_to_json(means: Sequence[ScoreMean]) -> dict[str, Any]:
    """Return means as JSON, by name, for the metadata of an experiment."""
    return {
        each.name: {
            "mean": each.mean,
            "n": each.count,
            "is_rate": each.is_rate,
            **(_ends(each.interval) if each.interval else {}),
        }
        for each in means
    }


def _ends(interval: Interval) -> dict[str, Any]:
    return {"low": interval.low, "high": interval.high, "method": interval.method}


def means_from_json(recorded: object) -> tuple[ScoreMean, ...]:
    """Return means from the metadata of an experiment, sorted by name; entries of other forms are left out."""
    entries = recorded.items() if isinstance(recorded, Mapping) else ()
    return tuple(found for name, entry in sorted(entries) if (found := _mean_from_json(name, entry)) is not None)


def _mean_from_json(name: str, entry: object) -> ScoreMean | None:
    if not isinstance(entry, Mapping) or (mean := _finite(entry.get("mean"))) is None:
        return None
    count, low, high = entry.get("n"), _finite(entry.get("low")), _finite(entry.get("high"))
    is_bounded = low is not None and high is not None and low <= mean <= high
    return ScoreMean(
        name=name,
        mean=mean,
        count=count if isinstance(count, int) else 0,
        interval=Interval(low=low, high=high, method=str(entry.get("method"))) if is_bounded else None,  # type: ignore[arg-type]  # both are numbers
        is_rate=entry.get("is_rate") is True,
    )


def _finite(value: object) -> float | None:
    """Return a finite number; None for any other value."""
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
