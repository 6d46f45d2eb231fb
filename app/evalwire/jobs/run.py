"""Compose a run from the stages: recorder, tracing, engine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from evalwire.engine import JobResult, Limits, Observer, Recorder, Stop, run_job
from evalwire.jobs.progress import Quiet
from evalwire.model import end_metadata
from evalwire.recording import FORMAT, Journal, Opening, PastExperiment, Sharing, Terms

if TYPE_CHECKING:
    from evalwire.model import Experiment, ExperimentResult, Outcome
    from evalwire.phoenix import Phoenix


_FLUSH_SECONDS = 10.0

_LATE_FLUSH_SECONDS = 0.5  # after an interruption: `docker stop` kills at 10 s, of which the grace period took 8


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """How a set of loaded experiments is to be run.

    Attributes:
        repetitions: runs of each example.
        split: of the datasets, or None for all of each.
        dataset_version: the version of their dataset, or None for the newest of each.
        gates: limits that the job was told, for the journal.
        baseline: likewise.
        dry_run: examples of each experiment, nothing being written; None for a real run.
        mask: takes secrets out of what is recorded of failures.
        journal: where everything is noted before it is sent; None for nowhere.
        past: what is known of an earlier job that goes on, or by a plan, by experiment.
        retry_failed: try the failures of the earlier job again.
        sharing: with the jobs that run other shards; None for a job that runs everything.
    """

    limits: Limits
    prefix: str = "eval"
    metadata: Mapping[str, Any]
    repetitions: int = 1
    split: str | None = None
    dataset_version: str | None = None
    gates: Sequence[str] = ()
    baseline: str = ""
    dry_run: int | None = None
    record_connections: int = 4
    mask: Callable[[str], str] = str
    journal: Journal | None = None
    past: Mapping[str, PastExperiment] = field(default_factory=dict)
    retry_failed: bool = False
    sharing: Sharing | None = None

    @property
    def terms(self) -> Terms:
        """What experiments are created with."""
        return Terms(
            prefix=self.prefix,
            metadata=self.metadata,
            repetitions=self.repetitions,
            split=self.split,
            version_id=self.dataset_version,
        )

    def begin(self, journal: Journal, experiments: Sequence[Experiment], *, endpoint: str = "") -> None:
        """Note in a new journal what is to run."""
        journal.append(
            "job",
            format=FORMAT,
            started_at=datetime.now(UTC),
            endpoint=endpoint,
            experiments=[experiment.name for experiment in experiments],
            prefix=self.prefix,
            metadata=self.metadata,
            repetitions=self.repetitions,
            split=self.split,
            dataset_version=self.dataset_version,
            gates=list(self.gates),
            baseline=self.baseline,
            shard=str(self.sharing.shard) if self.sharing and self.sharing.shard else None,
            run_key=self.sharing.run_key if self.sharing else None,
        )


def run_experiments(
    experiments: Sequence[Experiment],
    phoenix: Phoenix,
    plan: JobPlan,
    *,
    observer: Observer | None = None,
    stop: Stop | None = None,
) -> JobResult:
    """Run loaded experiments against a Phoenix, within `discovery.importable`."""
    stop = stop or Stop()
    with _recorder(phoenix, plan, stop) as (recorder, lost_spans):
        job = run_job(experiments, recorder=recorder, observer=observer or Quiet(), limits=plan.limits, stop=stop)
    return replace(job, lost_spans=lost_spans())


def note_ends(
    phoenix: Phoenix, results: Sequence[ExperimentResult], outcome_of: Callable[[ExperimentResult], Outcome]
) -> None:
    """Tell Phoenix how each experiment ended; one that it does not know this of is nobody's baseline.

    Raises:
        EvalwireError: Phoenix did not take it.
    """
    for result in results:
        if result.opened is not None and result.opened.id is not None:
            phoenix.experiments.note_end(
                result.opened.id, end_metadata(result.experiment_metadata, result, outcome_of(result))
            )


@contextlib.contextmanager
def _recorder(phoenix: Phoenix, plan: JobPlan, stop: Stop) -> Iterator[tuple[Recorder, Callable[[], int]]]:
    """Phoenix's recorder with tracing around it, or the one of a dry run; and how many spans were lost."""
    from evalwire.recording import DryRunRecorder, PhoenixRecorder  # noqa: PLC0415 - only for a run

    if plan.dry_run is not None:
        dry = DryRunRecorder(
            phoenix.datasets,
            examples=plan.dry_run,
            prefix=plan.prefix,
            repetitions=plan.repetitions,
            split=plan.split,
            version_id=plan.dataset_version,
            shard=plan.sharing.shard if plan.sharing else None,
        )
        with contextlib.closing(dry):
            yield dry, lambda: 0
        return
    from evalwire.recording import Tracing  # noqa: PLC0415 - heavy, only for a real run

    tracing = Tracing(phoenix.spans.deliver, mask=plan.mask)
    opening = Opening(
        phoenix,
        plan.terms,
        notes=plan.journal,
        past=plan.past,
        retry_failed=plan.retry_failed,
        sharing=plan.sharing,
    )
    recorder = PhoenixRecorder(
        phoenix, tracing, opening, notes=plan.journal, connections=plan.record_connections, mask=plan.mask
    )
    flush_seconds = lambda: _LATE_FLUSH_SECONDS if stop.requested else _FLUSH_SECONDS  # noqa: E731 - asked again and again
    with contextlib.closing(recorder), tracing.installed(flush_seconds=flush_seconds):
        yield recorder, lambda: tracing.lost
