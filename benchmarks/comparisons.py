"""Simulations of whole comparisons: results and baselines, passed to the gates in the same way as in a job.

`benchmarks.statistics` simulates the p-values of tests. This module also includes the other steps of a job: pairing of
examples and repetitions, choice of baseline scores, and correction of the p-values of all gates. A comparison fails if
any gate fails. Each gate is a `max_drop` of 0.

The output of a run has a quality between 0 and 1, usually close to 1, and lower for difficult examples. Half of the
evaluators return numbers, with noise of up to 5 points. The other half return bools, of which 5% are wrong. A lenient
evaluator returns 20 points more, or accepts a quality above 0.2 instead of 0.5. In a simulated regression, each run is
spoiled with the same probability, and the quality of a spoiled run is 0.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from evalwire.gates import Gate, apply_gates, compare_results
from evalwire.model import BaselineScore, Evaluation, Example, ExperimentResult, TaskRun

SPOILED = 0.2  # share of spoiled runs in a regression

_BEGAN = datetime(2026, 11, 20, tzinfo=UTC)
_NAME = "search"
_NO_ID = "DRY_RUN"  # a baseline that was not recorded
_NOISE = 0.05
_LENIENCE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Systematic differences between a run and its baseline.

    Attributes:
        evaluators: the number of evaluators, each with a gate.
        times: the number of examples of the baseline, as a multiple of the examples of the run.
        repetitions: repetitions of the run and of the baseline.
        was_lenient: whether the evaluators were lenient when they scored the baseline.
        is_rescored: whether the current evaluators scored the outputs of the baseline again.
    """

    name: str
    evaluators: int = 2
    times: int = 1
    repetitions: tuple[int, int] = (1, 1)
    was_lenient: bool = False
    is_rescored: bool = False


MANY = Situation(name="the same, with 200 gates", evaluators=200)
UNSCORED = Situation(name="stricter evaluators, if the recorded scores counted", was_lenient=True)
SITUATIONS = (
    Situation(name="the same examples and evaluators"),
    Situation(name="stricter evaluators, which score the baseline again", was_lenient=True, is_rescored=True),
    Situation(name="half of the baseline's examples", times=2),
    Situation(name="2 repetitions, and 5 of the baseline", repetitions=(2, 5)),
    Situation(name="5 repetitions, and 1 of the baseline", repetitions=(5, 1)),
    Situation(name="all of it at once", times=2, repetitions=(2, 5), was_lenient=True, is_rescored=True),
    MANY,
    UNSCORED,
)


def is_red(situation: Situation, chance: random.Random, n: int, spoiled: float) -> bool:
    """Draw a run and its baseline, and check whether any gate fails.

    Args:
        situation: the differences between the run and the baseline.
        chance: the random number generator.
        n: the number of examples of the run.
        spoiled: the probability that a run is spoiled; runs of the baseline are never spoiled.
    """
    result, before = _drawn(situation, chance, n, spoiled)
    changed = dict.fromkeys(result.evaluator_names, "changed") if situation.is_rescored else {}
    baseline = compare_results(result, before, asked="auto", changed=changed)
    gates = [Gate(experiment=_NAME, evaluation=name, rule="max_drop", threshold=0.0) for name in result.evaluator_names]
    verdicts = apply_gates([result], gates, baselines={_NAME: baseline}, prices={})
    if len(verdicts) != situation.evaluators or any(verdict.status == "no baseline" for verdict in verdicts):
        raise AssertionError(f"not every gate was compared: {verdicts[0].text}")
    return any(verdict.is_red for verdict in verdicts)


def _drawn(
    situation: Situation, chance: random.Random, n: int, spoiled: float
) -> tuple[ExperimentResult, ExperimentResult]:
    now, then = situation.repetitions
    names = tuple(f"evaluator {number}" for number in range(situation.evaluators))
    runs: list[TaskRun] = []
    earlier: list[TaskRun] = []
    for number in range(n * situation.times):
        difficulty = chance.random() ** 2
        example = Example(
            id=f"{number}", node_id=f"{number}", input={}, output={}, metadata={}, recorded_hash=f"{number}"
        )
        outputs = [chance.random() ** difficulty for _ in range(then)]
        for repetition, quality in enumerate(outputs, 1):
            scores = tuple(_evaluations(names, chance, quality, is_lenient=situation.was_lenient))
            earlier.append(_run(example, repetition, scores))
        if number >= n:
            continue
        for repetition in range(1, now + 1):
            quality = 0.0 if chance.random() < spoiled else chance.random() ** difficulty
            before = outputs[repetition - 1] if situation.is_rescored and repetition <= then else None
            runs.append(_run(example, repetition, tuple(_evaluations(names, chance, quality, before=before))))
    return _result(names, runs, now), _result(names, earlier, then)


def _evaluations(
    names: tuple[str, ...],
    chance: random.Random,
    quality: float,
    *,
    is_lenient: bool = False,
    before: float | None = None,
) -> Iterator[Evaluation]:
    """Yield the evaluations of an output; with `before`, also scores for the output of the baseline."""
    for number, name in enumerate(names):
        is_bool = bool(number % 2)
        score = _score(chance, quality, is_bool=is_bool, is_lenient=is_lenient)
        again = None
        if before is not None:
            today = _score(chance, before, is_bool=is_bool, is_lenient=False)
            again = BaselineScore(experiment_id=_NO_ID, score=today, kind="bool" if is_bool else "number")
        yield Evaluation(
            name=name,
            evaluator=name,
            score=score,
            kind="bool" if is_bool else "number",
            start_time=_BEGAN,
            end_time=_BEGAN,
            baseline_score=again,
        )


def _score(chance: random.Random, quality: float, *, is_bool: bool, is_lenient: bool) -> float:
    if is_bool:
        is_wrong = chance.random() < _NOISE
        return float((quality > (_LENIENCE if is_lenient else 0.5)) != is_wrong)
    score = quality + chance.uniform(-_NOISE, _NOISE) + (_LENIENCE if is_lenient else 0.0)
    return min(max(score, 0.0), 1.0)


def _run(example: Example, repetition: int, evaluations: tuple[Evaluation, ...]) -> TaskRun:
    return TaskRun(
        example=example,
        output=None,
        failure=None,
        evaluations=evaluations,
        start_time=_BEGAN,
        end_time=_BEGAN,
        repetition=repetition,
    )


def _result(names: tuple[str, ...], runs: list[TaskRun], repetitions: int) -> ExperimentResult:
    return ExperimentResult(
        name=_NAME,
        dataset_name=_NAME,
        evaluator_names=names,
        runs=tuple(runs),
        example_count=len(runs) // repetitions,
        repetitions=repetitions,
    )
