"""`ExperimentRunner`: the door for scripts and notebooks, and where a run's stages meet."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evalwire import ci, discovery, engine
from evalwire.errors import EvalwireError, ExperimentsFailed, UsageError
from evalwire.facts import at_end
from evalwire.journal import FORMAT, Journal, Past
from evalwire.masking import Mask, secrets_in
from evalwire.opening import Opening, Sharing, Terms
from evalwire.progress import Quiet
from evalwire.retries import RetryPolicy

if TYPE_CHECKING:
    from phoenix.client import Client

    from evalwire.gateway import Phoenix
    from evalwire.model import Experiment, ExperimentResult, Outcome

log = logging.getLogger("evalwire")

_FLUSH_SECONDS = 10.0
_LATE_FLUSH_SECONDS = 0.5  # after an interruption: `docker stop` kills at 10 s, of which the grace period took 8


class ExperimentRunner:
    """Runs the experiments of a folder against the datasets of a Phoenix.

        from phoenix.client import Client
        from evalwire.runner import ExperimentRunner

        results = ExperimentRunner("experiments", Client()).run()

    Args:
        experiments_dir: the folder of the experiments; its parent is importable while they load and run.
        phoenix_client: a `phoenix.client.Client`, whose connection settings are used.
        concurrency: experiments in parallel.
        dry_run: True runs the first example of each experiment, N the first N, in the dataset's order; nothing
            is written to Phoenix. False runs everything.
        task_concurrency: examples in flight over the whole job; "auto" finds how many the provider bears.
        timeout_seconds: for one call of a task or of an evaluator.
        grace_seconds: for what is in flight when the run is interrupted.
        record_connections: connections that record at once.
        helpers: files in the experiments' folders that are no evaluators, beside `helpers.py` and `_*.py`.
        retries: further calls of a task or an evaluator after a rate limit, a time-out or a connection error; None
            for none, or, with an "auto" concurrency, 5 after rate limits.
        retry_on: `module.ExceptionName` of further errors that are worth a retry.
        repetitions: runs of each example.
        max_failures: failures that end the run; below 1, such a share of the runs. None for never.
        isolated: experiments whose async functions run each on the event loop of a worker thread.
        record_timeout_seconds: for which a record is tried to be delivered.
        journal_dir: folder of a journal of what was paid for, which `evalwire resume` reads; None for none.

    Raises:
        UsageError: (a ValueError) a limit below 1, or `dry_run=0`, which could mean "none" as well as "all".
    """

    def __init__(
        self,
        experiments_dir: str | Path,
        phoenix_client: Client,
        *,
        concurrency: int = 1,
        dry_run: bool | int = False,
        task_concurrency: int | Literal["auto"] = 10,
        timeout_seconds: float = 300.0,
        grace_seconds: float = 8.0,
        record_connections: int = 4,
        helpers: Collection[str] = (),
        retries: int | None = None,
        retry_on: Collection[str] = (),
        repetitions: int = 1,
        max_failures: float | None = None,
        isolated: Collection[str] = (),
        record_timeout_seconds: float = 600.0,
        journal_dir: str | Path | None = None,
    ) -> None:
        self._root = Path(experiments_dir)
        self._client = phoenix_client
        self._dry_run = _dry_run_count(dry_run)
        self._helpers = helpers
        self._record_connections = record_connections
        counts = {
            "concurrency": concurrency,
            "task_concurrency": 1 if task_concurrency == "auto" else task_concurrency,
            "record_connections": record_connections,
            "repetitions": repetitions,
        }
        for name, value in counts.items():
            if value < 1:
                raise UsageError(f"{name} = {value}: expected 1 or more.")
        above_0 = {
            "timeout_seconds": timeout_seconds,
            "grace_seconds": grace_seconds,
            "record_timeout_seconds": record_timeout_seconds,
            "max_failures": 1 if max_failures is None else max_failures,
        }
        for name, number in above_0.items():
            if not number > 0:
                raise UsageError(f"{name} = {number}: expected a number above 0.")
        if retries is not None and retries < 0:
            raise UsageError(f"retries = {retries}: expected 0 or more.")
        self._limits = engine.Limits(
            concurrency=concurrency,
            task_concurrency=task_concurrency,
            timeout_seconds=timeout_seconds,
            grace_seconds=grace_seconds,
            retries=retries,
            retry_on=retry_on,
            max_failures=max_failures,
        )
        self._repetitions = repetitions
        self._isolated = isolated
        self._record = RetryPolicy.for_records(record_timeout_seconds)
        self._journal_dir = Path(journal_dir) if journal_dir is not None else None

    def run(
        self,
        names: Sequence[str] | None = None,
        *,
        experiment_name_prefix: str = "eval",
        metadata: Mapping[str, Any] | None = None,
    ) -> list[ExperimentResult]:
        """Run the experiments and give their results, in discovery order.

        Args:
            names: only these experiments; None for all.
            experiment_name_prefix: each is recorded as `{prefix}_{dataset}_{time}`.
            metadata: recorded with each, beside `dataset` and `run_by`.

        Returns:
            A result for each experiment; an empty list when the folder is missing or holds none.

        Raises:
            NothingToRunError: a name has no experiment.
            ExperimentsFailed: (a SystemExit with code 1) anything failed; raised after all have finished.
        """
        from evalwire.gateway import Phoenix  # noqa: PLC0415 - an import of this module stays cheap

        mask = Mask(secrets_in(os.environ))
        with discovery.importable(self._root):
            found = discovery.load(self._root, names=names, helpers={"*": self._helpers}, isolated=self._isolated)
            loaded = found.experiments
            if not loaded:
                return []
            mask.add(secrets_in(os.environ))  # importing may have loaded some
            plan = Plan(
                limits=self._limits,
                prefix=experiment_name_prefix,
                metadata={**ci.facts(os.environ), **(metadata or {})},
                repetitions=self._repetitions,
                dry_run=self._dry_run,
                mask=mask,
                record_connections=self._record_connections,
            )
            phoenix = Phoenix(self._client, record=self._record)
            with self._journal(loaded, plan) as journal:
                job = run_experiments(loaded, phoenix, replace(plan, journal=journal))
        results = job.results
        problem = "" if job.passed else _summary(results)
        try:
            if self._dry_run is None:
                note_ends(phoenix, results, lambda result: "passed" if result.passed else "errors")
        except EvalwireError as error:
            problem = f"{problem}\n{error}".strip()
        if not problem:
            return results
        failure = ExperimentsFailed(mask(problem), results)
        log.error("%s", failure.message)
        raise failure

    @contextlib.contextmanager
    def _journal(self, experiments: Sequence[Experiment], plan: Plan) -> Iterator[Journal | None]:
        if self._journal_dir is None or self._dry_run is not None:
            yield None
            return
        self._journal_dir.mkdir(parents=True, exist_ok=True)
        journal = Journal.create(self._journal_dir, now=datetime.now(UTC))
        try:
            plan.begin(journal, experiments)
            yield journal
        finally:
            journal.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
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

    limits: engine.Limits
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
    past: Mapping[str, Past] = field(default_factory=dict)
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
    plan: Plan,
    *,
    observer: engine.Observer | None = None,
    stop: engine.Stop | None = None,
) -> engine.JobResult:
    """Run loaded experiments against a Phoenix, within `discovery.importable`."""
    stop = stop or engine.Stop()
    with _recorder(phoenix, plan, stop) as (recorder, lost_spans):
        job = engine.run_job(
            experiments, recorder=recorder, observer=observer or Quiet(), limits=plan.limits, stop=stop
        )
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
            phoenix.note_end(result.opened.id, at_end(result.experiment_metadata, result, outcome_of(result)))


@contextlib.contextmanager
def _recorder(phoenix: Phoenix, plan: Plan, stop: engine.Stop) -> Iterator[tuple[engine.Recorder, Callable[[], int]]]:
    """Phoenix's recorder with tracing around it, or the one of a dry run; and how many spans were lost."""
    from evalwire.recording import DryRunRecorder, PhoenixRecorder  # noqa: PLC0415 - only for a run

    if plan.dry_run is not None:
        dry = DryRunRecorder(
            phoenix,
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
    from evalwire.tracing import Tracing  # noqa: PLC0415 - heavy, only for a real run

    tracing = Tracing(phoenix.log_spans, mask=plan.mask)
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


def _dry_run_count(dry_run: bool | int) -> int | None:
    if dry_run is False:
        return None
    if dry_run is not True and dry_run < 1:
        raise UsageError(f"dry_run = {dry_run}: expected True, or 1 or more examples; False runs everything.")
    return int(dry_run)


def _summary(results: Sequence[ExperimentResult]) -> str:
    from evalwire.reports import console  # noqa: PLC0415 - only for a failure

    red = [result for result in results if not result.passed]
    lines = [f"{len(red)} of {len(results)} experiments failed"]
    for result in red:
        lines += [f"{result.name}:", *console.failures(result, folder=Path.cwd())]
    return "\n".join(lines)
