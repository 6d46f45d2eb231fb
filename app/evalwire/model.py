"""The nouns that cross from one stage to the next, all immutable and all named as Phoenix names them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from evalwire.scores import ScoreSummary
from evalwire.usage import total

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from evalwire.sharding import Shard
    from evalwire.usage import Price, Usage
    from evalwire.verdicts import Baseline, Verdict

FailureStage = Literal["import", "open", "task", "evaluator", "record", "interrupted"]
AnnotatorKind = Literal["CODE", "LLM", "HUMAN"]
Outcome = Literal["passed", "gate_failed", "errors", "infrastructure", "nothing_to_run", "interrupted"]

CREATION_KEY = "evalwire_key"  # in a Phoenix experiment's metadata: which creation it came from
FACTS_KEY = "evalwire"  # likewise: what evalwire recorded, and how it ended


class _Empty(dict[str, Any]):
    """An empty dict for all to share: nothing can be put into it, and a copy of it is a dict as any other."""

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("this mapping is shared and cannot be changed")

    __setitem__ = setdefault = update = __ior__ = _refuse

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[()]]:
        return dict, ()


EMPTY: Mapping[str, Any] = _Empty()  # thousands of evaluations without metadata share it


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why something of the user's, or of the world around it, did not work; a value, never raised.

    Attributes:
        stage: where in the run it happened.
        type: the exception's class name, such as `KeyError`.
        message: the exception's text.
        cause: the first exception of a chain (`raise ... from ...`), or those in a group; None when it stands alone.
        where: `file:line` of the last frame in the user's code, or None where there is no such frame.
        traceback: the formatted traceback without evalwire's own frames; may be empty.
    """

    stage: FailureStage
    type: str
    message: str
    cause: str | None = None
    where: str | None = None
    traceback: str = ""

    def __str__(self) -> str:
        text = f"{self.type}: {self.message}" if self.message else self.type
        if self.cause:
            text += f" (from {self.cause})"
        return f"{text} ({self.where})" if self.where else text


