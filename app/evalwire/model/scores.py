"""Summaries of an evaluator's scores over all runs of an experiment, and per example."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from evalwire.model.numbers import mean
from evalwire.model.stats import pass_at_k, pass_hat_k, sample_deviation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from evalwire.model.run import Evaluation, TaskRun


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleScore:
    """The scores of an evaluator for an example, over all repetitions.

    Attributes:
        example_id: the ID of the example.
        mean: the mean score; None without a score.
        spread: the sample standard deviation of the scores; None for fewer than two scores.
        count: the number of repetitions with a score, or with a label if the evaluator returns only labels.
        missing: the number of repetitions without a score to which the evaluator applies.
    """

    example_id: str
    mean: float | None
    spread: float | None
    count: int
    missing: int

    @classmethod
    def of(cls, example_id: str, counted: Sequence[Evaluation], *, repetitions: int) -> ExampleScore:
        """Summarize an example.

        Args:
            example_id: the ID of the example.
            counted: the evaluations that count.
            repetitions: the number of runs to which the evaluator applies.
        """
        scores = _scores(counted)
        return cls(
            example_id=example_id,
            mean=_mean(scores),
            spread=sample_deviation(scores) if len(scores) > 1 else None,
            count=len(counted),
            missing=repetitions - len(counted),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSummary:
    """The scores of an evaluator over all runs of an experiment.

    Each run counts in `count`, `missing` or `not_applicable`. The attributes from `spread` to `pass_hat` describe
    repeated examples that ran at least once. They are empty without repetitions.

    Attributes:
        name: the name of the evaluation.
        mean: the mean score; None without a score.
        count: the number of runs with a score, or with a label if the evaluator returns only labels.
        missing: the number of runs without a score: the task or the evaluator failed, or only a label was returned.
        labels: the number of times each label was returned, where the evaluator applies.
        pass_rate: for an evaluator that returns bools: the fraction of passes among all expected runs to which it
            applies. A missing run, or a run that was never made, did not pass.
        spread: the mean of the examples' spreads; None if no example has a spread.
        per_example: the scores of each example, in the dataset's order.
        pass_at: for an evaluator that returns bools: k -> pass@k, the mean over examples, for k = 1 .. repetitions.
        pass_hat: the same for pass^k. Failed runs and runs never made count as not passed in both.
        unscored: the number of missing runs with a label but without a score.
        not_applicable: the number of runs to which the evaluator does not apply.
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
    unscored: int = 0
    not_applicable: int = 0

    @property
    def given(self) -> int:
        """The number of runs with an evaluation of any kind."""
        return self.count + self.unscored + self.not_applicable


def summarize_scores(
    names: Iterable[str], runs: Sequence[TaskRun], *, repetitions: int, expected: int
) -> list[ScoreSummary]:
    """Summarize the evaluations of each name.

    Args:
        names: the names of the evaluations.
        runs: the runs that were made; an example's runs are adjacent.
        repetitions: the expected number of runs of each example.
        expected: the expected number of runs in total.
    """
    examples = [list(group) for _, group in groupby(runs, key=lambda run: run.example.node_id)]
    found: defaultdict[str, defaultdict[int, list[Evaluation]]] = defaultdict(lambda: defaultdict(list))
    for index, example_runs in enumerate(examples):
        for run in example_runs:
            for evaluation in run.evaluations:
                if evaluation.failure is None:
                    found[evaluation.name][index].append(evaluation)
    ids = [example_runs[0].example.id for example_runs in examples]
    size = {"runs": len(runs), "repetitions": repetitions, "expected": expected}
    return [_summary(name, found[name], ids, **size) for name in names]


def _summary(
    name: str,
    by_example: Mapping[int, Sequence[Evaluation]],
    example_ids: Sequence[str],
    *,
    runs: int,
    repetitions: int,
    expected: int,
) -> ScoreSummary:
    every = [evaluation for found in by_example.values() for evaluation in found]
    is_bool, is_scored = are_bools(every), bool(_scores(every))
    counted = _counted(every, is_scored=is_scored)
    others = _not_applicable(every)
    per_example: list[ExampleScore] = []
    passes: Counter[tuple[int, int]] = Counter()  # (n, c) -> the number of examples with c passes in n runs
    for index, example_id in enumerate(example_ids) if repetitions > 1 else ():
        found = by_example.get(index, ())
        own = _counted(found, is_scored=is_scored)
        size = repetitions - _not_applicable(found)
        per_example.append(ExampleScore.of(example_id, own, repetitions=size))
        if is_bool:
            passes[size, _passes(own)] += 1
    return ScoreSummary(
        name=name,
        mean=_mean(_scores(every)),
        count=len(counted),
        missing=runs - others - len(counted),
        pass_rate=_passes(every) / (expected - others) if is_bool else None,
        labels=Counter(each.label for each in every if each.is_applicable and each.label is not None),
        spread=_mean([score.spread for score in per_example if score.spread is not None]),
        per_example=tuple(per_example),
        pass_at=_for_each_k(pass_at_k, repetitions, passes),
        pass_hat=_for_each_k(pass_hat_k, repetitions, passes),
        unscored=len(every) - others - len(counted),
        not_applicable=others,
    )


def are_bools(evaluations: Sequence[Evaluation]) -> bool:
    """Check whether these evaluations, none of which failed, have scores and all scores are bools."""
    return {evaluation.kind for evaluation in evaluations if evaluation.score is not None} == {"bool"}


def _counted(evaluations: Sequence[Evaluation], *, is_scored: bool) -> list[Evaluation]:
    """Return the evaluations with a score, or with a label if the evaluator returns only labels."""
    return [each for each in evaluations if each.is_applicable and (each.score is not None or not is_scored)]


def _not_applicable(evaluations: Sequence[Evaluation]) -> int:
    return sum(not evaluation.is_applicable for evaluation in evaluations)


def _scores(evaluations: Sequence[Evaluation]) -> list[float]:
    return [evaluation.score for evaluation in evaluations if evaluation.score is not None]


def _passes(evaluations: Sequence[Evaluation]) -> int:
    return sum(evaluation.score == 1 for evaluation in evaluations)


def _mean(values: Sequence[float]) -> float | None:
    return mean(values) if values else None


def _for_each_k(
    formula: Callable[[int, int, int], float], most: int, passes: Mapping[tuple[int, int], int]
) -> dict[int, float]:
    """Return the mean of `formula(n, c, k)` over the examples with at least k runs, for k = 1 .. most.

    Args:
        formula: pass@k or pass^k.
        most: the largest k.
        passes: the number of examples with c passes in n runs, by n and c.
    """
    found: dict[int, float] = {}
    for k in range(1, most + 1):
        sizes = {(n, c): times for (n, c), times in passes.items() if n >= k}
        if sizes:
            total = math.fsum(formula(n, c, k) * times for (n, c), times in sizes.items())
            found[k] = total / sum(sizes.values())
    return found
