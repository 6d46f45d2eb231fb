"""A job of experiments from its beginning to its report and exit code: what `run` and `resume` share."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Self

from evalwire import reports
from evalwire._version import __version__
from evalwire.datasets import check_testset, describe_issues, execute_upload, prepare_uploads
from evalwire.engine import Limits, Stop
from evalwire.errors import EvalwireError, Interrupted, NothingToRunError, UsageError
from evalwire.experiments import importable
from evalwire.gates import BaselineChoice, BaselineQuery, branches_for, unjudged_gates
from evalwire.jobs.gating import GateRequest, Gating, known_names, prepare_gating
from evalwire.jobs.progress import Bars, Lines, Quiet
from evalwire.jobs.run import JobPlan, note_ends, run_experiments
from evalwire.masking import masked
from evalwire.model import Outcome, Report, evaluator_hashes
from evalwire.recording import Journal
from evalwire.settings import ci_metadata

if TYPE_CHECKING:
    from types import FrameType

    from evalwire.engine import JobResult
    from evalwire.jobs.context import Context
    from evalwire.model import Experiment, ExperimentResult, Shard
    from evalwire.phoenix import Phoenix
    from evalwire.recording import PastJob, Sharing


# A dataset that is not there is the user's to mend, and no outage.
_OUTAGES = {"PhoenixError", "PhoenixRefused", "PhoenixUnreachable", "RecordsMissing", "RunTaken"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be done.

    Attributes:
        experiments: loaded.
        phoenix: where the datasets are, and where it is recorded.
        dry_run: so many examples of each experiment, recording nothing; None for all of them.
        past: the earlier job that this one goes on with, or None.
        retry_failed: try the failures of the earlier job again.
        sharing: with the jobs that run other shards; None for a job that runs everything.
    """

    experiments: Sequence[Experiment]
    phoenix: Phoenix
    dry_run: int | None = None
    past: PastJob | None = None
    retry_failed: bool = False
    sharing: Sharing | None = None


def execute(
    context: Context,
    begin: Callable[[Signals], AbstractContextManager[Job]],
    *,
    journal: Journal | None = None,
    is_noted: bool = True,
    shard: Shard | None = None,
) -> int:
    """Run a job and report; the exit code.

    Args:
        context: settings, streams, and how to reach Phoenix.
        begin: makes the job, with the experiments folder importable; its context lasts as long as the job runs.
        journal: of the earlier job that is gone on with; None for a new one.
        is_noted: whether there is a journal at all; a dry run, which sends nothing, has none.
        shard: the part of every experiment that is run, which the reports have in their names; None for all.

    Raises:
        UsageError: a path that was named does not exist or cannot be written; nothing has run.
        EvalwireError: there is no Phoenix to talk to: a wrong address, or the local one did not start.
        Interrupted: a signal came before the engine ran, or a second one did.
    """
    reporter = Reporter(context, shard)
    code: int | None = None  # once the report is written
    with Signals() as signals, _noted(context, journal, reporter.folder if is_noted else None) as notes:
        try:
            with exits_noticed(), importable(context.settings.experiments), begin(signals) as job:
                judge = _judge(context, job)
                result = _run(context, job, replace(_plan(context, job), journal=notes), signals)
                report = _conclude(context, job, judge, result, signals)
                if notes is not None:
                    notes.append("end", outcome=report.outcome, exit_code=report.exit_code)
                report = replace(
                    report,
                    started_at=reporter.started_at,
                    seconds=reporter.seconds,
                    directory=reporter.directory,
                    shard=shard,
                    journal=_shown(notes.path) if notes and notes.is_whole else None,
                )
                code = reporter.write(report)  # before a local Phoenix is ended, which may take longer than there is
        except NothingToRunError as error:
            context.err.write(f"evalwire: {error}\n")
            return reporter.write_bare("nothing_to_run", 1)
        except UsageError:
            raise
        except EvalwireError as error:
            if code is not None:
                context.err.write(f"evalwire: {error}\n")
                return code
            reporter.write_bare("infrastructure", error.exit_code)
            raise
        except Interrupted as error:
            if code is not None:
                return code
            reporter.write_bare("interrupted", error.exit_code)
            raise
        return code


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


def selected(context: Context, names: Sequence[str], *, of: str) -> list[str]:
    """The experiments of an earlier job or of a plan that the settings select: all, unless some are named.

    Raises:
        UsageError: one that is named is not among them.
    """
    wanted = context.settings.names
    for name in wanted:
        if name not in names:
            raise UsageError(f"the {of} had no experiment {name!r}; it had: {', '.join(names)}.")
    return [name for name in names if name in wanted] if wanted else list(names)


