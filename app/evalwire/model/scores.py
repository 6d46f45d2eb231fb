"""What an evaluator said over all runs of an experiment, and of each example, in a few numbers."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from evalwire.model.stats import pass_at_k, pass_hat_k, sample_deviation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from evalwire.model.run import Evaluation, TaskRun


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleScore:
    """What an evaluator said of one example over its repetitions.

    Attributes:
        mean: of the scores there are; None when there is none.
        spread: their sample standard deviation; None below two scores.
        count: how many repetitions have an evaluation.
        missing: how many have none: the task or the evaluator failed, or they were not run.
    """

    example_id: str
    mean: float | None
    spread: float | None
    count: int
    missing: int

    @classmethod
    def of(cls, example_id: str, said: Sequence[Evaluation], *, repetitions: int) -> ExampleScore:
        """Summarise what was said of one example."""
        scores = _scores(said)
        return cls(
            example_id=example_id,
            mean=_mean(scores),
            spread=sample_deviation(scores) if len(scores) > 1 else None,
            count=len(said),
            missing=repetitions - len(said),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSummary:
    """What an evaluator said over all runs of an experiment.

    The attributes from `spread` on are of repeated examples, those that ran at least once; else they are empty.

    Attributes:
        mean: of the scores there are; None when there is none.
        count: how many runs have an evaluation.
        missing: how many have none, because the task or the evaluator failed.
        labels: how often each label was given.
        pass_rate: of an evaluator that returns bools, over all expected runs; what failed or was not run did not pass.
        spread: the mean of the examples' spreads; None when no example has one.
        per_example: one for each example, in the dataset's order.
        pass_at: of an evaluator that returns bools: k -> pass@k, the mean over examples, for k = 1 .. repetitions.
        pass_hat: likewise pass^k. What failed or was not run counts as not passed in both.
    """

    name: str
    mean: float | None
    count: int
    missing: int
    labels: Mapping[str, int]
    pass_rate: float | None = None
    spread: float | None = None
    per_example: tuple[ExampleScore, ...] = ()
    pass_at: Mapping[int, float] = field(default_factory=dict)
    pass_hat: Mapping[int, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls, name: str, runs: Sequence[TaskRun], *, repetitions: int = 1, expected: int | None = None
    ) -> ScoreSummary:
        """Summarise the evaluations of one name over runs in which those of one example stand together.

        Args:
            name: of the evaluation.
            runs: that were made.
            repetitions: how many of each example there were to be.
            expected: how many runs there were to be in all; those that were made by default.
        """
        said = _said(name, runs)
        is_bool = are_bools(said)
        per_example: list[ExampleScore] = []
        passes: Counter[int] = Counter()  # how many examples passed so many times
        for _, group in groupby(runs, key=lambda run: run.example.node_id) if repetitions > 1 else ():
            its_runs = list(group)
            found = _said(name, its_runs)
            per_example.append(ExampleScore.of(its_runs[0].example.id, found, repetitions=repetitions))
            if is_bool:
                passes[sum(one.score == 1 for one in found)] += 1
        return cls(
            name=name,
            mean=_mean(_scores(said)),
            count=len(said),
            missing=len(runs) - len(said),
            pass_rate=sum(one.score == 1 for one in said) / (expected or len(runs)) if is_bool else None,
            labels=Counter(evaluation.label for evaluation in said if evaluation.label is not None),
            spread=_mean([one.spread for one in per_example if one.spread is not None]),
            per_example=tuple(per_example),
            pass_at=_for_each_k(pass_at_k, repetitions, passes),
            pass_hat=_for_each_k(pass_hat_k, repetitions, passes),
        )


def are_bools(said: Sequence[Evaluation]) -> bool:
    """Check whether all of these evaluations, which did not fail, are an evaluator's True or False."""
    return bool(said) and {(one.score, one.label) for one in said} <= {(0.0, "False"), (1.0, "True")}


def _said(name: str, runs: Sequence[TaskRun]) -> list[Evaluation]:
    """The evaluations of one name that did not fail."""
    return [said for run in runs for said in run.evaluations if said.name == name and said.failure is None]


def _scores(said: Sequence[Evaluation]) -> list[float]:
    return [evaluation.score for evaluation in said if evaluation.score is not None]


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _for_each_k(formula: Callable[[int, int, int], float], n: int, passes: Counter[int]) -> dict[int, float]:
    """The mean of `formula(n, c, k)` over examples for k = 1 .. n; `passes` says how many examples have each c."""
    count = passes.total()
    if not count:
        return {}
    return {k: math.fsum(formula(n, c, k) * times for c, times in passes.items()) / count for k in range(1, n + 1)}
