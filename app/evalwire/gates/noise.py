"""Measure the noise of experiments of the same code, and what it means for their gates (pure)."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from evalwire.gates.apply import apply_gates
from evalwire.gates.comparison import compare_results
from evalwire.gates.power import drop_test
from evalwire.gates.resolve import Gate
from evalwire.model import (
    ExampleNoise,
    GateNoise,
    LimitNoise,
    Noise,
    ScoreNoise,
    are_bools,
    flip_share,
    mean,
    squared_change,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from evalwire.model import Evaluation, ExperimentResult, Price

Output = tuple[str, int]
"""An output that was scored several times: the ID of its example, and the repetition."""


def measure_noise(
    results: Sequence[ExperimentResult],
    gates: Sequence[Gate],
    *,
    drop_gates: int,
    scored: Sequence[ExperimentResult] = (),
    judges: Collection[str] = (),
    prices: Mapping[str, Price],
) -> list[ScoreNoise]:
    """Return the noise of each evaluation that examples have at least twice.

    Args:
        results: experiments of the same code, oldest first.
        gates: the gates of the experiment.
        drop_gates: the number of drop gates of a job.
        scored: new scores of the outputs of the newest experiment, by the same evaluators.
        judges: the evaluators that call language models.
        prices: prices by model, for gates on the cost.
    """
    newest = results[-1]
    failures = _failures(results, gates, prices)
    found = []
    for name in _names(results):
        gate = next((each for each in gates if each.rule == "max_drop" and each.evaluation == name), None)
        noise = _noise(results, name, missing=float(gate is not None and gate.direction == "minimize"))
        if noise is None:
            continue
        asked = gate or Gate(experiment=newest.name, evaluation=name, rule="max_drop", threshold=0.0)
        scores = [score for example in noise.examples for score in example.scores]
        found.append(
            ScoreNoise(
                name=name,
                noise=noise,
                judge=_judge_noise([newest, *scored], name, judges=judges) if scored else None,
                gate=GateNoise(
                    limit=_limit(gate, is_bool=noise.is_bool) if gate else "",
                    test=drop_test(
                        asked,
                        deviation=noise.deviation,
                        is_bool=noise.is_bool,
                        before=mean(scores),
                        drop_gates=drop_gates if gate else drop_gates + 1,
                    ),
                    failed=failures[name] if gate else 0,
                    pairs=len(results) * (len(results) - 1) // 2 if gate else 0,
                    required=asked.drop_policy.max_minimum_detectable,
                ),
                unit=1.0 if all(0 <= score <= 1 for score in scores) else abs(mean(scores)) or 1.0,
            )
        )
    return found


def unstable_limits(
    results: Sequence[ExperimentResult], gates: Sequence[Gate], *, prices: Mapping[str, Price]
) -> list[LimitNoise]:
    """Return the limits, other than drops, that passed in some and failed in other experiments of the same code."""
    limits = [gate for gate in gates if gate.rule != "max_drop"]
    failed = Counter(
        applied.name
        for result in results
        for applied in apply_gates([result], limits, baselines={}, prices=prices)
        if applied.is_red and applied.source != "default"
    )
    runs = len(results)
    return [LimitNoise(name=name, failed=red, runs=runs) for name, red in failed.items() if red < runs]


def _limit(gate: Gate, *, is_bool: bool) -> str:
    if gate.is_relative:
        return f"{gate.threshold * 100:g}%"
    return f"{gate.threshold * 100:g} points" if is_bool else f"{gate.threshold:g}"


def _names(results: Iterable[ExperimentResult]) -> list[str]:
    return list(dict.fromkeys(score.name for result in results for score in result.scores))


def _failures(results: Sequence[ExperimentResult], gates: Sequence[Gate], prices: Mapping[str, Price]) -> Counter[str]:
    """Count the pairs of experiments in which each drop gate fails, if the older experiment is the baseline.

    Gates that fail because they cannot find a drop do not count: that is not a matter of chance.
    """
    found: Counter[str] = Counter()
    drops = [_without_required(gate) for gate in gates if gate.rule == "max_drop"]
    directions = {gate.evaluation or "": gate.direction for gate in drops}
    for before, after in itertools.combinations(results, 2) if drops else ():
        baseline = compare_results(after, before, asked="noise", directions=directions)
        applied = apply_gates([after], drops, baselines={after.name: baseline}, prices=prices)
        found.update(gate.evaluation or "" for gate in applied if gate.rule == "max_drop" and gate.is_red)
    return found


def _without_required(gate: Gate) -> Gate:
    return replace(gate, drop_policy=replace(gate.drop_policy, max_minimum_detectable=None))


def _noise(results: Sequence[ExperimentResult], name: str, *, missing: float) -> Noise | None:
    """Return the changes of an evaluation between all runs of each example; None if no example has two scores."""
    found: dict[str, list[Evaluation | None]] = {}
    for result in results:
        for run in result.runs:
            own = next((each for each in run.evaluations if each.name == name and each.failure is None), None)
            found.setdefault(run.example.id, []).append(own)
    is_bool = are_bools([each for runs in found.values() for each in runs if each is not None])
    by_example = {
        example_id: list(_scores(runs, missing=missing if is_bool else None)) for example_id, runs in found.items()
    }
    examples = [
        ExampleNoise(example_id=example_id, scores=tuple(scores), change=_change(scores, is_bool=is_bool))
        for example_id, scores in by_example.items()
        if len(scores) > 1
    ]
    return _of_examples(examples, is_bool=is_bool, runs=max(map(len, by_example.values()), default=0))


def _of_examples(examples: Sequence[ExampleNoise], *, is_bool: bool, runs: int) -> Noise | None:
    if len(examples) < 2:  # noqa: PLR2004 - an interval needs two examples
        return None
    return Noise(is_bool=is_bool, examples=tuple(examples), runs=runs)


def _scores(runs: Iterable[Evaluation | None], *, missing: float | None) -> Iterator[float]:
    """Yield the scores of runs. A run of bools that failed counts as the worse value, as in a comparison."""
    for found in runs:
        if found is not None and found.score is not None:
            yield found.score
        elif missing is not None and (found is None or found.is_applicable):
            yield missing


def _change(scores: Sequence[float], *, is_bool: bool) -> float:
    return flip_share(round(sum(scores)), len(scores)) if is_bool else squared_change(scores)


def _judge_noise(results: Sequence[ExperimentResult], name: str, *, judges: Collection[str]) -> Noise | None:
    """Return the changes of an evaluation between scores of the same output; None if no output has two scores.

    The result is also None for an evaluator without language models whose scores did not change.
    """
    outputs: dict[Output, list[Evaluation]] = {}
    for result in results:
        for run in result.runs:
            for each in run.evaluations:
                if each.name == name and each.failure is None and each.score is not None and run.failure is None:
                    outputs.setdefault((run.example.id, run.repetition), []).append(each)
    is_bool = are_bools([each for scored in outputs.values() for each in scored])
    by_example: dict[str, list[list[float]]] = {}
    for (example_id, _), scored in outputs.items():
        if len(scored) > 1:
            by_example.setdefault(example_id, []).append([each.score for each in scored if each.score is not None])
    examples = [
        ExampleNoise(
            example_id=example_id,
            scores=tuple(itertools.chain.from_iterable(scored)),
            change=mean([_change(scores, is_bool=is_bool) for scores in scored]),
        )
        for example_id, scored in by_example.items()
    ]
    found = _of_examples(examples, is_bool=is_bool, runs=len(results))
    is_judge = any(each.evaluator in judges for scored in outputs.values() for each in scored)
    return found if found is None or is_judge or found.change else None