@contextlib.contextmanager
def reachable(context: Context, *, local: bool, with_testset: bool) -> Iterator[Phoenix]:
    """The Phoenix to run against; with `local`, one started for this job, that has the testset if that is asked for."""
    if not local:
        yield context.connect(None)
        return
    from evalwire.phoenix import local_phoenix  # noqa: PLC0415 - only `--local` needs it

    with local_phoenix(context.settings.local_dir, context.environ, announce=context.say) as server:
        phoenix = context.connect(server.url)
        if with_testset and context.settings.csv_path is not None:
            path, columns = context.testset_path(), context.columns()
            inspection = check_testset(path, columns)
            for line in describe_issues(inspection.of("row")):
                context.err.write(f"evalwire: {path}: {line}\n")
            # overwrite: this Phoenix is the project's own, and the file is the truth
            for upload in prepare_uploads(path, columns, inspection.sizes, phoenix.uploads, on_exist="overwrite"):
                execute_upload(phoenix.uploads, upload)
                context.say(f"dataset {upload.name}: {upload.example_count} examples")
        yield phoenix


def _plan(context: Context, job: Job) -> JobPlan:
    settings, past = context.settings, job.past
    return JobPlan(
        limits=Limits(
            concurrency=settings.concurrency,
            task_concurrency=settings.task_concurrency,
            timeout_seconds=settings.timeout_seconds,
            grace_seconds=settings.grace_seconds,
            retries=settings.retries,
            retry_on=settings.retry_on,
            max_failures=settings.max_failures,
        ),
        prefix=past.prefix if past else settings.prefix,
        metadata=past.metadata if past else ci_metadata(context.environ),
        repetitions=past.repetitions if past else settings.repetitions,
        split=past.split if past else settings.split,
        dataset_version=past.dataset_version if past else settings.dataset_version,
        gates=settings.gate or (past.gates if past else ()),
        baseline=str(settings.baseline or (past.baseline if past else "")),
        dry_run=job.dry_run,
        record_connections=settings.record_connections,
        mask=context.mask,
        past=past.past if past else {},
        retry_failed=job.retry_failed,
        sharing=job.sharing,
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


def _run(context: Context, job: Job, plan: JobPlan, signals: Signals) -> JobResult:
    if plan.journal is not None and plan.journal.is_empty:
        plan.begin(plan.journal, job.experiments, endpoint=job.phoenix.endpoint)
    observer: Quiet | Bars | Lines
    if context.quiet:
        observer = Quiet()
    elif context.err.isatty():
        observer = Bars(context.err, mask=context.mask)
    else:
        observer = Lines(context.err)
    try:
        with signals.stopping():
            result = run_experiments(job.experiments, job.phoenix, plan, observer=observer, stop=signals.stop)
    finally:
        with contextlib.suppress(OSError, ValueError):  # the terminal is gone
            observer.close()
    return result


def _shown(path: Path) -> str:
    """A path as the user may type it: relative to the working directory where it is below."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def _judge(context: Context, job: Job) -> Gating:
    """What the settings ask of the experiments.

    Raises:
        UsageError: a gate or a baseline names what does not exist.
        EvalwireError: Phoenix cannot be asked for a baseline.
    """
    settings = context.settings
    asked = _asked(context, job)
    branches = branches_for(
        asked.baseline or BaselineChoice("auto"), ci_metadata(context.environ), settings.base_branch
    )
    own_ids = {past.id for past in job.past.past.values() if past.id} if job.past else set()
    subjects = [
        BaselineQuery(
            experiment=one.name,
            dataset_name=one.dataset_name,
            evaluators=evaluator_hashes(one),
            split=job.past.split if job.past else settings.split,
            repetitions=job.past.repetitions if job.past else settings.repetitions,
            branches=branches,
            experiment_ids=own_ids,
        )
        for one in job.experiments
    ]
    known = known_names(context, job.experiments)
    is_dry = job.dry_run is not None
    if is_dry and not asked.thresholds.is_empty:
        context.say("a dry run: the gates are not judged")
    if others := [name for name in unjudged_gates(asked.thresholds, known) if name not in known.others]:
        context.say(f"not among what is judged, so these gates are not either: {', '.join(others)}")
    return prepare_gating(asked, subjects, known, phoenix=job.phoenix, is_dry=is_dry or job.sharing is not None)


def _asked(context: Context, job: Job) -> GateRequest:
    """The limits and the baseline of the settings; where they are silent, those that the earlier job was told."""
    settings, past = context.settings, job.past
    thresholds, baseline = settings.thresholds, settings.baseline
    if past is not None and not settings.gate:
        thresholds = thresholds.with_flags(past.gates)
    if past is not None and baseline is None and past.baseline:
        baseline = BaselineChoice.parse(past.baseline)
    return GateRequest(thresholds=thresholds, baseline=baseline, prices=settings.prices)


def _conclude(context: Context, job: Job, judge: Gating, result: JobResult, signals: Signals) -> Report:
    """Judge the results, and note in Phoenix how each experiment ended.

    Of an interrupted job nothing is noted: `docker stop` kills ten seconds after it has asked, and a Phoenix that takes
    its time would cost the report. An experiment without a note is nobody's baseline, and `resume` makes up for it.
    """
    is_dry, is_part = job.dry_run is not None, job.sharing is not None
    gates, baselines = ((), ()) if is_dry or is_part else judge.verdicts(result.results)
    context.learn_secrets()
    report = Report(
        outcome="passed",
        exit_code=0,
        results=tuple(result.results),
        started_at=datetime.now(UTC),
        seconds=0.0,
        dry_run=is_dry,
        endpoint=job.phoenix.endpoint,
        evalwire_version=__version__,
        abandoned_threads=result.abandoned_threads,
        lost_spans=result.lost_spans,
        ci=ci_metadata(context.environ),
        gates=gates,
        baselines=baselines,
        prices=context.settings.prices,
    )
    stopped = result.interrupted or signals.received is not None
    report = replace(report, outcome="interrupted" if stopped else outcome_of(report, report.results))
    try:
        if not (is_dry or is_part or stopped):
            note_ends(job.phoenix, report.results, lambda one: outcome_of(report, [one]))
    except EvalwireError as error:
        context.err.write(f"evalwire: {error}\n")
        if report.outcome == "passed":  # not all that was to be recorded is
            report = replace(report, outcome="infrastructure")
    code = 128 + signals.received if signals.received is not None else int(report.outcome != "passed")
    return masked(replace(report, exit_code=code), context.mask)


def outcome_of(report: Report, results: Sequence[ExperimentResult]) -> Outcome:
    """Why some experiments of a report ended as they did."""
    if all(map(report.passed, results)):
        return "passed"
    tolerated = {gate.experiment for gate in report.gates if gate.rule == "max_error_rate" and not gate.is_red}
    broken = [one for one in results if not one.passed and not (one.is_complete and one.name in tolerated)]
    if not broken:
        return "gate_failed"
    types = {failure.type for result in broken for failure in result.failures}
    return "infrastructure" if types and types <= _OUTAGES else "errors"


@dataclass(slots=True)
class Signals:
    """SIGINT and SIGTERM: the first stops the engine, if it runs; any other ends the command at once."""

    stop: Stop = field(default_factory=Stop)
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


class Reporter:
    """Writes what a run came to: the files first, then the screen, so that a closed pipe does not cost the files."""

    def __init__(self, context: Context, shard: Shard | None = None, *, writes: bool = True) -> None:
        self._context = context
        self._shard = shard
        self._files = reports.files(shard)
        self.directory = str(Path.cwd())  # user code may change it
        self.started_at = datetime.now(UTC)
        self.folder = self._make_folder() if writes else None
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the command began."""
        return time.monotonic() - self._began

    def _make_folder(self) -> Path | None:
        """The report folder, without the reports of an earlier run; None when the default one cannot be written.

        Raises:
            UsageError: the folder that was asked for cannot be written.
        """
        settings = self._context.settings
        directory: Path = settings.report_dir.absolute()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if not os.access(directory, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            for file in self._files:
                (directory / file).unlink(missing_ok=True)
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
            ci=ci_metadata(self._context.environ),
            shard=self._shard,
        )
        self._write_files(report)
        return exit_code

    def write(self, report: Report) -> int:
        """Write the report and show it; its exit code, which is not 0 when nobody could be told."""
        context = self._context
        told = self._write_files(report)
        from evalwire.reports import annotations, console  # noqa: PLC0415 - rich, after the work

        text = console.render(report, color=context.color, width=context.width, verbose=context.verbose)
        try:
            context.out.write(text)
            context.out.flush()
            if context.environ.get("GITHUB_ACTIONS") and context.settings.github_files is None:
                context.command("".join(f"{line}\n" for line in annotations.lines(report)))
        except (OSError, ValueError) as error:
            context.err.write(f"evalwire: the result cannot be shown: {error}\n")
            told = False
        for number, what in (
            (report.abandoned_threads, "plain functions did not return in time; their threads were left behind"),
            (report.lost_spans, "spans could not be delivered; runs and scores are not affected"),
        ):
            if number:
                context.err.write(f"evalwire: {number} {what}\n")
        if self.folder is not None and told:
            context.say(f"reports in {context.settings.report_dir}/: {', '.join(self._files)}")
        return report.exit_code if told else report.exit_code or 1

    def _write_files(self, report: Report) -> bool:
        """Write the reports, where there is a folder for them, results.json first; False when that failed."""
        told = True
        for path, pieces in self._pieces(report):
            try:
                reports.write(path, pieces)
            except OSError as error:
                self._context.err.write(f"evalwire: {path} cannot be written: {error}\n")
                told = False
        return told

    def _pieces(self, report: Report) -> Iterator[tuple[Path, Iterable[str]]]:
        """Each file that is to be written, and its text in pieces."""
        files = {format_: self.folder / file for file, format_ in self._files.items()} if self.folder else {}
        for format_, path in files.items():
            yield path, reports.pieces(report, format_)
        handed_over: Path | None = self._context.settings.github_files
        if handed_over is not None:
            from evalwire.reports import outputs  # noqa: PLC0415 - only for the GitHub Action

            yield handed_over / "outputs", (f"{line}\n" for line in outputs.lines(report, files))
            yield handed_over / "annotations", reports.pieces(report, "annotations")
