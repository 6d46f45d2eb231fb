"""Write the report of a job whose process crashed; the parent process calls this."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from evalwire import clocks, reports
from evalwire._version import __version__
from evalwire.errors import UsageError
from evalwire.jobs.report_files import ReportFiles
from evalwire.jobs.step_summary import append_step_summary
from evalwire.model import Report, Shard
from evalwire.recording import count_runs
from evalwire.settings import origin_metadata

if TYPE_CHECKING:
    from evalwire.jobs.report_writer import ReportWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlace:
    """The paths of a job's files, as text that another process can read.

    Attributes:
        started_at: the start time of the command, in ISO 8601.
        directory: the report directory; None for no reports.
        journal: the path of the journal, as the user can type it; None for no journal.
        shard: the shard, for example `2/5`; None for all examples.
        github_files: the directory for files of the GitHub Action; None outside of the action.
        is_dry_run: whether the job is a dry run.
    """

    started_at: str
    directory: str | None
    journal: str | None
    shard: str | None
    github_files: str | None
    is_dry_run: bool = False

    @classmethod
    def of(cls, writer: ReportWriter, journal: Path | None) -> JobPlace:
        """Return the place of a job."""
        files = writer.files
        return cls(
            started_at=writer.start.at.isoformat(),
            directory=_text(files.directory),
            journal=writer.start.shown(journal) if journal else None,
            shard=_text(files.shard),
            github_files=_text(files.github_files),
            is_dry_run=files.is_dry_run,
        )

    def to_text(self) -> str:
        """Return a single line, with escapes for file names that are not UTF-8."""
        return json.dumps(asdict(self))

    @property
    def files(self) -> ReportFiles:
        """Return the files of the report."""
        return ReportFiles(
            directory=Path(self.directory) if self.directory else None,
            shard=Shard.parse(self.shard) if self.shard else None,
            github_files=Path(self.github_files) if self.github_files else None,
            is_dry_run=self.is_dry_run,
        )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def report_crash(place: str, exit_code: int) -> str:
    """Write the report of a job whose process has ended; return a description of its journal.

    If the job already wrote a report, only correct the exit code and the outcome in it.

    Args:
        place: the text of the job's `JobPlace`.
        exit_code: the exit code of the command.

    Returns:
        The end of a sentence, such as `; 812 results are in the journal: evalwire resume PATH`.
    """
    job = JobPlace(**json.loads(place))
    problems: list[str] = []
    written = _written_report(job)
    if written is None or written.exit_code != exit_code:
        outcome = "interrupted" if written is None or written.outcome in ("passed", "partial") else written.outcome
        report = replace(written or _bare_report(job), outcome=outcome, exit_code=exit_code)
        report = job.files.write(report, problems.append)
        append_step_summary(report, os.environ, problems.append, is_in_action=job.github_files is not None)
    said = "" if written is not None or job.journal is None else _results_in(Path(job.journal))
    return "".join([said, *(f"; {problem}" for problem in problems)])


def _written_report(job: JobPlace) -> Report | None:
    """Return the report that the job wrote; None if it is missing or belongs to another job."""
    path = job.files.path_of("json")
    if path is None or not path.exists():
        return None
    try:
        report = reports.load_results(path)
    except UsageError:  # damaged, or from another version of evalwire: not the report of this job
        return None
    return report if report.started_at == datetime.fromisoformat(job.started_at) else None


def _bare_report(job: JobPlace) -> Report:
    started_at = datetime.fromisoformat(job.started_at)
    return Report(
        outcome="interrupted",
        exit_code=1,
        results=(),
        started_at=started_at,
        seconds=(clocks.now() - started_at).total_seconds(),
        evalwire_version=__version__,
        journal=job.journal,
        ci=origin_metadata(os.environ, os.curdir),
        shard=Shard.parse(job.shard) if job.shard else None,
    )


def _results_in(journal: Path) -> str:
    try:
        count = count_runs(journal)
    except OSError as error:
        return f"; the journal {journal} cannot be read: {error.strerror}"
    if not count:
        return "; the journal has no results"
    results = "1 result is" if count == 1 else f"{count} results are"
    return f"; {results} in the journal: evalwire resume {shlex.quote(str(journal))}"
