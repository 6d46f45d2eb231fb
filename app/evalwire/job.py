"""A job of experiments from its beginning to its report and exit code: what `run` and `resume` share."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Self

from evalwire import __version__, ci, discovery, engine, progress, reports, testset
from evalwire.errors import (
    EvalwireError,
    Interrupted,
    NothingToRunError,
    PhoenixError,
    PhoenixRefused,
    PhoenixUnreachable,
    UsageError,
)
from evalwire.journal import Journal
from evalwire.model import Outcome, Report
from evalwire.runner import Plan, run_experiments
from evalwire.uploader import upload

if TYPE_CHECKING:
    from types import FrameType

    from evalwire.context import Context
    from evalwire.engine import JobResult
    from evalwire.gateway import Phoenix
    from evalwire.journal import PastJob
    from evalwire.model import Experiment

# A dataset that is not there is the user's to mend, and no outage.
_OUTAGES = {error.__name__ for error in (PhoenixError, PhoenixRefused, PhoenixUnreachable)} | {"RecordsMissing"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be done.

    Attributes:
        experiments: loaded.
        phoenix: where the datasets are, and where it is recorded.
        dry_run: so many examples of each experiment, recording nothing; None for all of them.
        past: the earlier job that this one goes on with, or None.
        retry_failed: try the failures of the earlier job again.
    """

    experiments: Sequence[Experiment]
    phoenix: Phoenix
    dry_run: int | None = None
    past: PastJob | None = None
    retry_failed: bool = False


def execute(
    context: Context,
    begin: Callable[[Signals], AbstractContextManager[Job]],
    *,
    journal: Journal | None = None,
    is_noted: bool = True,
) -> int:
    """Run a job and report; the exit code.

    Args:
        context: settings, streams, and how to reach Phoenix.
        begin: makes the job, with the experiments folder importable; its context lasts as long as the job runs.
        journal: of the earlier job that is gone on with; None for a new one.
        is_noted: whether there is a journal at all; a dry run, which sends nothing, has none.

    Raises:
        UsageError: a path that was named does not exist or cannot be written; nothing has run.
        EvalwireError: there is no Phoenix to talk to: a wrong address, or the local one did not start.
        Interrupted: a signal came before the engine ran, or a second one did.
    """
    reporter = Reporter(context)
    with Signals() as signals, _noted(context, journal, reporter.folder if is_noted else None) as notes:
        try:
            with exits_noticed(), discovery.importable(context.settings.experiments), begin(signals) as job:
                result = _run(context, job, replace(_plan(context, job), journal=notes), signals)
        except NothingToRunError as error:
            context.err.write(f"evalwire: {error}\n")
            return reporter.write_bare("nothing_to_run", 1)
        except UsageError:
            raise
        except EvalwireError as error:
            reporter.write_bare("infrastructure", error.exit_code)
            raise
        except Interrupted as error:
            reporter.write_bare("interrupted", error.exit_code)
            raise
        report = Report(
            outcome=_outcome(result, signals),
            exit_code=_exit_code(result, signals),
            results=tuple(result.results),
            started_at=reporter.started_at,
            seconds=reporter.seconds,
            dry_run=job.dry_run is not None,
            endpoint=job.phoenix.endpoint,
            evalwire_version=__version__,
            abandoned_threads=result.abandoned_threads,
            lost_spans=result.lost_spans,
            ci=ci.facts(context.environ),
            journal=_shown(notes.path) if notes and notes.is_whole else None,
        )
        context.learn_secrets()
        return reporter.write(report)


def load(context: Context, signals: Signals, names: Sequence[str] | None = None) -> tuple[Experiment, ...]:
    """Import the experiments of these names, or those that the settings select.

    Raises:
        NothingToRunError: there is none.
    """
    found = context.discover(names)
    context.learn_secrets()
    if signals.received is not None:  # an import of the user's may have caught it
        raise Interrupted(signals.received)
    root = context.settings.experiments
    for name in found.skipped:
        context.say(f"skipped {root}/{name}/: it has no task.py")
    if not found.experiments:
        raise NothingToRunError(
            f"no experiment in {root.resolve()}/, so there is nothing to run.\n"
            "An experiment is a folder in it with a task.py; in a container, mount your folder there."
        )
    return found.experiments


