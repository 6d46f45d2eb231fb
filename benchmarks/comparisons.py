"""Whole comparisons, by simulation: results and their baselines, given to the gates as a job gives them.

Where `benchmarks.statistics` judges the tests' p-values, this judges what a job makes of them: which examples and
repetitions are paired, whose scores of the baseline count, and how the p-values of all gates are corrected together. A
comparison is red if any gate is; each gate is a `max_drop` of 0.

A run's output has a quality between 0 and 1, most often near 1, and lower for difficult examples. Evaluators have noise
of their own: of those with numbers, up to 5 points up or down, and of those with bools, one answer in twenty is wrong.
Half of the evaluators are of each kind. A lenient evaluator gives 20 points more, and lets pass what is above 0.2 in
place of 0.5. Where something got worse, each run is spoiled with the same probability, and its quality is 0.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from evalwire.gates import Gate, compare_results, judge_gates
from evalwire.model import BaselineScore, Evaluation, Example, ExperimentResult, TaskRun

SPOILED = 0.2  # of the runs, where something got worse

_BEGAN = datetime(2026, 11, 20, tzinfo=UTC)
_NAME = "search"
_NO_ID = "DRY_RUN"  # of a baseline that nobody recorded
_NOISE = 0.05
_LENIENCE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """How a run differs from its baseline, beside chance.

    Attributes:
        evaluators: how many there are, with a gate each.
        times: how many times the run's examples the baseline has.
        repetitions: of the run, and of the baseline.
        was_lenient: whether the evaluators were lenient when they scored the baseline.
        is_rescored: whether today's evaluators have scored the baseline's outputs again.
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
    """Draw a run and its baseline, and judge them as a job does.

    Args:
        situation: how the two differ.
        chance: draws everything.
        n: examples of the run.
        spoiled: the probability that a run of the task is spoiled; not one of the baseline.
    """
    result, before = _drawn(situation, chance, n, spoiled)
    changed = dict.fromkeys(result.evaluator_names, "changed") if situation.is_rescored else {}
    baseline = compare_results(result, before, asked="auto", changed=changed)
    gates = [Gate(experiment=_NAME, evaluation=name, rule="max_drop", threshold=0.0) for name in result.evaluator_names]
    verdicts = judge_gates([result], gates, baselines={_NAME: baseline}, prices={})
    if len(verdicts) != situation.evaluators or any(one.status == "no baseline" for one in verdicts):
        raise AssertionError(f"not every gate was compared: {verdicts[0].text}")
    return any(one.is_red for one in verdicts)


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
    """Give what each evaluator says of an output, and today's of the baseline's in its place."""
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
