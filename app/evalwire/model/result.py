"""The result of an experiment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalwire.model.remembering import Remembers, remembered
from evalwire.model.result_tables import data_frame, html_table, short_text
from evalwire.model.scores import summarize_scores
from evalwire.model.usage import total_usage

if TYPE_CHECKING:
    from datetime import datetime

    from evalwire.model.experiment import OpenExperiment
    from evalwire.model.failure import Failure
    from evalwire.model.run import TaskRun
    from evalwire.model.scores import ScoreSummary
    from evalwire.model.stopping import Stopping
    from evalwire.model.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRun:
    """A recorded evaluation in the shape of the Phoenix client's `ExperimentEvaluationRun`."""

    experiment_run_id: str
    name: str
    annotator_kind: str
    start_time: datetime
    end_time: datetime
    result: Mapping[str, Any] | None
    error: str | None
    id: str
    trace_id: str | None
    metadata: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        if key in self.__dataclass_fields__:
            return getattr(self, key)
        raise KeyError(key)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentResult(Remembers, Mapping[str, Any]):
    """The result of an experiment; also a mapping with the keys of the Phoenix client's `RanExperiment`.

    Summaries of the runs are computed once, although each report format reads them.

    Attributes:
        name: the name of the experiment's directory.
        opened: the dataset and Phoenix's IDs; None if the experiment was never opened.
        runs: the runs that were made, in the dataset's order, then by repetition.
        example_count: the number of examples to run.
        repetitions: the number of runs for each example.
        failure: the failure that stopped the experiment as a whole, or None.
        seconds: the wall time in seconds.
        path: the path of the experiment's directory.
        stopping: the extent of the experiment with early verdicts: `runs` has only the runs that count; None without
            early verdicts.
        used: the language model usage of an experiment read from Phoenix, where only the total is known.
    """

    name: str
    dataset_name: str
    path: str = ""
    used: Usage | None = None
    stopping: Stopping | None = None
    evaluator_names: tuple[str, ...] = ()
    opened: OpenExperiment | None = None
    runs: tuple[TaskRun, ...] = ()
    example_count: int = 0
    repetitions: int = 1
    failure: Failure | None = None
    problems: tuple[Failure, ...] = ()
    seconds: float = 0.0

    @property
    def experiment_id(self) -> str:
        """Phoenix's ID of the experiment; `DRY_RUN` if nothing was written."""
        return (self.opened and self.opened.id) or "DRY_RUN"

    @property
    def dataset_id(self) -> str:
        """Phoenix's ID of the dataset; empty if it was not fetched."""
        return self.opened.dataset.id if self.opened else ""

    @property
    def dataset_version_id(self) -> str:
        """The version of the dataset that ran."""
        return self.opened.dataset.version_id if self.opened else ""

    @property
    def experiment_metadata(self) -> Mapping[str, Any]:
        """The metadata that was recorded with the experiment."""
        return self.opened.metadata if self.opened else {}

    @property
    def project_name(self) -> str | None:
        """The Phoenix project that has the traces."""
        return self.opened.project_name if self.opened else None

    @property
    def url(self) -> str | None:
        """The experiment's page in Phoenix."""
        return self.opened.url if self.opened else None

    @property
    def expected_runs(self) -> int:
        """The number of runs that the experiment should have."""
        return self.example_count * self.repetitions

    @property
    def not_run(self) -> int:
        """The number of runs that never finished."""
        return self.expected_runs - len(self.runs)

    def missing_runs(self, score: ScoreSummary) -> int:
        """Return the number of expected runs without a score: failed runs, unscored runs, and runs never made."""
        return score.missing + self.not_run

    @property
    def bad_runs(self) -> int:
        """The number of expected runs that failed or never finished."""
        return len(self.failed_runs) + self.not_run

    @property
    def contents(self) -> Mapping[str, str]:
        """The content hashes of the examples that ran, by example ID."""
        return remembered(self, "contents", self._content_hashes)

    def _content_hashes(self) -> Mapping[str, str]:
        examples = {run.example.id: run.example for run in self.runs}  # several runs have the same example
        return {example_id: example.content_hash for example_id, example in examples.items()}

    @property
    def failed_runs(self) -> list[TaskRun]:
        """The runs with any failure."""
        return list(remembered(self, "failed_runs", lambda: [run for run in self.runs if run.has_failed]))

    @property
    def failures(self) -> list[Failure]:
        """All failures, from loading the experiment to recording its runs."""
        own = [self.failure] if self.failure else []
        return [*self.problems, *own, *(failure for run in self.runs for failure in run.failures)]

    @property
    def passed(self) -> bool:
        """True if all repetitions of every example ran, every evaluator scored them, and all were recorded."""
        return remembered(self, "passed", self._has_passed)

    def _has_passed(self) -> bool:
        if self.is_empty_part:
            return not self.failures
        is_sound = not self.failure and not self.problems and self.expected_runs > 0
        if not is_sound or self.not_run or self.failed_runs:
            return False
        return all(map(self.is_evaluated, self.runs)) and not self.incomplete_scores

    @property
    def is_empty_part(self) -> bool:
        """True if there was nothing to run because all examples belong to other shards."""
        return self.opened is not None and self.opened.is_empty_part and not self.example_count

    @property
    def is_complete(self) -> bool:
        """True if everything ran and was recorded, even if tasks or evaluators failed."""
        if self.is_empty_part:
            return self.passed
        if self.failure or self.problems or not self.expected_runs or self.not_run or self.incomplete_scores:
            return False
        if any(run.record_failure for run in self.runs):
            return False
        return all(run.failures or self.is_evaluated(run) for run in self.runs)

    @property
    def is_out_of_budget(self) -> bool:
        """True if the budget of the job ended the experiment."""
        return self.failure is not None and self.failure.kind == "budget"

    @property
    def error_rate(self) -> float:
        """The fraction of the expected runs that failed, in the task or in an evaluator, or were not made."""
        if not self.expected_runs:
            return 0.0 if self.is_empty_part else 1.0
        return self.bad_runs / self.expected_runs

    @property
    def usage(self) -> Usage | None:
        """The usage of language models, also of runs that do not count; None if the usage of any run is unknown."""
        return remembered(self, "usage", self._total_usage)

    def _total_usage(self) -> Usage | None:
        beyond = self.stopping.runs_beyond if self.stopping is not None else ()
        if self.stopping is not None and len(beyond) < self.stopping.beyond:  # only the job itself has these runs
            return self.used
        parts = [run.total_usage for run in (*self.runs, *beyond)]
        known = [part for part in parts if part is not None]
        return total_usage(known) if parts and len(known) == len(parts) else self.used

    @property
    def incomplete_scores(self) -> list[ScoreSummary]:
        """The scores that are missing in some runs without failures, because an evaluator's lists differed."""
        return list(remembered(self, "incomplete_scores", self._missing_in_some))

    def _missing_in_some(self) -> list[ScoreSummary]:
        # the runs are as good as always alike, so their sets of names are compared instead of the runs
        runs = [run for run in self.runs if not run.has_failed] if self.failed_runs else self.runs
        given = {tuple([each.name for each in run.evaluations]) for run in runs}
        names = {name for group in given for name in group}
        missing = {name for group in given for name in names.difference(group)}
        return [score for score in self.scores if score.name in missing] if missing else []

    def is_evaluated(self, run: TaskRun) -> bool:
        """Check whether every evaluator gave the run a score or a label."""
        scored = {each.evaluator for each in run.evaluations if each.score is not None or each.label is not None}
        return bool(self.evaluator_names) and scored.issuperset(self.evaluator_names)

    @property
    def scores(self) -> list[ScoreSummary]:
        """A summary for each evaluation, sorted by name; runs without the evaluation count as missing."""
        return list(remembered(self, "scores", self._summarized))

    def _summarized(self) -> list[ScoreSummary]:
        names = {evaluation.name for run in self.runs for evaluation in run.evaluations}
        reported = {evaluation.evaluator for run in self.runs for evaluation in run.evaluations}
        names.update(set(self.evaluator_names) - reported)  # lists contribute the names of their items
        return summarize_scores(
            sorted(names), self.runs, repetitions=self.repetitions, expected=self.expected_runs or len(self.runs)
        )

    @property
    def task_runs(self) -> list[dict[str, Any]]:
        """The runs as dictionaries in the shape of the Phoenix client's `ExperimentRun`."""
        return [
            {
                "id": run.id or _unrecorded(run),
                "experiment_id": self.experiment_id,
                "dataset_example_id": run.example.node_id,
                "repetition_number": run.repetition,
                "output": run.output,
                "error": str(run.failure) if run.failure else None,
                "start_time": run.start_time.isoformat(),
                "end_time": run.end_time.isoformat(),
                "trace_id": run.trace_id,
            }
            for run in self.runs
        ]

    @property
    def evaluation_runs(self) -> list[EvaluationRun]:
        """The evaluations, run by run, in the shape of the Phoenix client."""
        return [
            EvaluationRun(
                experiment_run_id=run.id or _unrecorded(run),
                name=evaluation.name,
                annotator_kind=evaluation.annotator_kind,
                start_time=evaluation.start_time,
                end_time=evaluation.end_time,
                result=None
                if evaluation.failure
                else {
                    key: value
                    for key in ("score", "label", "explanation")
                    if (value := getattr(evaluation, key)) is not None
                },
                error=str(evaluation.failure) if evaluation.failure else None,
                id=evaluation.id or f"{_unrecorded(run)}_{evaluation.name}",
                trace_id=evaluation.trace_id,
                metadata=evaluation.metadata,
            )
            for run in self.runs
            for evaluation in run.evaluations
        ]

    _KEYS = (
        "experiment_id",
        "dataset_id",
        "dataset_version_id",
        "task_runs",
        "evaluation_runs",
        "experiment_metadata",
        "project_name",
    )

    def __getitem__(self, key: str) -> Any:
        if key in self._KEYS:
            return getattr(self, key)
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._KEYS)

    def __len__(self) -> int:
        return len(self._KEYS)

    def __repr__(self) -> str:
        return f"<ExperimentResult {short_text(self)}>"

    def _repr_html_(self) -> str:
        return html_table([self])

    def to_dataframe(self) -> Any:
        """Return a `pandas.DataFrame` with a row for each run, and the columns of `evalwire export`.

        The first column, `experiment`, has the name of the experiment. Runs that were never made have no row.

        Raises:
            ImportError: pandas is not installed.
        """
        return data_frame([self])


def _unrecorded(run: TaskRun) -> str:
    """Return a placeholder for the ID of a run that Phoenix does not have."""
    repetition = f"_{run.repetition}" if run.repetition > 1 else ""
    return f"DRY_RUN_{run.example.node_id}{repetition}"