@contextlib.contextmanager
def reachable(context: Context, *, local: bool, with_testset: bool) -> Iterator[Phoenix]:
    """The Phoenix to run against; with `local`, one started for this job, that has the testset if that is asked for."""
    if not local:
        yield context.connect(None)
        return
    from evalwire import local as local_phoenix  # noqa: PLC0415 - only `--local` needs it

    with local_phoenix.phoenix(context.settings.local_dir, context.environ, announce=context.say) as server:
        phoenix = context.connect(server.url)
        if with_testset and context.settings.csv_path is not None:
            found = testset.read(context.settings.csv_path, context.columns())
            for note in found.notes:
                context.err.write(f"evalwire: {context.settings.csv_path}: {note}\n")
            # overwrite: this Phoenix is the project's own, and the file is the truth
            for result in upload(found, phoenix, on_exist="overwrite"):
                context.say(f"dataset {result.name}: {result.example_count} examples")
        yield phoenix


def _plan(context: Context, job: Job) -> Plan:
    settings, past = context.settings, job.past
    return Plan(
        limits=engine.Limits(
            concurrency=settings.concurrency,
            task_concurrency=settings.task_concurrency,
            timeout_seconds=settings.timeout_seconds,
            grace_seconds=settings.grace_seconds,
            retries=settings.retries,
            retry_on=settings.retry_on,
            max_failures=settings.max_failures,
        ),
        prefix=past.prefix if past else settings.prefix,
        metadata=past.metadata if past else ci.facts(context.environ),
        repetitions=past.repetitions if past else settings.repetitions,
        dry_run=job.dry_run,
        record_connections=settings.record_connections,
        mask=context.mask,
        past=past.past if past else {},
        retry_failed=job.retry_failed,
    )


@contextlib.contextmanager
def _noted(context: Context, journal: Journal | None, folder: Path | None) -> Iterator[Journal | None]:
    """The journal of the job, where there is a folder for it.

    A new one is there, empty, before user code is imported: a job that is killed meanwhile leaves a trace, so that
    `resume` does not take an older one for it.
    """
    if journal is None and folder is not None:
        try:
            journal = Journal.create(folder, now=datetime.now(UTC))
        except OSError as error:
            context.err.write(f"evalwire: no journal, so what Phoenix does not take is lost: {error}\n")
    try:
        yield journal
    finally:
        if journal is not None:
            if journal.is_empty:  # nothing ran
                journal.path.unlink(missing_ok=True)
            journal.close()


def _run(context: Context, job: Job, plan: Plan, signals: Signals) -> JobResult:
    if plan.journal is not None and plan.journal.is_empty:
        plan.begin(plan.journal, job.experiments, endpoint=job.phoenix.endpoint)
    observer: progress.Quiet | progress.Bars | progress.Lines
    if context.quiet:
        observer = progress.Quiet()
    elif context.err.isatty():
        observer = progress.Bars(context.err, mask=context.mask)
    else:
        observer = progress.Lines(context.err)
    try:
        with signals.stopping():
            result = run_experiments(job.experiments, job.phoenix, plan, observer=observer, stop=signals.stop)
    finally:
        observer.close()
    if plan.journal is not None:
        plan.journal.append("end", outcome=_outcome(result, signals), exit_code=_exit_code(result, signals))
    return result


