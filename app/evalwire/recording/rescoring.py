"""Rescoring of baseline outputs with the current evaluators; the scores are recorded with the compared run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evalwire.model import BaselineScore, total_usage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from evalwire.errors import EvalwireError
    from evalwire.model import Evaluation, Experiment, ExperimentResult, OpenExperiment, RunKey, TaskRun, Usage
    from evalwire.recording.recorder import PhoenixRecorder


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescoring:
    """A baseline whose outputs are scored again.

    Attributes:
        experiment: the experiment with only its changed evaluators.
        result: the result that is compared with the baseline.
        before: the runs of the baseline to score, with a run for each repetition of each example.
        baseline_id: Phoenix's ID of the baseline; `DRY_RUN` if it was not recorded.
        scored: the runs of `result` with scores of the baseline's outputs, by the keys of the baseline's runs.
    """

    experiment: Experiment
    result: ExperimentResult
    before: ExperimentResult
    baseline_id: str
    scored: dict[RunKey, TaskRun] = field(default_factory=dict)

    @property
    def compared(self) -> OpenExperiment:
        """The experiment that is compared with the baseline.

        Raises:
            ValueError: the experiment did not start.
        """
        if self.result.opened is None:
            raise ValueError(f"{self.result.name} did not start, so it cannot be compared")
        return self.result.opened

    def open(self) -> OpenExperiment:
        """Return the baseline as an experiment whose tasks have returned but whose evaluators have not."""
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
        """Return the compared result with the scores of the baseline's outputs.

        Args:
            outcome: the engine's result for the baseline. Records that Phoenix did not accept are failures of the
                compared runs. User code that broke the event loop is a failure of the compared result.
        """
        own = {(run.example.id, run.repetition): run for run in self.scored.values()}
        errors = {(run.example.id, run.repetition): run.record_failure for run in outcome.runs}
        runs = []
        for run in self.result.runs:
            key = run.example.id, run.repetition
            scored = own.get(key, run)
            runs.append(replace(scored, record_failure=scored.record_failure or errors.get(key)))
        is_stopped = outcome.failure is None or outcome.failure.stage == "interrupted"
        return replace(self.result, runs=tuple(runs), failure=None if is_stopped else outcome.failure)

    def usage(self, outcome: ExperimentResult, evaluator: str) -> Usage | None:
        """Return an evaluator's language model usage on the baseline's outputs; None if it is unknown."""
        parts = [each.usage for run in outcome.runs for each in run.evaluations if each.evaluator == evaluator]
        known = [part for part in parts if part is not None]
        return total_usage(known) if len(known) == len(parts) else None

    def own_run(self, run: TaskRun) -> TaskRun | None:
        """Return the run that corresponds to a baseline run, with the baseline's scores in its evaluations."""
        wanted = run.example.id, run.repetition
        own = next((each for each in self.result.runs if (each.example.id, each.repetition) == wanted), None)
        if own is None:
            return None
        names = {evaluator.name for evaluator in self.experiment.evaluators}
        by_name = {evaluation.name: evaluation for evaluation in run.evaluations}
        evaluations = tuple(
            replace(each, baseline_score=self._score(by_name.get(each.name))) if each.evaluator in names else each
            for each in own.evaluations
        )
        return replace(own, evaluations=evaluations)

    def _score(self, evaluation: Evaluation | None) -> BaselineScore:
        if evaluation is None or evaluation.failure is not None:
            return BaselineScore(experiment_id=self.baseline_id, failed=True)
        return BaselineScore(
            experiment_id=self.baseline_id, score=evaluation.score, label=evaluation.label, kind=evaluation.kind
        )


class RescoringRecorder:
    """Opens baselines for the engine, and records the scores of their outputs with the compared run.

    Nothing is written to a baseline.

    Args:
        rescorings: the rescorings, by the name of the experiment.
        recorder: the recorder of the compared run.
        on_paid: receives the name of the experiment and the usage of each evaluation.
    """

    def __init__(
        self,
        rescorings: Mapping[str, Rescoring],
        recorder: PhoenixRecorder,
        *,
        on_paid: Callable[[str, Usage], object] = lambda _name, _usage: None,
    ) -> None:
        self._rescorings = rescorings
        self._recorder = recorder
        self._on_paid = on_paid

    async def open(self, experiment: Experiment) -> OpenExperiment:
        """Return the baseline of an experiment."""
        return self._rescorings[experiment.name].open()

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Write nothing: all runs of a baseline have outputs, so tasks are not called."""

    def evaluated(self, opened: OpenExperiment, run: TaskRun, evaluations: Sequence[Evaluation]) -> None:
        """Pass on the usage; lost scores are computed again."""
        del run
        for evaluation in evaluations:
            if evaluation.usage:
                self._on_paid(opened.experiment.name, evaluation.usage)

    async def record(self, opened: OpenExperiment, run: TaskRun) -> tuple[TaskRun, EvalwireError | None]:
        """Record the scores of a baseline run with the corresponding run."""
        rescoring = self._rescorings[opened.experiment.name]
        own = rescoring.own_run(run)
        if own is None or run.failure is not None:
            return run, None
        own, error = await self._recorder.record_again(rescoring.compared, own)
        rescoring.scored[run.key] = own
        return run, error

    async def verify(self, opened: OpenExperiment, runs: Collection[TaskRun]) -> list[str]:
        """Return an empty list, because failed requests have raised."""
        del opened, runs
        return []
