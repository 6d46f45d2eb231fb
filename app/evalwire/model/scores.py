"""What an evaluator said over all runs of an experiment, and of each example, in a few numbers."""

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
    """What an evaluator said of one example over its repetitions.

    Attributes:
        mean: of the scores there are; None when there is none.
        spread: their sample standard deviation; None below two scores.
        count: how many repetitions have a score, or a label where the evaluator gives labels alone.
        missing: how many have none, though the evaluator applies to them.
    """

    example_id: str
    mean: float | None
    spread: float | None
    count: int
    missing: int

    @classmethod
    def of(cls, example_id: str, counted: Sequence[Evaluation], *, repetitions: int) -> ExampleScore:
        """Summarise one example.

        Args:
            example_id: its ID.
            counted: its evaluations that count.
            repetitions: how many of its runs the evaluator applies to.
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
    """What an evaluator said over all runs of an experiment.

    Each run is in one of `count`, `missing` and `not_applicable`. The attributes from `spread` to `pass_hat` are of
    repeated examples, those that ran at least once; else they are empty.

    Attributes:
        mean: of the scores there are; None when there is none.
        count: how many runs have a score, or a label where the evaluator gives labels alone.
        missing: how many have none: the task or the evaluator failed, or there is a label without a score.
        labels: how often each label was given, where the evaluator applies.
        pass_rate: of an evaluator that returns bools, over all expected runs that it applies to. A run that is missing,
            or was not made, did not pass.
        spread: the mean of the examples' spreads; None when no example has one.
        per_example: one for each example, in the dataset's order.
        pass_at: of an evaluator that returns bools: k -> pass@k, the mean over examples, for k = 1 .. repetitions.
        pass_hat: likewise pass^k. What failed or was not run counts as not passed in both.
        unscored: how many of the missing runs have a label without a score.
        not_applicable: how many runs the evaluator does not apply to.
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
        """The number of runs that have an evaluation, of whatever kind."""
        return self.count + self.unscored + self.not_applicable


def summarize_scores(
    names: Iterable[str], runs: Sequence[TaskRun], *, repetitions: int, expected: int
) -> list[ScoreSummary]:
    """Summarize the evaluations of each name.

    Args:
        names: of the evaluations.
        runs: that were made; those of one example stand together.
        repetitions: how many of each example there were to be.
        expected: how many runs there were to be in all.
    """
    examples = [list(group) for _, group in groupby(runs, key=lambda run: run.example.node_id)]
    said: defaultdict[str, defaultdict[int, list[Evaluation]]] = defaultdict(lambda: defaultdict(list))
    for place, its_runs in enumerate(examples):
        for run in its_runs:
            for one in run.evaluations:
                if one.failure is None:
                    said[one.name][place].append(one)
    ids = [its_runs[0].example.id for its_runs in examples]
    size = {"runs": len(runs), "repetitions": repetitions, "expected": expected}
    return [_summary(name, said[name], ids, **size) for name in names]


def _summary(
    name: str,
    by_example: Mapping[int, Sequence[Evaluation]],
    example_ids: Sequence[str],
    *,
    runs: int,
    repetitions: int,
    expected: int,
) -> ScoreSummary:
    said = [one for its in by_example.values() for one in its]
    is_bool, is_scored = are_bools(said), bool(_scores(said))
    counted = _counted(said, is_scored=is_scored)
    others = _not_applicable(said)
    per_example: list[ExampleScore] = []
    passes: Counter[tuple[int, int]] = Counter()  # how many examples passed c times in n runs
    for place, example_id in enumerate(example_ids) if repetitions > 1 else ():
        found = by_example.get(place, ())
        its = _counted(found, is_scored=is_scored)
        size = repetitions - _not_applicable(found)
        per_example.append(ExampleScore.of(example_id, its, repetitions=size))
        if is_bool:
            passes[size, _passes(its)] += 1
    return ScoreSummary(
        name=name,
        mean=_mean(_scores(said)),
        count=len(counted),
        missing=runs - others - len(counted),
        pass_rate=_passes(said) / (expected - others) if is_bool else None,
        labels=Counter(one.label for one in said if one.is_applicable and one.label is not None),
        spread=_mean([one.spread for one in per_example if one.spread is not None]),
        per_example=tuple(per_example),
        pass_at=_for_each_k(pass_at_k, repetitions, passes),
        pass_hat=_for_each_k(pass_hat_k, repetitions, passes),
        unscored=len(said) - others - len(counted),
        not_applicable=others,
    )


def are_bools(said: Sequence[Evaluation]) -> bool:
    """Check whether all scores of these evaluations, which did not fail, are bools, and there are any."""
    return {one.kind for one in said if one.score is not None} == {"bool"}


def _counted(said: Sequence[Evaluation], *, is_scored: bool) -> list[Evaluation]:
    """Return the evaluations with a score, or, where the evaluator gives none, those with a label."""
    return [one for one in said if one.is_applicable and (one.score is not None or not is_scored)]


def _not_applicable(said: Sequence[Evaluation]) -> int:
    return sum(not one.is_applicable for one in said)


def _scores(said: Sequence[Evaluation]) -> list[float]:
    return [evaluation.score for evaluation in said if evaluation.score is not None]


def _passes(said: Sequence[Evaluation]) -> int:
    return sum(one.score == 1 for one in said)


def _mean(values: Sequence[float]) -> float | None:
    return mean(values) if values else None


def _for_each_k(
    formula: Callable[[int, int, int], float], most: int, passes: Mapping[tuple[int, int], int]
) -> dict[int, float]:
    """The mean of `formula(n, c, k)` over the examples with at least k runs, for k = 1 .. most.

    Args:
        formula: pass@k or pass^k.
        most: the largest k.
        passes: how many examples have c passes in n runs, by n and c.
    """
    found: dict[int, float] = {}
    for k in range(1, most + 1):
        sizes = {(n, c): times for (n, c), times in passes.items() if n >= k}
        if sizes:
            total = math.fsum(formula(n, c, k) * times for (n, c), times in sizes.items())
            found[k] = total / sum(sizes.values())
    return found