def _shown(path: Path) -> str:
    """A path as the user may type it: relative to the working directory where it is below."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


# --- signals -------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Signals:
    """SIGINT and SIGTERM: the first stops the engine, if it runs; any other ends the command at once."""

    stop: engine.Stop = field(default_factory=engine.Stop)
    received: int | None = None
    _engine_runs: bool = False
    _before: dict[int, signal._HANDLER] = field(default_factory=dict)

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def stopping(self) -> Iterator[None]:
        """While the block runs, a first signal stops the engine instead of raising."""
        self._engine_runs = True
        try:
            yield
        finally:
            self._engine_runs = False

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature is Python's
        first, self.received = self.received is None, number
        self.stop.request()
        if not first or not self._engine_runs:
            raise Interrupted(number)


@contextlib.contextmanager
def exits_noticed() -> Iterator[None]:
    """Make `os._exit(0)` in user code red: it ends the process at once, and nothing could be reported.

    Forked children, which may use it as they like, are told by their process id.
    """
    leave, own = os._exit, os.getpid()

    def noticed(status: int) -> NoReturn:
        if os.getpid() != own:
            leave(status)
        os.write(2, f"\nevalwire: user code ended the process by os._exit({status}); the run is lost\n".encode())
        leave(status or 1)

    os._exit = noticed
    try:
        yield
    finally:
        os._exit = leave


# --- the report ----------------------------------------------------------------------------------------


def _outcome(job: JobResult, signals: Signals) -> Outcome:
    if job.interrupted or signals.received is not None:
        return "interrupted"
    if job.passed:
        return "passed"
    types = {failure.type for result in job.results for failure in result.failures}
    return "infrastructure" if types and types <= _OUTAGES else "errors"


def _exit_code(job: JobResult, signals: Signals) -> int:
    if signals.received is not None:
        return 128 + signals.received
    return 0 if job.passed else 1


class Reporter:
    """Writes what a run came to: the file first, then the screen, so that a closed pipe does not cost the file."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._working_directory = Path.cwd()  # user code may change it
        self.started_at = datetime.now(UTC)
        self.folder = self._make_folder()
        self._file = self.folder / "results.json" if self.folder else None
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the command began."""
        return time.monotonic() - self._began

    def _make_folder(self) -> Path | None:
        """The report folder, without results.json of an earlier run; None when the default one cannot be written.

        Raises:
            UsageError: the folder that was asked for cannot be written.
        """
        settings = self._context.settings
        directory: Path = settings.report_dir.absolute()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if not os.access(directory, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            (directory / "results.json").unlink(missing_ok=True)
        except OSError as error:
            reason = f"the report folder {settings.report_dir} cannot be written: {error.strerror}."
            if settings.source("report_dir") != "default":
                raise UsageError(
                    f"{reason}\nMake it beforehand, owned by user {os.getuid()} (a folder that Docker makes "
                    "for a mount belongs to root), or name another one."
                ) from error
            self._context.err.write(
                f"evalwire: no report and no journal are written, so what Phoenix does not take is lost: {reason}\n"
            )
            return None
        return directory

    def write_bare(self, outcome: Outcome, exit_code: int) -> int:
        """Leave a report of a run that has no results; its exit code."""
        report = Report(
            outcome=outcome,
            exit_code=exit_code,
            results=(),
            started_at=self.started_at,
            seconds=self.seconds,
            evalwire_version=__version__,
            ci=ci.facts(self._context.environ),
        )
        self._write_file(report)
        return exit_code

    def write(self, report: Report) -> int:
        """Write the report and show it; its exit code, which is not 0 when nobody could be told."""
        context = self._context
        told = self._write_file(report)
        from evalwire.reports import console  # noqa: PLC0415 - rich, after the work

        text = console.render(
            report,
            color=context.color,
            width=context.width,
            verbose=context.verbose,
            mask=context.mask,
            folder=self._working_directory,
        )
        try:
            context.out.write(text)
            context.out.flush()
        except (OSError, ValueError) as error:
            context.err.write(f"evalwire: the result cannot be shown: {error}\n")
            told = False
        for number, what in (
            (report.abandoned_threads, "plain functions did not return in time; their threads were left behind"),
            (report.lost_spans, "spans could not be delivered; runs and scores are not affected"),
        ):
            if number:
                context.err.write(f"evalwire: {number} {what}\n")
        if self._file is not None and told:
            context.say(f"report: {context.settings.report_dir / self._file.name}")
        return report.exit_code if told else report.exit_code or 1

    def _write_file(self, report: Report) -> bool:
        """Write results.json, where there is a folder for it; False when that failed."""
        from evalwire.reports import results_json  # noqa: PLC0415 - after the work

        if self._file is None:
            return True
        try:
            reports.write(self._file, results_json.pieces(report), mask=self._context.mask)
        except OSError as error:
            self._context.err.write(f"evalwire: {self._file} cannot be written: {error}\n")
            return False
        return True
