"""`ExperimentRunner`: the door for scripts and notebooks, and where a run's stages meet."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalwire import ci, discovery, engine
from evalwire.errors import ExperimentsFailed, UsageError
from evalwire.masking import Mask, secrets_in
from evalwire.progress import Quiet

if TYPE_CHECKING:
    from phoenix.client import Client

    from evalwire.gateway import Phoenix
    from evalwire.model import Experiment, ExperimentResult

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
        task_concurrency: examples in flight over the whole job.
        timeout_seconds: for one call of a task or of an evaluator.
        grace_seconds: for what is in flight when the run is interrupted.
        record_connections: connections that record at once.
        helpers: files in the experiments' folders that are no evaluators, beside `helpers.py` and `_*.py`.

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
        task_concurrency: int = 10,
        timeout_seconds: float = 300.0,
        grace_seconds: float = 8.0,
        record_connections: int = 4,
        helpers: Collection[str] = (),
    ) -> None:
        self._root = Path(experiments_dir)
        self._client = phoenix_client
        self._dry_run = _dry_run_count(dry_run)
        self._helpers = helpers
        self._record_connections = record_connections
        counts = {
            "concurrency": concurrency,
            "task_concurrency": task_concurrency,
            "record_connections": record_connections,
        }
        for name, value in counts.items():
            if value < 1:
                raise UsageError(f"{name} = {value}: expected 1 or more.")
        for name, seconds in (("timeout_seconds", timeout_seconds), ("grace_seconds", grace_seconds)):
            if not seconds > 0:
                raise UsageError(f"{name} = {seconds}: expected a number above 0.")
        self._limits = engine.Limits(
            concurrency=concurrency,
            task_concurrency=task_concurrency,
            timeout_seconds=timeout_seconds,
            grace_seconds=grace_seconds,
        )

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
            loaded = discovery.load(self._root, names=names, helpers={"*": self._helpers}).experiments
            if not loaded:
                return []
            mask.add(secrets_in(os.environ))  # importing may have loaded some
            plan = Plan(
                limits=self._limits,
                prefix=experiment_name_prefix,
                metadata={**ci.facts(os.environ), **(metadata or {})},
                dry_run=self._dry_run,
                mask=mask,
                record_connections=self._record_connections,
            )
            job = run_experiments(loaded, Phoenix(self._client), plan)
        results = job.results
        if job.passed:
            return results
        failure = ExperimentsFailed(mask(_summary(results)), results)
        log.error("%s", failure.message)
        raise failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a set of loaded experiments is to be run.

    Attributes:
        dry_run: examples of each experiment, nothing being written; None for a real run.
        mask: takes secrets out of what is recorded of failures.
    """

    limits: engine.Limits
    prefix: str = "eval"
    metadata: Mapping[str, Any]
    dry_run: int | None = None
    record_connections: int = 4
    mask: Callable[[str], str] = str


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


@contextlib.contextmanager
def _recorder(phoenix: Phoenix, plan: Plan, stop: engine.Stop) -> Iterator[tuple[engine.Recorder, Callable[[], int]]]:
    """Phoenix's recorder with tracing around it, or the one of a dry run; and how many spans were lost."""
    from evalwire.recording import DryRunRecorder, PhoenixRecorder  # noqa: PLC0415 - only for a run

    if plan.dry_run is not None:
        yield DryRunRecorder(phoenix, examples=plan.dry_run, prefix=plan.prefix), lambda: 0
        return
    from evalwire.tracing import Tracing  # noqa: PLC0415 - heavy, only for a real run

    tracing = Tracing(phoenix.log_spans, mask=plan.mask)
    with tracing.installed(flush_seconds=lambda: _LATE_FLUSH_SECONDS if stop.requested else _FLUSH_SECONDS):
        recorder = PhoenixRecorder(
            phoenix,
            tracing,
            prefix=plan.prefix,
            metadata=plan.metadata,
            connections=plan.record_connections,
            mask=plan.mask,
        )
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
