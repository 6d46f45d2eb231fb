"""Run a job: its parts, gates and outcome, for commands and for scripts."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from evalwire import clocks
from evalwire._version import __version__
from evalwire.errors import EvalwireError, Interrupted
from evalwire.experiments import digest_today
from evalwire.jobs.budget import budget_use
from evalwire.jobs.durations import earlier_seconds, with_earlier_time
from evalwire.jobs.example_selection import partial_run
from evalwire.jobs.gating import Applied
from evalwire.jobs.outcome import decide_outcome, exit_code_of, record_outcomes
from evalwire.jobs.parts import run_parts
from evalwire.model import Report
from evalwire.settings import is_ci, origin_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from evalwire.engine import Limits, Observer, Stop
    from evalwire.jobs.gating import Gating
    from evalwire.jobs.parts import PartResult
    from evalwire.jobs.variants.process import VariantProcess
    from evalwire.masking import Mask
    from evalwire.model import (
        BudgetUse,
        Experiment,
        ExperimentResult,
        GateResult,
        History,
        JobSpec,
        Outcome,
        PartialRun,
        Price,
        VariantComparison,
    )
    from evalwire.phoenix import Phoenix
    from evalwire.recording import EvaluatorTraces, Journal, PastExperiment

PARTIAL_IN_CI = (
    "a partial run does not pass in CI while gates are configured, because the gates are not applied. Run all "
    "examples, or add --allow-partial"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job that is ready to run.

    Attributes:
        experiments: the loaded experiments.
        phoenix: the server of the datasets and results.
        spec: the specification of the job.
        limits: limits on concurrency, time and retries.
        environ: the environment at the start of the job.
        mask: replaces secrets.
        dry_run: the number of examples per experiment to run without recording; None for a real run.
        record_connections: the number of parallel requests that record results.
        trace_evaluators: the calls of evaluators to trace, as in `Tracing`.
        past: by name, experiments of a resumed job or of a plan, or the recorded outputs that the job scores.
        retry_failed: whether to retry failures of the earlier job.
        accept_changes: whether to continue after changes to code or examples.
        allow_partial: whether a partial run may pass in CI although gates are configured.
        processes: by experiment, the processes of variants; the other experiments run in this process.
    """

    experiments: Sequence[Experiment]
    phoenix: Phoenix
    spec: JobSpec
    limits: Limits
    environ: Mapping[str, str]
    mask: Mask
    dry_run: int | None = None
    record_connections: int = 4
    trace_evaluators: EvaluatorTraces = "auto"
    past: Mapping[str, PastExperiment] = field(default_factory=dict)
    retry_failed: bool = False
    accept_changes: bool = False
    allow_partial: bool = False
    processes: Mapping[str, VariantProcess] = field(default_factory=dict)

    @property
    def ends_experiments(self) -> bool:
        """Check whether the experiments end with the job: not in a dry run, and of shards only after their merge."""
        return self.dry_run is None and self.spec.sharing is None

    def passes_partial(self, gating: Gating) -> bool:
        """Check whether a partial run may end with exit code 0: in CI, it could be taken for a run with its gates."""
        return self.allow_partial or self.dry_run is not None or not gating.gates or not is_ci(self.environ)


@dataclass(frozen=True, slots=True)
class JobStart:
    """The time and directory in which a job started.

    Attributes:
        at: the date and time.
        monotonic: the time in seconds of the monotonic clock.
        directory: the working directory, which user code may change later.
    """

    at: datetime = field(default_factory=clocks.now)
    monotonic: float = field(default_factory=clocks.monotonic)
    directory: str = field(default_factory=lambda: str(Path.cwd()))

    @property
    def seconds(self) -> float:
        """Return the seconds since the start."""
        return clocks.monotonic() - self.monotonic

    def shown(self, path: Path) -> str:
        """Return a path as the user can type it: relative to the working directory if it is inside."""
        with contextlib.suppress(ValueError):
            return str(path.relative_to(self.directory))
        return str(path)


