"""`ExperimentRunner`: the door for scripts and notebooks, and where a run's stages meet."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evalwire.engine import Limits
from evalwire.errors import EvalwireError, ExperimentsFailed, UsageError
from evalwire.experiments import importable, load_experiments
from evalwire.masking import Mask, secrets_in
from evalwire.phoenix import RetryPolicy
from evalwire.recording import Journal
from evalwire.settings import ci_metadata, parse_option

if TYPE_CHECKING:
    from phoenix.client import Client

    from evalwire.model import Experiment, ExperimentResult
from evalwire.jobs.run import JobPlan, note_ends, run_experiments

log = logging.getLogger("evalwire")


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
        UsageError: (a ValueError) a value that the setting of its name does not take, or `dry_run=0`, which could mean
            "none" as well as "all".
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
        self._record_connections = parse_option("record_connections", record_connections)
        self._limits = Limits(
            concurrency=parse_option("concurrency", concurrency),
            task_concurrency=parse_option("task_concurrency", task_concurrency),
            timeout_seconds=parse_option("timeout_seconds", timeout_seconds),
            grace_seconds=parse_option("grace_seconds", grace_seconds),
            retries=None if retries is None else parse_option("retries", retries),
            retry_on=retry_on,
            max_failures=None if max_failures is None else parse_option("max_failures", max_failures),
        )
        self._repetitions = parse_option("repetitions", repetitions)
        self._isolated = isolated
        self._record = RetryPolicy.for_records(parse_option("record_timeout_seconds", record_timeout_seconds))
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
        from evalwire.phoenix import Phoenix  # noqa: PLC0415 - an import of this module stays cheap

        mask = Mask(secrets_in(os.environ))
        with importable(self._root):
            found = load_experiments(self._root, names=names, helpers={"*": self._helpers}, isolated=self._isolated)
            loaded = found.experiments
            if not loaded:
                return []
            mask.add(secrets_in(os.environ))  # importing may have loaded some
            plan = JobPlan(
                limits=self._limits,
                prefix=experiment_name_prefix,
                metadata={**ci_metadata(os.environ), **(metadata or {})},
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
    def _journal(self, experiments: Sequence[Experiment], plan: JobPlan) -> Iterator[Journal | None]:
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
