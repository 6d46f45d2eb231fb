"""Take a job from its start to its report and exit code, for `run` and `resume`."""

from __future__ import annotations

import contextlib
import shlex
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING

from evalwire import clocks
from evalwire.errors import (
    EvalwireError,
    Interrupted,
    NothingToRunError,
    PhoenixMisconfigured,
    TestsetError,
    UsageError,
)
from evalwire.experiments import importable
from evalwire.jobs.crash import JobPlace
from evalwire.jobs.early import with_early_verdicts
from evalwire.jobs.forecast import refusal, unused_budget, with_forecast
from evalwire.jobs.gating import job_gating
from evalwire.jobs.progress import progress_of
from evalwire.jobs.report_writer import ReportWriter
from evalwire.jobs.run import Job, run_job
from evalwire.jobs.signals import Signals, failing_exits
from evalwire.jobs.unchanged import check_unchanged
from evalwire.masking import masked
from evalwire.recording import Journal, unfinished_journal
from evalwire.usercode import single_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from evalwire.jobs.console import Console
    from evalwire.jobs.gating import Gating
    from evalwire.model import Shard
    from evalwire.settings import Settings


def run_and_report(
    settings: Settings,
    environ: Mapping[str, str],
    console: Console,
    begin: Callable[[Signals], AbstractContextManager[Job]],
    *,
    announce: Callable[[str], object],
    journal: Journal | None = None,
    has_journal: bool = True,
    shard: Shard | None = None,
) -> int:
    """Run a job and write its report; return the exit code.

    Args:
        settings: settings of the job.
        environ: the environment, with the `.env` file merged in.
        console: the standard streams.
        begin: creates the job while the experiments directory is importable; the job runs within its context.
        announce: receives the text of the `JobPlace` before user code is imported.
        journal: the journal of the resumed job; None for a new journal.
        has_journal: whether the job has a journal; False for a dry run.
        shard: the shard to run, which file names of reports contain; None for all examples.

    Raises:
        UsageError: a given path does not exist or cannot be written; nothing has run.
        TestsetError: the testset to upload has errors; nothing has run.
        EvalwireError: Phoenix cannot be reached, or the local Phoenix did not start.
        Interrupted: a signal arrived before the engine started, or a second signal arrived.
    """
    writer = ReportWriter(settings, environ, console, shard=shard, is_dry_run=not has_journal)
    directory = writer.files.directory if has_journal else None
    is_new = journal is None and shard is None
    _note_unfinished(console, writer, directory if is_new else None)
    code: int | None = None  # set when the report is written
    with Signals() as signals, writer.files.reserved(), _journal(console, journal, directory) as own_journal:
        announce(JobPlace.of(writer, own_journal.path if own_journal else None).to_text())
        try:
            with failing_exits(), importable(settings.experiments), begin(signals) as requested:
                job = check_unchanged(requested, say=console.say)
                gating = job_gating(job, settings, directory=writer.start.directory, say=console.say)
                job = with_early_verdicts(_stopping_what_fails(job, gating), gating, settings, say=console.say)
                job, gating = with_forecast(job, gating, settings, say=console.say)
                if is_new and (reason := refusal(gating.forecast, job.limits.budget, start=settings.budget_start)):
                    console.warn(reason)
                    return writer.write_bare("out_of_budget", 1, budget=unused_budget(job, gating))
                writer.remove_earlier()
                with progress_of(console, settings.prices) as (observer, shown), single_process():
                    report = run_job(
                        job,
                        gating=gating,
                        observer=observer,
                        stop=signals.stop,
                        start=writer.start,
                        journal=own_journal,
                        warn=shown.warn,
                        say=shown.say,
                    )
                # before the local Phoenix stops, which may take longer than the grace period
                code = writer.write(masked(report, console.mask), gates=gating.gates)
        except NothingToRunError as error:
            console.warn(str(error))
            return writer.write_bare("nothing_to_run", 1)
        except PhoenixMisconfigured as error:
            writer.write_bare(
                "infrastructure", error.exit_code
            )  # an earlier report must not be taken for the report of this job
            raise
        except (UsageError, TestsetError):
            raise
        except EvalwireError as error:
            if code is not None:
                console.warn(str(error))
                return code
            writer.write_bare("infrastructure", error.exit_code)
            raise
        except Interrupted as error:
            if code is not None:
                return code
            writer.write_bare("interrupted", error.exit_code)
            raise
        except SystemExit as asked:  # from a signal handler of user code; exit code 0 is not a success
            console.warn(f"a signal handler of your code called sys.exit({asked.code}), so the job is interrupted")
            return code or 1 if code is not None else writer.write_bare("interrupted", 1)
        return code


def _note_unfinished(console: Console, writer: ReportWriter, directory: Path | None) -> None:
    """Name the journal of an unfinished job in the report directory; None for a job that does not look for it."""
    if directory is not None and (left := unfinished_journal(directory)):
        path = shlex.quote(writer.start.shown(left))
        console.say(
            f"an earlier job did not finish. To resume it, run `evalwire resume {path}`. evalwire now starts a new job"
        )


def _stopping_what_fails(job: Job, gating: Gating) -> Job:
    """Stop experiments early if their first runs all fail in the same way, unless a gate tolerates errors."""
    tolerant = {gate.experiment for gate in gating.gates if gate.rule == "max_error_rate" and gate.threshold > 0}
    if not job.ends_experiments:  # the gates of a shard are applied after the merge
        return job
    names = frozenset(experiment.name for experiment in job.experiments if experiment.name not in tolerant)
    return replace(job, limits=replace(job.limits, stop_failing=names))


@contextlib.contextmanager
def _journal(console: Console, journal: Journal | None, directory: Path | None) -> Iterator[Journal | None]:
    """Yield the journal of the job; None without a directory for it.

    An empty journal is created before user code is imported. If the job is killed during the import, `resume` finds
    this journal instead of an older journal.
    """
    if journal is None and directory is not None:
        try:
            journal = Journal.create(directory, now=clocks.now())
        except OSError as error:
            console.warn(f"cannot create a journal: {error}. Results that Phoenix does not accept will be lost")
    try:
        yield journal
    finally:
        if journal is not None:
            if journal.is_empty:  # nothing ran
                journal.path.unlink(missing_ok=True)
            journal.close()
