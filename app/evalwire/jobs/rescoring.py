"""Score the outputs of baselines again with evaluators that changed since."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evalwire.engine import EarlierRuns, run_engine
from evalwire.experiments import digest_today
from evalwire.gates import changed_evaluators, changed_task, comparable_part
from evalwire.jobs.progress import BaselineProgress
from evalwire.model import ExperimentResult, token_count
from evalwire.recording import PhoenixRecorder, Rescoring, RescoringRecorder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from evalwire.engine import Limits, Observer, Stop, Tracer
    from evalwire.gates import Gate
    from evalwire.jobs.gating import Gating
    from evalwire.model import Example, Experiment, Failure, TaskRun, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoredResults:
    """The results of a job, with the current scores of their baselines.

    Attributes:
        results: results of the experiments.
        usage: token usage of rescoring, by experiment and evaluator.
        made: the runs of the job so far, with the usage of rescoring.
    """

    results: Sequence[ExperimentResult]
    usage: Mapping[tuple[str, str], Usage | None] = field(default_factory=dict)
    made: EarlierRuns = field(default_factory=EarlierRuns)


def rescore_baselines(
    experiments: Sequence[Experiment],
    results: Sequence[ExperimentResult],
    gating: Gating,
    *,
    recorder: PhoenixRecorder,
    tracer: Tracer,
    limits: Limits,
    stop: Stop,
    observer: Observer,
    made: EarlierRuns,
    say: Callable[[str], object],
    on_paid: Callable[[str, Usage], object],
) -> RescoredResults:
    """Score the outputs of baselines again with changed evaluators of drop gates, without calling tasks.

    Args:
        experiments: experiments of the job, which must be importable.
        results: results of the experiments, in the same order.
        gating: the gates and the baselines.
        recorder: records the results.
        tracer: traces calls of evaluators.
        limits: limits on concurrency, time and retries.
        stop: ends the job early.
        observer: receives progress events.
        made: the runs of the job so far, whose usage counts against the budget.
        say: receives an announcement before each baseline is rescored.
        on_paid: receives the name of the experiment and the usage of each evaluation.
    """
    by_name = {result.name: result for result in results}
    rescorings = {
        experiment.name: rescoring
        for experiment in experiments
        if (rescoring := _rescoring(experiment, by_name[experiment.name], gating)) is not None
    }
    if not rescorings or stop.requested:
        return RescoredResults(results=results, made=made)
    for rescoring in rescorings.values():
        say(_announcement(rescoring))
    outcome = run_engine(
        [rescoring.experiment for rescoring in rescorings.values()],
        recorder=RescoringRecorder(rescorings, recorder, on_paid=on_paid),
        tracer=tracer,
        observer=BaselineProgress(observer),
        limits=replace(limits, max_failures=None),
        stop=stop,
        earlier=EarlierRuns(ended_by=_budget_end(made), spent=made.spent),
    )
    usage = {
        (name, evaluator.name): rescorings[name].usage(scored, evaluator.name)
        for name, scored in zip(rescorings, outcome.results, strict=True)
        for evaluator in rescorings[name].experiment.evaluators
    }
    finished = {name: rescorings[name].finish(scored) for name, scored in zip(rescorings, outcome.results, strict=True)}
    paid = outcome.made
    return RescoredResults(
        results=[finished.get(result.name, result) for result in results],
        usage=usage,
        made=replace(made, ended_by=made.ended_by or _budget_end(paid), spent=paid.spent),
    )


def _budget_end(made: EarlierRuns) -> Failure | None:
    """Return the failure of a job that its budget ended; None for any other job."""
    return made.ended_by if made.ended_by is not None and made.ended_by.kind == "budget" else None


def _rescoring(experiment: Experiment, result: ExperimentResult, gating: Gating) -> Rescoring | None:
    """Return the part of a baseline to score again; None if it is empty."""
    before = gating.baselines.get(experiment.name)
    if not isinstance(before, ExperimentResult) or result.failure is not None or not result.runs:
        return None
    own = [gate for gate in gating.gates if gate.experiment == experiment.name and gate.rule == "max_drop"]
    changed = changed_evaluators(result, before, digest_today)
    is_task_changed = bool(changed_task(result, before, digest_today))
    wanted = {_evaluator_of(gate, result) for gate in own if not (gate.refuses_change and is_task_changed)}
    evaluators = tuple(
        evaluator for evaluator in experiment.evaluators if evaluator.name in wanted and evaluator.name in changed
    )
    baseline_id = before.experiment_id
    names = [evaluator.name for evaluator in evaluators]
    part = _unscored_part(result, comparable_part(result, before), names, baseline_id)
    if not evaluators or not part.runs:
        return None
    return Rescoring(
        experiment=replace(experiment, evaluators=evaluators), result=result, before=part, baseline_id=baseline_id
    )


def _evaluator_of(gate: Gate, result: ExperimentResult) -> str | None:
    """Return the evaluator that gives the score of a gate."""
    names = {evaluation.name: evaluation.evaluator for run in result.runs for evaluation in run.evaluations}
    return names.get(gate.evaluation or "", gate.evaluation)


def _unscored_part(
    result: ExperimentResult, before: ExperimentResult, evaluators: Sequence[str], baseline_id: str
) -> ExperimentResult:
    """Return the runs of a baseline that an earlier job has not completely rescored."""
    done = {
        (run.example.id, run.repetition)
        for run in result.runs
        if all(
            evaluation.baseline_score is not None and evaluation.baseline_score.experiment_id == baseline_id
            for evaluation in run.evaluations
            if evaluation.evaluator in evaluators
        )
    }
    # the engine runs whole examples and would call the task for a missing repetition
    counts = Counter(run.example.id for run in before.runs)
    wanted = {run.example.id for run in before.runs if (run.example.id, run.repetition) not in done}
    wanted = {example_id for example_id in wanted if counts[example_id] == before.repetitions}
    examples = {run.example.id: run.example for run in result.runs}
    return replace(
        before, runs=tuple(_unmasked(run, examples[run.example.id]) for run in before.runs if run.example.id in wanted)
    )


def _unmasked(run: TaskRun, example: Example) -> TaskRun:
    """Return a run of a baseline with the example of the current run: equal, but not masked by a results file."""
    return replace(run, example=replace(example, node_id=run.example.node_id))


def _announcement(rescoring: Rescoring) -> str:
    names = [evaluator.name for evaluator in rescoring.experiment.evaluators]
    outputs = sum(run.failure is None for run in rescoring.before.runs)
    text = f"{rescoring.result.name}: {', '.join(names)} changed; scoring the {outputs} outputs of the baseline again"
    evaluations = [evaluation for run in rescoring.result.runs for evaluation in run.evaluations]
    spent = [evaluation.usage for evaluation in evaluations if evaluation.evaluator in names]
    tokens = sum(token_count(usage) for usage in spent if usage)
    if tokens:
        calls = len([usage for usage in spent if usage])
        text += f" (for {calls} outputs of this run, {tokens:,} tokens were used)"
    return text
