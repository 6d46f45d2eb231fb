"""Run the experiments of a job that share a process: compose recorder, tracing and engine."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evalwire import recording
from evalwire.engine import EarlierRuns, run_engine
from evalwire.experiments import read_inputs
from evalwire.jobs.early import GateWatches
from evalwire.jobs.journal_inputs import JournalWithInputs
from evalwire.jobs.rescoring import RescoredResults, rescore_baselines
from evalwire.model import with_inputs
from evalwire.recording import (
    CreateExperiments,
    DryRunRecorder,
    FindSharedExperiments,
    NoJournal,
    NoTracing,
    PhoenixRecorder,
    ResumeExperiments,
    ShareExperiments,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from evalwire.engine import EngineResult, Observer, Recorder, Stop, Tracer
    from evalwire.jobs.gating import Gating
    from evalwire.jobs.run import Job
    from evalwire.model import ExperimentResult, JobSpec, Usage
    from evalwire.recording import Journal, JournalWriter, Opener, PastExperiment, Server

_FLUSH_SECONDS = 10.0
_LATE_FLUSH_SECONDS = 0.5  # after an interruption: `docker stop` kills after 10 s, and the grace period took 8 s


@dataclass(frozen=True, slots=True, kw_only=True)
class PartResult:
    """The result of a part of a job.

    Attributes:
        results: results of the experiments, with their inputs and the current scores of their baselines.
        usage: token usage of rescoring, by experiment and evaluator.
        abandoned_threads: the number of plain functions that were still running after their timeout.
        lost_spans: the number of spans that could not be delivered.
        made: the runs of the job so far.
    """

    results: Sequence[ExperimentResult]
    usage: Mapping[tuple[str, str], Usage | None] = field(default_factory=dict)
    abandoned_threads: int = 0
    lost_spans: int = 0
    made: EarlierRuns = field(default_factory=EarlierRuns)

    def with_part(self, later: PartResult) -> PartResult:
        """Return the result with another part of the same job, which ran after this part."""
        return PartResult(
            results=[*self.results, *later.results],
            usage={**self.usage, **later.usage},
            abandoned_threads=self.abandoned_threads + later.abandoned_threads,
            lost_spans=self.lost_spans + later.lost_spans,
            made=later.made,
        )


def run_parts(
    job: Job,
    *,
    gating: Gating,
    observer: Observer,
    stop: Stop,
    journal: Journal | None,
    say: Callable[[str], object],
) -> PartResult:
    """Run the experiments of this process, then each variant in its own process; return all results in order.

    Only a single process runs at a time, so that the limits of the job hold for all of them together.

    Args:
        job: the job.
        gating: the gates and baselines, resolved before the run.
        observer: receives progress events.
        stop: ends the job early; the caller declares that it is heeded.
        journal: written before results are sent; None for no journal.
        say: receives the cost of rescoring baselines before they are rescored.
    """
    here = [experiment for experiment in job.experiments if experiment.name not in job.processes]
    made = PartResult(results=())
    if here or not job.experiments:
        made = run_part(
            replace(job, experiments=here), gating=gating, observer=observer, stop=stop, journal=journal, say=say
        )
    for experiment in job.experiments:
        if (process := job.processes.get(experiment.name)) is not None:
            part = process.run(
                job,
                experiment,
                gating=gating,
                observer=observer,
                stop=stop,
                journal=journal,
                earlier=made.made,
                say=say,
            )
            made = made.with_part(part)
    by_name = {result.name: result for result in made.results}
    return replace(made, results=[by_name[experiment.name] for experiment in job.experiments])


def run_part(
    job: Job,
    *,
    gating: Gating,
    observer: Observer,
    stop: Stop,
    journal: Journal | None,
    earlier: EarlierRuns | None = None,
    say: Callable[[str], object],
) -> PartResult:
    """Run experiments in this process, and score their baselines again; the experiments must be importable.

    Args:
        job: the job, with the experiments to run.
        gating: the gates and baselines, resolved before the run.
        observer: receives progress events.
        stop: ends the job early; the caller declares that it is heeded.
        journal: written before results are sent; None for no journal.
        earlier: the runs of the job in other processes; None for none.
        say: receives the cost of rescoring baselines before they are rescored.
    """
    writer = JournalWithInputs(journal) if journal is not None else NoJournal()
    with _recorder(job, writer, stop) as (recorder, tracer):
        result = run_engine(
            job.experiments,
            recorder=recorder,
            tracer=tracer,
            observer=observer,
            limits=job.limits,
            stop=stop,
            early=GateWatches(gating=gating, rules=job.spec.stopping) if job.spec.stopping else None,
            earlier=earlier,
        )
        rescored = _rescore(job, result, gating, tracer=tracer, observer=observer, stop=stop, say=say, journal=journal)
    return PartResult(
        results=rescored.results,
        usage=rescored.usage,
        abandoned_threads=result.abandoned_threads,
        lost_spans=tracer.lost,
        made=rescored.made,
    )


def _rescore(
    job: Job,
    result: EngineResult,
    gating: Gating,
    *,
    tracer: Tracer,
    observer: Observer,
    stop: Stop,
    say: Callable[[str], object],
    journal: Journal | None,
) -> RescoredResults:
    """Add the inputs of each experiment to its result, and rescore baselines with changed evaluators."""
    results = [
        with_inputs(original, read_inputs(experiment))
        for experiment, original in zip(job.experiments, result.results, strict=True)
    ]
    if job.dry_run is not None:
        return RescoredResults(results=results, made=result.made)
    with contextlib.closing(_phoenix_recorder(job, NoJournal())) as recorder:
        return rescore_baselines(
            job.experiments,
            results,
            gating,
            recorder=recorder,
            tracer=tracer,
            limits=job.limits,
            stop=stop,
            observer=observer,
            made=result.made,
            say=say,
            on_paid=journal.paid if journal is not None else lambda _name, _usage: None,
        )


@contextlib.contextmanager
def _recorder(job: Job, journal: JournalWriter, stop: Stop) -> Iterator[tuple[Recorder, Tracer]]:
    """Yield the recorder and tracer of the job; a dry run records nothing."""
    if job.dry_run is not None:
        with contextlib.closing(DryRunRecorder(job.phoenix.datasets, job.spec, examples=job.dry_run)) as dry:
            if job.limits.budget.limits_usage:  # the calls are traced for their usage only
                unsent = recording.Tracing(_discard, mask=job.mask, unrecorded_project="dry run")
                with unsent.installed():
                    yield dry, unsent
            else:
                yield dry, NoTracing()
        return
    tracing = recording.Tracing(job.phoenix.spans.deliver, mask=job.mask, evaluators=job.trace_evaluators)
    recorder = _phoenix_recorder(job, journal)

    def flush_seconds() -> float:
        return _LATE_FLUSH_SECONDS if stop.requested else _FLUSH_SECONDS

    with contextlib.closing(recorder), tracing.installed(flush_seconds=flush_seconds):
        yield recorder, tracing


def _discard(request: bytes, spans: int) -> int:
    """Send nothing."""
    del request, spans
    return 0


def _phoenix_recorder(job: Job, journal: JournalWriter) -> PhoenixRecorder:
    limits = job.limits
    calls = {"timeout": limits.timeout_seconds, "retries": limits.retries, "retry_on": sorted(limits.retry_on)}
    spec = replace(job.spec, calls=calls)
    return PhoenixRecorder(
        job.phoenix,
        opener(job.phoenix, spec, journal, past=job.past, retry_failed=job.retry_failed),
        journal=journal,
        connections=job.record_connections,
        mask=job.mask,
    )


def opener(
    server: Server,
    spec: JobSpec,
    journal: JournalWriter,
    *,
    past: Mapping[str, PastExperiment],
    retry_failed: bool = False,
) -> Opener:
    """Return the opener that creates, resumes or shares experiments in Phoenix."""
    creation = CreateExperiments(server, spec, journal)
    resumption = ResumeExperiments(server, spec, journal, creation=creation, past=past, retry_failed=retry_failed)
    if spec.sources:
        return recording.ScoreExperiments(resumption, past)
    sharing = spec.sharing
    if sharing is None or sharing.run_key is None:
        return resumption
    finder = FindSharedExperiments(server, spec, run_key=sharing.run_key)
    return ShareExperiments(server, finder=finder, sharing=sharing, creation=creation, resumption=resumption, past=past)
