"""Take a job from its beginning to its report and exit code: what `run` and `resume` share."""

from __future__ import annotations

import contextlib
import shlex
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING

from evalwire import clocks
from evalwire.errors import EvalwireError, Interrupted, NothingToRunError, PhoenixMisconfigured, UsageError
from evalwire.experiments import importable
from evalwire.jobs.crash import JobPlace
from evalwire.jobs.gating import job_gating
from evalwire.jobs.progress import progress_of
from evalwire.jobs.report_writer import ReportWriter
from evalwire.jobs.run import Job, run_job
from evalwire.jobs.signals import Signals, failing_exits
from evalwire.jobs.unchanged import check_unchanged
from evalwire.masking import masked
from evalwire.recording import Journal, unfinished_journal
from evalwire.usercode import in_one_process

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
        settings: of the job.
        environ: the environment, the `.env` file merged into it.
        console: the streams.
        begin: makes the job, with the experiments folder importable; its context lasts as long as the job runs.
        announce: receives the text of the `JobPlace`, before any user code is imported.
        journal: the journal of the earlier job that is resumed; None for a new one.
        has_journal: whether there is a journal at all; a dry run, which records nothing, has none.
        shard: the part of every experiment that is run, which the reports have in their names; None for all.

    Raises:
        UsageError: a path that was named does not exist or cannot be written; nothing has run.
        EvalwireError: there is no Phoenix to talk to: a wrong address, or the local one did not start.
        Interrupted: a signal came before the engine ran, or a second one did.
    """
    writer = ReportWriter(settings, environ, console, shard=shard, is_dry_run=not has_journal)
    folder = writer.files.folder if has_journal else None
    if journal is None and shard is None and folder is not None and (left := unfinished_journal(folder)):
        path = shlex.quote(writer.start.shown(left))
        console.say(f"an earlier job did not finish: `evalwire resume {path}` goes on with it; this is a new run")
    code: int | None = None  # once the report is written
    with Signals() as signals, writer.files.held(), _journal(console, journal, folder) as own_journal:
        announce(JobPlace.of(writer, own_journal.path if own_journal else None).to_text())
        try:
            with failing_exits(), importable(settings.experiments), begin(signals) as begun:
                job = check_unchanged(begun, say=console.say)
                gating = job_gating(job, settings, say=console.say)
                job = _stopping_what_fails(job, gating)
                writer.remove_earlier()
                with progress_of(console) as observer, in_one_process():
                    report = run_job(
                        job,
                        gating=gating,
                        observer=observer,
                        stop=signals.stop,
                        start=writer.start,
                        journal=own_journal,
                        warn=console.warn,
                        say=console.say,
                    )
                # before a local Phoenix is ended, which may take longer than there is
                code = writer.write(masked(report, console.mask))
        except NothingToRunError as error:
            console.warn(str(error))
            return writer.write_bare("nothing_to_run", 1)
        except PhoenixMisconfigured as error:
            writer.write_bare("infrastructure", error.exit_code)  # no earlier report may pass for this job's
            raise
        except UsageError:
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
        except SystemExit as asked:  # raised by a signal handler of user code; exit code 0 is not a success
            console.warn(f"user code asked the process to exit (SystemExit: {asked.code}); the job is interrupted")
            return code or 1 if code is not None else writer.write_bare("interrupted", 1)
        return code


def _stopping_what_fails(job: Job, gating: Gating) -> Job:
    """Have each experiment of which no error is tolerated end when its first runs all fail alike."""
    tolerant = {gate.experiment for gate in gating.gates if gate.rule == "max_error_rate" and gate.threshold > 0}
    if not job.is_judged:  # the gates of a shard are judged elsewhere
        return job
    names = frozenset(one.name for one in job.experiments if one.name not in tolerant)
    return replace(job, limits=replace(job.limits, stop_failing=names))


@contextlib.contextmanager
def _journal(console: Console, journal: Journal | None, folder: Path | None) -> Iterator[Journal | None]:
    """Give the journal of the job, where there is a folder for it.

    A new journal is there, empty, before user code is imported: a job that is killed meanwhile leaves a trace, so that
    `resume` does not take an older journal for it.
    """
    if journal is None and folder is not None:
        try:
            journal = Journal.create(folder, now=clocks.now())
        except OSError as error:
            console.warn(f"Cannot create a journal: results that Phoenix does not accept will be lost: {error}")
    try:
        yield journal
    finally:
        if journal is not None:
            if journal.is_empty:  # nothing ran
                journal.path.unlink(missing_ok=True)
            journal.close()