def content_hash(input_: Mapping[str, Any], output: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    """A digest of an example's contents, in 16 hexadecimal digits."""
    content = json.dumps([dict(input_), dict(output), dict(metadata)], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example(Mapping[str, Any]):
    """One example of a dataset, with attribute and item access: `example.input["q"]`, `example["input"]["q"]`.

    Attributes:
        id: the id the dataset's author gave, else Phoenix's own.
        node_id: Phoenix's global id, which runs are recorded under.
        input: what the task is given.
        output: what the example expects; evaluators see it as `expected`.
        metadata: whatever else the author attached.
        updated_at: when Phoenix last changed it, as ISO 8601 text, or None.
        recorded_hash: the `content_hash` that it had before secrets were taken out of it, or that a file has of it;
            no key of the mapping, since it is none of the dataset's.
    """

    id: str
    node_id: str
    input: Mapping[str, Any]
    output: Mapping[str, Any]
    metadata: Mapping[str, Any]
    updated_at: str | None = None
    recorded_hash: str | None = field(default=None, repr=False)

    _KEYS = ("id", "node_id", "input", "output", "metadata", "updated_at")

    @property
    def content_hash(self) -> str:
        """A digest of what it asks and expects: examples of two dataset versions with the same one are the same."""
        if self.recorded_hash is not None:
            return self.recorded_hash
        return content_hash(self.input, self.output, self.metadata)

    def __getitem__(self, key: str) -> Any:
        if key in self._KEYS:
            return getattr(self, key)
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._KEYS)

    def __len__(self) -> int:
        return len(self._KEYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One version of a Phoenix dataset, or of a split of it, with its examples in the dataset's order."""

    id: str
    name: str
    version_id: str
    examples: Sequence[Example]
    split: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Callee:
    """A task or an evaluator of the user's, ready to be called.

    Attributes:
        name: what it is called in reports and in Phoenix: `task`, or the evaluator file's name.
        path: the file that defines it.
        function: what is called.
        is_async: whether its author wrote a coroutine function.
        on_loop: whether it is called on the event loop; else on a thread, and what it returns is awaited if need be.
        is_isolated: whether it is a coroutine function that runs on the event loop of a worker thread.
        positional: the names of the values bound by position, in order.
        keywords: parameter name -> the name of the value bound to it.
        whole: call with one mapping of all values, or with all of them as keywords (evaluator objects).
        annotator_kind: how Phoenix files its evaluations.
    """

    name: str
    path: Path
    function: Callable[..., Any]
    is_async: bool
    on_loop: bool = False
    is_isolated: bool = False
    positional: tuple[str, ...] = ()
    keywords: Mapping[str, str] = field(default_factory=dict)
    whole: Literal["mapping", "keywords"] | None = None
    annotator_kind: AnnotatorKind = "CODE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A folder of the user's: a task, its evaluators, and the dataset they run on.

    Attributes:
        problems: what was found wrong when it was loaded; a non-empty tuple means that it cannot run.
    """

    name: str
    dataset_name: str
    path: Path
    task: Callee | None
    evaluators: tuple[Callee, ...] = ()
    problems: tuple[Failure, ...] = ()

    @property
    def import_root(self) -> Path:
        """The folder that is importable while it runs: the parent of the experiments folder."""
        return self.path.parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenExperiment:
    """An experiment with its dataset fetched and, except in a dry run, created in Phoenix.

    Attributes:
        id: Phoenix's id of it, or None in a dry run.
        url: its page in Phoenix, or None in a dry run.
        recorded_name: `{prefix}_{dataset}_{timestamp}`.
        project_name: the Phoenix project that its traces go to.
        repetitions: how many times each example is run.
        earlier: runs of an earlier job that goes on, by the example's node id and the repetition.
        shard: which part of the dataset's examples are here; None for all of them.
    """

    experiment: Experiment
    dataset: Dataset
    recorded_name: str
    id: str | None = None
    url: str | None = None
    project_name: str | None = None
    repetitions: int = 1
    metadata: Mapping[str, Any] = field(default_factory=dict)
    earlier: Mapping[tuple[str, int], TaskRun] = field(default_factory=dict)
    shard: Shard | None = None

    @property
    def is_empty_part(self) -> bool:
        """Whether there is nothing to run because other shards have all the examples."""
        return self.shard is not None and not self.dataset.examples


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What one evaluator said of one run: a finite score, a label, or both; or the failure instead.

    Attributes:
        attempts: how many calls it took.
        usage: what they used of language models; empty for all but the first of one evaluator, None when not known.
    """

    name: str
    evaluator: str
    score: float | None = None
    label: str | None = None
    explanation: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    annotator_kind: AnnotatorKind = "CODE"
    failure: Failure | None = None
    attempts: int = 1
    usage: Usage | None = None
    start_time: datetime
    end_time: datetime
    trace_id: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRun:
    """One run of the task on one example, and the evaluations of what it returned.

    Attributes:
        output: the returned value as JSON; None when the task failed.
        failure: why the task failed, or None.
        record_failure: why Phoenix does not have (all of) this run, or None.
        repetition: which run of the example it is, from 1.
        attempts: how many calls of the task it took.
        usage: what the task used of language models, by the spans seen, over all attempts; None when not known, as in
            a dry run.
        id: Phoenix's id of the run, or None when it is not recorded.
    """

    example: Example
    output: Any
    failure: Failure | None
    evaluations: tuple[Evaluation, ...] = ()
    record_failure: Failure | None = None
    start_time: datetime
    end_time: datetime
    repetition: int = 1
    attempts: int = 1
    usage: Usage | None = None
    trace_id: str | None = None
    id: str | None = None

    @property
    def is_recorded(self) -> bool:
        """Whether Phoenix has the run and all its evaluations."""
        return self.id is not None and all(evaluation.id is not None for evaluation in self.evaluations)

    @property
    def seconds(self) -> float:
        """How long the task took."""
        return (self.end_time - self.start_time).total_seconds()

    @property
    def total_usage(self) -> Usage | None:
        """What the task and its evaluators used; None when that is not known of all of them."""
        parts = [self.usage, *(evaluation.usage for evaluation in self.evaluations)]
        known = [part for part in parts if part is not None]
        return total(known) if len(known) == len(parts) else None

    @property
    def retries(self) -> int:
        """How many calls of the task and its evaluators were repeats; one call may give several evaluations."""
        attempts = {evaluation.evaluator: evaluation.attempts for evaluation in self.evaluations}
        return sum(attempts.values(), self.attempts) - len(attempts) - 1

    @property
    def failures(self) -> list[Failure]:
        """Everything that went wrong with it, as far as it is known: the task, its evaluators, the recording."""
        found = [self.failure, *(evaluation.failure for evaluation in self.evaluations), self.record_failure]
        return [failure for failure in found if failure]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRun:
    """One recorded evaluation in the shape of the Phoenix client's `ExperimentEvaluationRun`."""

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
class ExperimentResult(Mapping[str, Any]):
    """How one experiment went; also a mapping with the keys of the Phoenix client's `RanExperiment`.

    Attributes:
        name: the experiment's folder.
        opened: the dataset and Phoenix's ids, or None when it did not get that far.
        runs: one for each example and repetition that ran, in the dataset's order, then by repetition.
        example_count: how many examples were to run.
        repetitions: how many times each.
        failure: what stopped the experiment as a whole, or None.
        seconds: wall time.
        path: of the folder.
        used: of language models, where it is known of the whole only: an experiment that was read from Phoenix.
    """

    name: str
    dataset_name: str
    path: str = ""
    used: Usage | None = None
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
        """Phoenix's id of the experiment; `DRY_RUN` when nothing was written."""
        return (self.opened and self.opened.id) or "DRY_RUN"

    @property
    def dataset_id(self) -> str:
        """Phoenix's id of the dataset, or an empty text when it was not fetched."""
        return self.opened.dataset.id if self.opened else ""

    @property
    def dataset_version_id(self) -> str:
        """The version of the dataset that ran."""
        return self.opened.dataset.version_id if self.opened else ""

    @property
    def experiment_metadata(self) -> Mapping[str, Any]:
        """What was recorded with the experiment."""
        return self.opened.metadata if self.opened else {}

    @property
    def project_name(self) -> str | None:
        """The Phoenix project of its traces."""
        return self.opened.project_name if self.opened else None

    @property
    def url(self) -> str | None:
        """Its page in Phoenix."""
        return self.opened.url if self.opened else None

    @property
    def expected_runs(self) -> int:
        """How many runs there were to be."""
        return self.example_count * self.repetitions

    @property
    def not_run(self) -> int:
        """How many of them never finished."""
        return self.expected_runs - len(self.runs)

    @property
    def failed_runs(self) -> list[TaskRun]:
        """The runs with any failure."""
        return [run for run in self.runs if run.failures]

    @property
    def failures(self) -> list[Failure]:
        """Everything that went wrong, from its loading to the recording of its runs."""
        own = [self.failure] if self.failure else []
        return [*self.problems, *own, *(failure for run in self.runs for failure in run.failures)]

    @property
    def passed(self) -> bool:
        """Whether every example ran as often as it was to, every evaluator scored it, and every record arrived."""
        if self.is_empty_part:
            return not self.failures
        whole = not self.failure and not self.problems and self.expected_runs > 0
        if not whole or self.not_run or self.failed_runs:
            return False
        return all(map(self.is_judged, self.runs)) and not self.incomplete_scores

    @property
    def is_empty_part(self) -> bool:
        """Whether there was nothing to run because other shards have all the examples."""
        return self.opened is not None and self.opened.is_empty_part and not self.example_count

    @property
    def is_complete(self) -> bool:
        """Whether everything ran and was recorded, though tasks and evaluators may have failed."""
        if self.is_empty_part:
            return self.passed
        if self.failure or self.problems or not self.expected_runs or self.not_run or self.incomplete_scores:
            return False
        if any(run.record_failure for run in self.runs):
            return False
        return all(run.failures or self.is_judged(run) for run in self.runs)

    @property
    def error_rate(self) -> float:
        """The share of the expected runs that failed, in the task or in an evaluator, or were not made."""
        if not self.expected_runs:
            return 0.0 if self.is_empty_part else 1.0
        return (len(self.failed_runs) + self.not_run) / self.expected_runs

    @property
    def usage(self) -> Usage | None:
        """What it used of language models; None when that is not known of some run."""
        parts = [run.total_usage for run in self.runs]
        known = [part for part in parts if part is not None]
        return total(known) if parts and len(known) == len(parts) else self.used

    @property
    def incomplete_scores(self) -> list[ScoreSummary]:
        """The evaluations that some run which did not fail has not got: an evaluator's lists differed."""
        sound = [run for run in self.runs if not run.failures]
        names = {evaluation.name for run in sound for evaluation in run.evaluations}
        lacking = {name for run in sound for name in names - {evaluation.name for evaluation in run.evaluations}}
        return [score for score in self.scores if score.name in lacking] if lacking else []

    def is_judged(self, run: TaskRun) -> bool:
        """Whether every evaluator gave the run a score or a label."""
        said = {one.evaluator for one in run.evaluations if one.score is not None or one.label is not None}
        return bool(self.evaluator_names) and said.issuperset(self.evaluator_names)

    @property
    def scores(self) -> list[ScoreSummary]:
        """One summary for each evaluation name, sorted; a run without that evaluation counts as missing."""
        names = {evaluation.name for run in self.runs for evaluation in run.evaluations}
        reported = {evaluation.evaluator for run in self.runs for evaluation in run.evaluations}
        names.update(set(self.evaluator_names) - reported)  # one that returns a list is there by the names in it
        size = {"repetitions": self.repetitions, "expected": self.expected_runs}
        return [ScoreSummary.of(name, self.runs, **size) for name in sorted(names)]

    @property
    def task_runs(self) -> list[dict[str, Any]]:
        """The runs as the Phoenix client's `ExperimentRun` dictionaries."""
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
        """The evaluations, run by run, in the client's shape."""
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


def _unrecorded(run: TaskRun) -> str:
    """What stands for the id of a run that Phoenix has not got."""
    repetition = f"_{run.repetition}" if run.repetition > 1 else ""
    return f"DRY_RUN_{run.example.node_id}{repetition}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A finished job: what every report and the exit code are made from.

    Attributes:
        outcome: why it ended as it did, for programs.
        dry_run: whether nothing was written to Phoenix.
        abandoned_threads: plain functions that were still running when their time was up.
        lost_spans: spans that could not be delivered; they are not part of the verdict.
        journal: the file that `evalwire resume` goes on with; None without one.
        ci: what is known of the CI job.
        gates: what each gate came to; empty where none was judged, as in a dry run.
        baselines: what each experiment was compared with, of those that were to be.
        prices: of models whose spans tell no cost.
        directory: the job's working directory: paths below it are shown relative to it.
        shard: which part of every experiment this job ran; None for all of each.
    """

    outcome: Outcome
    exit_code: int
    results: tuple[ExperimentResult, ...]
    started_at: datetime
    seconds: float
    dry_run: bool = False
    endpoint: str | None = None
    evalwire_version: str = ""
    abandoned_threads: int = 0
    lost_spans: int = 0
    journal: str | None = None
    ci: Mapping[str, Any] = field(default_factory=dict)
    gates: tuple[Verdict, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    prices: Mapping[str, Price] = field(default_factory=dict)
    directory: str = ""
    shard: Shard | None = None

    @property
    def scope(self) -> str:
        """What the verdict is limited to, in words; empty for a whole run."""
        parts = ["dry run, nothing recorded"] if self.dry_run else []
        if self.shard:
            parts.append(f"shard {self.shard}, whose gates are judged with the others")
        return "; ".join(parts)

    def gates_of(self, name: str) -> list[Verdict]:
        """What the gates of one experiment came to."""
        return [verdict for verdict in self.gates if verdict.experiment == name]

    def baseline_of(self, name: str) -> Baseline | None:
        """What one experiment was compared with; None when it was not to be."""
        return next((baseline for baseline in self.baselines if baseline.experiment == name), None)

    def passed(self, result: ExperimentResult) -> bool:
        """Whether an experiment held, and all its gates; a tolerated rate of errors is a gate that held."""
        gates = self.gates_of(result.name)
        tolerated = any(gate.rule == "max_error_rate" and not gate.is_red for gate in gates)
        return (result.passed or (tolerated and result.is_complete)) and not any(gate.is_red for gate in gates)

    @property
    def undelivered(self) -> int:
        """How many runs and evaluations could not be recorded."""
        runs = [run for result in self.results for run in result.runs if run.record_failure]
        return sum((run.id is None) + sum(one.id is None for one in run.evaluations) for run in runs)
