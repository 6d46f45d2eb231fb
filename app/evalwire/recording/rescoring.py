"""Give the outputs of baselines to today's evaluators, and record the scores with the run that is compared."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evalwire.model import BaselineScore, total_usage

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from evalwire.errors import EvalwireError
    from evalwire.model import Evaluation, Experiment, ExperimentResult, OpenExperiment, RunKey, TaskRun, Usage
    from evalwire.recording.recorder import PhoenixRecorder


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescoring:
    """One baseline whose outputs are scored again.

    Attributes:
        experiment: with the evaluators that were changed alone.
        result: the run that is compared with the baseline.
        before: the runs of the baseline that are scored, one for each repetition of each of its examples.
        baseline_id: Phoenix's ID of the baseline; empty where it is a file.
    """

    experiment: Experiment
    result: ExperimentResult
    before: ExperimentResult
    baseline_id: str
    scored: dict[RunKey, TaskRun] = field(default_factory=dict)

    @property
    def compared(self) -> OpenExperiment:
        """Return the run that is compared with the baseline.

        Raises:
            ValueError: it did not begin.
        """
        if self.result.opened is None:
            raise ValueError(f"{self.result.name} did not begin, so nothing is compared with it")
        return self.result.opened

    def open(self) -> OpenExperiment:
        """Return the baseline as an experiment whose tasks have returned, and whose evaluators have not."""
        opened = self.compared
        examples = {run.example.node_id: run.example for run in self.before.runs}
        return replace(
            opened,
            experiment=self.experiment,
            dataset=replace(opened.dataset, examples=tuple(examples.values())),
            repetitions=self.before.repetitions,
            earlier={run.key: replace(run, evaluations=()) for run in self.before.runs},
            shard=None,
        )

    def finish(self, outcome: ExperimentResult) -> ExperimentResult:
        """Return the run with what its evaluators returned for the baseline's outputs.

        Args:
            outcome: what the engine came to on the baseline; what Phoenix did not take is a failure of the run, and so
                is user code that broke the event loop.
        """
        own = {(run.example.id, run.repetition): run for run in self.scored.values()}
        errors = {(run.example.id, run.repetition): run.record_failure for run in outcome.runs}
        runs = []
        for run in self.result.runs:
            place = run.example.id, run.repetition
            scored = own.get(place, run)
            runs.append(replace(scored, record_failure=scored.record_failure or errors.get(place)))
        is_stopped = outcome.failure is None or outcome.failure.stage == "interrupted"
        return replace(self.result, runs=tuple(runs), failure=None if is_stopped else outcome.failure)

    def usage(self, outcome: ExperimentResult, evaluator: str) -> Usage | None:
        """Return what an evaluator used of language models on the baseline's outputs; None where it is not known."""
        parts = [one.usage for run in outcome.runs for one in run.evaluations if one.evaluator == evaluator]
        known = [part for part in parts if part is not None]
        return total_usage(known) if len(known) == len(parts) else None

    def own_run(self, run: TaskRun) -> TaskRun | None:
        """Return the run that stands beside a run of the baseline, with the scores of that one in its evaluations."""
        wanted = run.example.id, run.repetition
        own = next((one for one in self.result.runs if (one.example.id, one.repetition) == wanted), None)
        if own is None:
            return None
        names = {evaluator.name for evaluator in self.experiment.evaluators}
        by_name = {one.name: one for one in run.evaluations}
        evaluations = tuple(
            replace(one, baseline_score=self._score(by_name.get(one.name))) if one.evaluator in names else one
            for one in own.evaluations
        )
        return replace(own, evaluations=evaluations)

    def _score(self, evaluation: Evaluation | None) -> BaselineScore:
        if evaluation is None or evaluation.failure is not None:
            return BaselineScore(experiment_id=self.baseline_id, failed=True)
        return BaselineScore(
            experiment_id=self.baseline_id, score=evaluation.score, label=evaluation.label, kind=evaluation.kind
        )


class RescoringRecorder:
    """Opens baselines for the engine, and records the scores of their outputs beside the run's own.

    Nothing is written to a baseline.

    Args:
        rescorings: by the name of the experiment.
        recorder: of the run that is compared.
    """

    def __init__(self, rescorings: Mapping[str, Rescoring], recorder: PhoenixRecorder) -> None:
        self._rescorings = rescorings
        self._recorder = recorder

    async def open(self, experiment: Experiment) -> OpenExperiment:
        """Return the baseline of an experiment."""
        return self._rescorings[experiment.name].open()

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Write nothing: every run of a baseline has returned already, so no task is called."""

    def evaluated(self, opened: OpenExperiment, run: TaskRun, evaluations: Sequence[Evaluation]) -> None:
        """Write nothing: what is lost is scored again."""

    async def record(self, opened: OpenExperiment, run: TaskRun) -> tuple[TaskRun, EvalwireError | None]:
        """Record the scores of a baseline's run with the run that stands beside it."""
        rescoring = self._rescorings[opened.experiment.name]
        own = rescoring.own_run(run)
        if own is None or run.failure is not None:
            return run, None
        own, error = await self._recorder.record_again(rescoring.compared, own)
        rescoring.scored[run.key] = own
        return run, error

    async def verify(self, opened: OpenExperiment, runs: Collection[TaskRun]) -> list[str]:
        """Return nothing: a request that failed has raised."""
        del opened, runs
        return []
