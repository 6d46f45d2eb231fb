"""`ExperimentRunner`, which runs experiments in scripts and notebooks."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evalwire import clocks, phoenix, reports
from evalwire.engine import Limits, Stop
from evalwire.errors import ExperimentsFailed, UsageError
from evalwire.experiments import importable, load_experiments
from evalwire.jobs import NO_GATING, Job, JobStart, Quiet, job_gating, run_job
from evalwire.masking import Mask
from evalwire.model import Budget, ExperimentResults, JobSpec, count
from evalwire.recording import Journal
from evalwire.settings import (
    api_key_from_file,
    forget_working_copies,
    gate_settings,
    origin_metadata,
    parse_option,
    phoenix_variables,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import httpx
    from phoenix.client import Client

    from evalwire.model import Report

log = logging.getLogger("evalwire")


class ExperimentRunner:
    """Runs the experiments in a directory on datasets in Phoenix.

        from evalwire.runner import ExperimentRunner

        results = ExperimentRunner("experiments").run()

    Args:
        experiments_dir: the directory of the experiments. Its parent is importable while they load and run.
        phoenix_client: a `phoenix.client.Client`; by default, a client is created from the environment.
        concurrency: maximum number of experiments to run in parallel.
        dry_run: True runs the first example of each experiment, N the first N examples, in the dataset's order;
            nothing is written to Phoenix. False runs all examples and records results.
        task_concurrency: maximum number of examples in flight across the whole job; "auto" adapts to the provider's
            rate limits.
        timeout_seconds: timeout for each call of a task or an evaluator, in seconds.
        grace_seconds: time for runs in flight to finish when the job is interrupted, in seconds.
        record_connections: number of parallel connections for recording.
        helpers: files in experiment directories that are not evaluators, in addition to `helpers.py` and `_*.py`.
        retries: maximum number of retries for each call of a task or an evaluator, after rate limits, timeouts,
            connection errors or server errors. None for no retries, or for 5 after rate limits if `task_concurrency`
            is "auto".
        retry_on: additional exceptions to retry, as `module.ExceptionName`.
        repetitions: number of times to run each example.
        max_failures: number of failed runs after which the job stops; below 1, a fraction of the runs. None for no
            limit.
        isolated: names of the experiments whose async calls run on the event loop of a worker thread.
        record_timeout_seconds: total time limit for recording a run or an evaluation, with all retries, in seconds.
        journal_dir: directory of a journal of paid results, which `evalwire resume` reads; None for no journal.
        gates: gates to apply, as texts of `--gate`, such as `["doc_search.top_k >= 0.8"]`, or as a dict with the keys
            of `[gates]`, such as `{"top_k": {"max_drop": 0.02}, "baseline": "branch:main"}`. None for no gates.
        max_cost_usd: budget of a call of `run` in USD; no run starts that may exceed it. None for no limit.
        max_tokens: budget in tokens. None for no limit.
        max_seconds: budget in seconds. None for no limit.

    Raises:
        UsageError: (a ValueError) the setting with an argument's name does not accept the value; or `dry_run` is 0,
            which is ambiguous.
    """

    def __init__(
        self,
        experiments_dir: str | Path,
        phoenix_client: Client | None = None,
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
        gates: Sequence[str] | Mapping[str, Any] | None = None,
        max_cost_usd: float | None = None,
        max_tokens: int | None = None,
        max_seconds: float | None = None,
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
            budget=Budget(
                max_cost_usd=None if max_cost_usd is None else parse_option("max_cost_usd", max_cost_usd),
                max_tokens=None if max_tokens is None else parse_option("max_tokens", max_tokens),
                max_seconds=None if max_seconds is None else parse_option("max_seconds", max_seconds),
            ),
        )
        self._repetitions = parse_option("repetitions", repetitions)
        self._isolated = isolated
        record_seconds = parse_option("record_timeout_seconds", record_timeout_seconds)
        self._record = phoenix.RetryPolicy.for_records(record_seconds)
        self._journal_dir = Path(journal_dir) if journal_dir is not None else None
        wanted = [] if gates is None and self._limits.budget.limits_usage else gates
        self._gates = None if wanted is None else gate_settings(wanted, self._root)

    def run(
        self,
        names: Sequence[str] | None = None,
        *,
        experiment_name_prefix: str = "eval",
        metadata: Mapping[str, Any] | None = None,
    ) -> ExperimentResults:
        """Run the experiments and return the results, in discovery order.

        Args:
            names: the names of the experiments to run; None for all.
            experiment_name_prefix: prefix of the names in Phoenix, which are `{prefix}_{dataset}_{time}`.
            metadata: metadata to record with each experiment, in addition to `dataset` and `run_by`.

        Returns:
            A list with a result for each experiment, and the results of the gates in `gates`. The list is empty if the
            directory does not exist or has no experiments.

        Raises:
            NothingToRunError: a selected experiment does not exist.
            UsageError: (a ValueError) a gate or a baseline has an unknown name; nothing has run.
            EvalwireError: Phoenix cannot be reached for the baselines of the gates; nothing has run.
            ExperimentsFailed: (a SystemExit with code 1) an experiment or a gate failed; raised after all have
                finished.
        """
        environ = dict(os.environ)
        forget_working_copies()
        mask = Mask()
        mask.learn(environ)
        mask.watch()
        client = self._make_client()  # before user code may change the environment
        with importable(self._root):
            found = load_experiments(self._root, names=names, helpers={"*": self._helpers}, isolated=self._isolated)
            if not found.experiments:
                return ExperimentResults()
            job = Job(
                experiments=found.experiments,
                phoenix=phoenix.Phoenix(client, record=self._record),
                spec=JobSpec(
                    prefix=experiment_name_prefix,
                    metadata={**origin_metadata(environ, Path.cwd()), **(metadata or {})},
                    repetitions=self._repetitions,
                    gates=self._gates.gate if self._gates else (),
                    baseline=str((self._gates and self._gates.baseline) or ""),
                ),
                limits=self._limits,
                environ=environ,
                mask=mask,
                dry_run=self._dry_run,
                record_connections=self._record_connections,
            )
            problems: list[str] = []
            start = JobStart()
            gating = NO_GATING
            if self._gates:
                gating = job_gating(job, self._gates, directory=start.directory, say=log.warning)
            with self._journal() as journal:
                report = run_job(
                    job,
                    gating=gating,
                    observer=Quiet(),
                    stop=Stop(),
                    start=start,
                    journal=journal,
                    warn=problems.append,
                )
        results = ExperimentResults(report.results, gates=report.gates)
        if report.outcome == "passed":
            return results
        failure = ExperimentsFailed(mask("\n".join([*_summary(report), *problems])), results)
        log.error("%s", failure.message)
        raise failure

    def _make_client(self) -> Client | httpx.Client:
        """Return the given client, else a connection from the environment."""
        if self._client is not None:
            return self._client
        variables = phoenix_variables(os.environ)
        return phoenix.open_connection(phoenix.read_access(variables, api_key=api_key_from_file(variables)))

    @contextlib.contextmanager
    def _journal(self) -> Iterator[Journal | None]:
        if self._journal_dir is None or self._dry_run is not None:
            yield None
            return
        self._journal_dir.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(Journal.create(self._journal_dir, now=clocks.now())) as journal:
            yield journal


def _dry_run_count(dry_run: bool | int) -> int | None:
    if dry_run is False:
        return None
    if dry_run is not True and dry_run < 1:
        raise UsageError(f"dry_run = {dry_run}: expected True, False, or a number of examples of at least 1.")
    return int(dry_run)


def _summary(report: Report) -> list[str]:
    """Return a summary of the failed experiments and gates for the log; empty if all passed."""
    failed = [result for result in report.results if not result.passed]
    lines = [f"{len(failed)} of {len(report.results)} experiments failed"] if failed else []
    for result in failed:
        lines += [f"{result.name}:", *reports.console.failures(result, directory=Path.cwd())]
    gates = [gate for gate in report.gates if gate.source != "default"]
    red = [gate for gate in gates if gate.is_red]
    lines += [f"{len(red)} of {count(len(gates), 'gate')} failed"] if red else []
    return lines + [f"{gate.experiment}: {reports.gate_sentence(gate)}" for gate in red]
