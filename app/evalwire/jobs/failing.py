"""Find the examples of a report that failed or became worse."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from evalwire.model import EMPTY, mean, partial_facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalwire.gates import Gate
    from evalwire.model import Evaluation, ExperimentResult, GateResult, Report

_OF_LOW_IS_BETTER = ("max", "max_pass_rate")


Failing = Mapping[str, tuple[str, ...] | None]
"""The IDs of the failing examples by experiment; None for all examples of an experiment."""


def failing_examples(report: Report, earlier: Failing = EMPTY, *, gates: Sequence[Gate] = ()) -> Failing:
    """Return the failing examples, without experiments that have none.

    An example is failing if a run of it failed or was not made, if a bool score of it is False (True if lower is
    better), if a score became worse than in the baseline, or if a score or label of it is beyond the limit of a failed
    gate. All examples of an experiment that could not start are failing.

    Args:
        report: the report of a job.
        earlier: the failing examples of earlier results, which still count if the job did not run them.
        gates: the gates of the job. A partial run does not apply them, but they say which scores should be low.
    """
    found: dict[str, tuple[str, ...] | None] = dict(_not_run(report, earlier))
    for result in report.results:
        if result.opened is None or (result.failure is not None and not result.runs):
            found[result.name] = None
        elif found.get(result.name, ()) is not None and (ids := dict.fromkeys(_failing(report, result, gates))):
            found[result.name] = (*ids, *(found.get(result.name) or ()))
    return found


def _not_run(report: Report, earlier: Failing) -> Iterator[tuple[str, tuple[str, ...] | None]]:
    """Yield the earlier failing examples that a job did not run."""
    results = {result.name: result for result in report.results}
    for name, ids in earlier.items():
        result = results.get(name)
        partial = partial_facts(result.experiment_metadata) if result is not None else None
        if result is None:
            yield name, ids
        elif partial is not None and partial.get("of") != result.example_count:
            made = {run.example.id for run in result.runs}
            rest = None if ids is None else tuple(example_id for example_id in ids if example_id not in made)
            if rest != ():
                yield name, rest


def _failing(report: Report, result: ExperimentResult, configured: Sequence[Gate]) -> Iterator[str]:
    baseline = report.baseline_of(result.name)
    comparisons = baseline.comparisons if baseline else ()
    gates = report.gates_of(result.name)
    lower = {gate.evaluation for gate in gates if gate.rule in _OF_LOW_IS_BETTER}
    lower |= {gate.evaluation for gate in configured if gate.experiment == result.name and _is_of_low(gate)}
    lower |= {comparison.name for comparison in comparisons if comparison.direction == "minimize"}
    made = Counter(run.example.id for run in result.runs)
    if result.opened is not None:
        yield from (each.id for each in result.opened.dataset.examples if made[each.id] < result.repetitions)
    evaluations: dict[str, list[tuple[str, Evaluation]]] = defaultdict(list)  # score -> example IDs and evaluations
    for run in result.runs:
        if run.failures:
            yield run.example.id
        for each in run.evaluations:
            evaluations[each.name].append((run.example.id, each))
            if each.kind == "bool" and each.score == float(each.name in lower):
                yield run.example.id
    for comparison in comparisons:
        yield from (pair.example_id for pair in comparison.worse)
    for gate in gates:
        if gate.is_red and gate.evaluation is not None:
            yield from _beyond(gate, evaluations[gate.evaluation])


def _is_of_low(gate: Gate) -> bool:
    return gate.rule in _OF_LOW_IS_BETTER or gate.direction == "minimize"


def _beyond(gate: GateResult, evaluations: list[tuple[str, Evaluation]]) -> Iterator[str]:
    """Yield the IDs of the examples whose scores or labels are beyond the limit of a failed gate."""
    scores: dict[str, list[float]] = defaultdict(list)
    for example_id, each in evaluations:
        if each.score is not None:
            scores[example_id].append(each.score)
        if gate.rule in ("min_label_share", "max_label_share") and each.is_applicable:
            is_there = each.label == gate.label
            if is_there == (gate.rule == "max_label_share"):
                yield example_id
    for example_id, values in scores.items():
        is_low, is_high = mean(values) < gate.threshold, mean(values) > gate.threshold
        if (gate.rule == "min" and is_low) or (gate.rule == "max" and is_high):
            yield example_id
