"""Have today's evaluators score the baselines again, where they are not the ones that scored them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evalwire.engine import run_engine
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
    from evalwire.model import Example, Experiment, TaskRun, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoredResults:
    """What a job's experiments came to, with today's scores of their baselines beside their own.

    Attributes:
        results: of the experiments.
        usage: what scoring the baselines used of language models, by experiment and evaluator.
    """

    results: Sequence[ExperimentResult]
    usage: Mapping[tuple[str, str], Usage | None] = field(default_factory=dict)


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
    say: Callable[[str], object],
) -> RescoredResults:
    """Score the outputs of baselines with the evaluators of drop gates that were changed since; no task is called.

    Args:
        experiments: of the job; call it within `importable`.
        results: what they came to, in the same order.
        gating: the gates and the baselines.
        recorder: of the results.
        tracer: traces the evaluators' calls.
        limits: how much at once, for how long, and how often.
        stop: ends the job early.
        observer: receives progress events.
        say: receives what is scored again, before it costs anything.
    """
    by_name = {result.name: result for result in results}
    rescorings = {
        experiment.name: rescoring
        for experiment in experiments
        if (rescoring := _rescoring(experiment, by_name[experiment.name], gating)) is not None
    }
    if not rescorings or stop.requested:
        return RescoredResults(results=results)
    for rescoring in rescorings.values():
        say(_announcement(rescoring))
    outcome = run_engine(
        [one.experiment for one in rescorings.values()],
        recorder=RescoringRecorder(rescorings, recorder),
        tracer=tracer,
        observer=BaselineProgress(observer),
        limits=replace(limits, max_failures=None),
        stop=stop,
    )
    usage = {
        (name, evaluator.name): rescorings[name].usage(scored, evaluator.name)
        for name, scored in zip(rescorings, outcome.results, strict=True)
        for evaluator in rescorings[name].experiment.evaluators
    }
    finished = {name: rescorings[name].finish(scored) for name, scored in zip(rescorings, outcome.results, strict=True)}
    return RescoredResults(results=[finished.get(result.name, result) for result in results], usage=usage)


def _rescoring(experiment: Experiment, result: ExperimentResult, gating: Gating) -> Rescoring | None:
    """Return what of a baseline is to be scored again; None for nothing."""
    before = gating.baselines.get(experiment.name)
    if not isinstance(before, ExperimentResult) or result.failure is not None or not result.runs:
        return None
    own = [gate for gate in gating.gates if gate.experiment == experiment.name and gate.rule == "max_drop"]
    changed = changed_evaluators(result, before, digest_today)
    is_task_changed = bool(changed_task(result, before, digest_today))
    wanted = {_evaluator_of(gate, result) for gate in own if not (gate.refuses_change and is_task_changed)}
    evaluators = tuple(one for one in experiment.evaluators if one.name in wanted and one.name in changed)
    baseline_id = before.experiment_id or ""
    part = _unscored_part(result, comparable_part(result, before), [one.name for one in evaluators], baseline_id)
    if not evaluators or not part.runs:
        return None
    return Rescoring(
        experiment=replace(experiment, evaluators=evaluators), result=result, before=part, baseline_id=baseline_id
    )


def _evaluator_of(gate: Gate, result: ExperimentResult) -> str | None:
    """Return the evaluator that gives the score of a gate."""
    names = {one.name: one.evaluator for run in result.runs for one in run.evaluations}
    return names.get(gate.evaluation or "", gate.evaluation)


def _unscored_part(
    result: ExperimentResult, before: ExperimentResult, evaluators: Sequence[str], baseline_id: str
) -> ExperimentResult:
    """Return the runs of a baseline beside which an earlier job has not recorded the scores of all evaluators."""
    done = {
        (run.example.id, run.repetition)
        for run in result.runs
        if all(
            one.baseline_score is not None and one.baseline_score.experiment_id == baseline_id
            for one in run.evaluations
            if one.evaluator in evaluators
        )
    }
    # the engine runs whole examples, and would call the task where a repetition is not there
    counts = Counter(run.example.id for run in before.runs)
    wanted = {run.example.id for run in before.runs if (run.example.id, run.repetition) not in done}
    wanted = {one for one in wanted if counts[one] == before.repetitions}
    examples = {run.example.id: run.example for run in result.runs}
    return replace(
        before, runs=tuple(_unmasked(run, examples[run.example.id]) for run in before.runs if run.example.id in wanted)
    )


def _unmasked(run: TaskRun, example: Example) -> TaskRun:
    """Return a baseline's run with the example of the run under test: equal content, which a file may have masked."""
    return replace(run, example=replace(example, node_id=run.example.node_id))


def _announcement(rescoring: Rescoring) -> str:
    names = [one.name for one in rescoring.experiment.evaluators]
    outputs = sum(run.failure is None for run in rescoring.before.runs)
    text = f"{rescoring.result.name}: {', '.join(names)} changed; scoring the {outputs} outputs of the baseline again"
    spent = [one.usage for run in rescoring.result.runs for one in run.evaluations if one.evaluator in names]
    tokens = sum(token_count(usage) for usage in spent if usage)
    if tokens:
        calls = len([usage for usage in spent if usage])
        text += f" (for {calls} outputs of this run, {tokens:,} tokens were used)"
    return text