def run_job(
    job: Job,
    *,
    gating: Gating,
    observer: Observer,
    stop: Stop,
    start: JobStart,
    journal: Journal | None = None,
    warn: Callable[[str], object],
    say: Callable[[str], object] = lambda _: None,
) -> Report:
    """Run a job and return its report; the experiments directory must be importable.

    An interrupted job records no outcomes in Phoenix, because `docker stop` kills the process after ten seconds and a
    slow Phoenix could prevent the report. An experiment without an outcome is never a baseline. `resume` adds the
    outcome.

    Args:
        job: the job to run.
        gating: the gates and baselines, resolved before the run.
        observer: receives progress events.
        stop: ends the job early.
        start: the time and directory of the start.
        journal: written before results are sent; None for no journal.
        warn: receives problems at the end of the job.
        say: receives the cost of rescoring baselines before they are rescored.
    """
    if journal is not None and journal.is_empty:
        journal.begin(job.spec, job.experiments, endpoint=job.phoenix.endpoint, past=job.past)
    job = _with_budget(job, start, journal)
    with stop.heeded():
        made = run_parts(job, gating=gating, observer=observer, stop=stop, journal=journal, say=say)
    results = with_earlier_time(made.results, start.at)
    is_over = job.ends_experiments
    applied = gating.apply(results, today=digest_today, usage=made.usage) if is_over else Applied()
    gates = applied.gates
    job.mask.learn(os.environ)  # user code may have loaded secrets
    partial = partial_run(job.spec.selection, results, gates=len(gating.gates))
    outcome = decide_outcome(results, gates, interrupted=stop.requested, is_partial=partial is not None)
    seconds = start.seconds + earlier_seconds(results, start.at)
    budget = budget_use(job.limits.budget, made.made, results, seconds=seconds, forecast=gating.forecast)
    if is_over and not stop.requested:
        outcome = _record_outcomes(job, results, gates, outcome, warn, budget=budget)
    code = exit_code_of(outcome, signal_number=stop.signal_number, passes_partial=job.passes_partial(gating))
    if outcome == "partial" and code:
        warn(PARTIAL_IN_CI)
    if journal is not None:
        journal.end(outcome, code)
    return _report(
        job,
        made,
        results,
        applied,
        history=gating.history,
        variants=gating.compare_variants(results) if is_over else (),
        outcome=outcome,
        exit_code=code,
        prices=gating.prices,
        partial=partial,
        budget=budget,
        start=start,
        journal=journal,
    )


def _with_budget(job: Job, start: JobStart, journal: Journal | None) -> Job:
    """Return a job with the deadline of its budget, and write the budget to the journal."""
    budget = job.limits.budget.started_at(start.monotonic)
    if journal is not None:
        journal.limit(budget)
    return replace(job, limits=replace(job.limits, budget=budget))


def _record_outcomes(
    job: Job,
    results: Sequence[ExperimentResult],
    gates: Sequence[GateResult],
    outcome: Outcome,
    warn: Callable[[str], object],
    *,
    budget: BudgetUse | None,
) -> Outcome:
    """Record the outcome of each experiment; a failure to record fails the job."""
    try:
        record_outcomes(job.phoenix.experiments, results, gates, budget=budget)
    except Interrupted:
        return "interrupted"
    except EvalwireError as error:
        warn(str(error))
        return "infrastructure" if outcome in ("passed", "partial") else outcome
    return outcome


def _report(
    job: Job,
    made: PartResult,
    results: Sequence[ExperimentResult],
    applied: Applied,
    *,
    history: tuple[History, ...],
    variants: tuple[VariantComparison, ...],
    outcome: Outcome,
    exit_code: int,
    prices: Mapping[str, Price],
    partial: PartialRun | None,
    budget: BudgetUse | None,
    start: JobStart,
    journal: Journal | None,
) -> Report:
    sharing = job.spec.sharing
    return Report(
        outcome=outcome,
        exit_code=exit_code,
        results=tuple(results),
        started_at=start.at,
        seconds=start.seconds + earlier_seconds(results, start.at),
        dry_run=job.dry_run is not None,
        endpoint=job.phoenix.endpoint,
        evalwire_version=__version__,
        abandoned_threads=made.abandoned_threads,
        lost_spans=made.lost_spans,
        journal=start.shown(journal.path) if journal is not None and journal.is_whole else None,
        ci=origin_metadata(job.environ, start.directory),
        gates=applied.gates,
        baselines=applied.baselines,
        calibrations=applied.calibrations,
        history=history,
        variants=variants,
        prices=prices,
        directory=start.directory,
        shard=sharing.shard if sharing else None,
        partial=partial,
        budget=budget,
    )
