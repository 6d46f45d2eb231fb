"""Write the report of a job: first to files, then to standard output, which may be a closed pipe."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from evalwire import reports
from evalwire._version import __version__
from evalwire.errors import UsageError
from evalwire.jobs.failing import failing_examples
from evalwire.jobs.report_files import ReportFiles
from evalwire.jobs.run import JobStart
from evalwire.jobs.step_summary import append_step_summary
from evalwire.model import Report
from evalwire.settings import origin_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from evalwire.gates import Gate
    from evalwire.jobs.console import Console
    from evalwire.model import BudgetUse, Outcome, Shard
    from evalwire.settings import Settings


class ReportWriter:
    """Writes the report of a job.

    Args:
        settings: settings of the reports.
        environ: the environment, for metadata of the CI job.
        console: the standard streams.
        shard: the shard that the file names contain; None for all examples.
        writes: whether to write files.
        is_dry_run: whether the job is a dry run, whose files have different names.

    Attributes:
        start: the time and directory in which the command started.
        files: the files of the report; their `directory` is None if no directory can be written.

    Raises:
        UsageError: the given report directory cannot be written.
    """

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        console: Console,
        *,
        shard: Shard | None = None,
        writes: bool = True,
        is_dry_run: bool = False,
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._console = console
        self._shard = shard
        self.start = JobStart()
        self.files = ReportFiles(
            directory=self._make_directory() if writes else None,
            shard=shard,
            github_files=settings.github_files,
            is_dry_run=is_dry_run,
        )
        path = self.files.path_of("json")
        self._failing = (reports.load_failing(path) if path else None) or {}  # in the results that this job replaces

    def _make_directory(self) -> Path | None:
        """Create the report directory; return None if the default directory cannot be written.

        Raises:
            UsageError: the given report directory cannot be written.
        """
        settings = self._settings
        directory: Path = settings.report_dir.absolute()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if not os.access(directory, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            reason = f"cannot write to the report directory {settings.report_dir}: {error.strerror}."
            if settings.source("report_dir") != "default":
                raise UsageError(
                    f"{reason}\nCreate it before the run, owned by user {os.getuid()} (Docker creates missing mount "
                    "directories as root), or choose another directory."
                ) from error
            self._console.warn(
                f"{reason} No report and no journal will be written, "
                "and results that Phoenix does not accept will be lost."
            )
            return None
        return directory

    def remove_earlier(self) -> None:
        """Remove reports of an earlier job, just before this job runs, because they may contain its baseline.

        Raises:
            UsageError: a file cannot be removed.
        """
        if self.files.directory is None:
            return
        for file in self.files.names:
            try:
                (self.files.directory / file).unlink(missing_ok=True)
            except OSError as error:
                raise UsageError(
                    f"cannot remove {self._settings.report_dir}/{file} of an earlier job: {error.strerror}. "
                    "Remove it, or choose another directory with --report-dir."
                ) from error

    def write_bare(self, outcome: Outcome, exit_code: int, *, budget: BudgetUse | None = None) -> int:
        """Write the report of a job without results, with its budget if it has one; return its exit code."""
        report = Report(
            outcome=outcome,
            exit_code=exit_code,
            results=(),
            started_at=self.start.at,
            seconds=self.start.seconds,
            evalwire_version=__version__,
            ci=origin_metadata(self._environ, self.start.directory),
            shard=self._shard,
            failing=self._failing,
            budget=budget,
        )
        report = self.files.write(report, self._console.warn)
        self._append_step_summary(report)
        return report.exit_code

    def write(self, report: Report, *, gates: Sequence[Gate] = ()) -> int:
        """Write and show the report; return its exit code, which is not 0 if a part could not be written.

        Args:
            report: the report of the job.
            gates: the gates of the job, also if they were not applied.
        """
        console, settings = self._console, self._settings
        report = replace(report, failing=failing_examples(report, self._failing, gates=gates))
        report = self.files.write(report, console.warn)
        if problem := self._show(report):
            console.warn(f"cannot show the result: {problem}")
            report = self.files.write(report.without([f"the screen: {problem}"]), console.warn)
        self._append_step_summary(report)
        for number, message in (
            (report.abandoned_threads, "plain functions did not return in time, and their threads are still running"),
            (report.lost_spans, "spans could not be delivered. Runs and scores are not affected"),
        ):
            if number:
                console.warn(f"{number} {message}")
        if written := [name for name in self.files.names if self._is_there(name)]:
            console.say(f"reports in {settings.report_dir}/: {', '.join(written)}")
        return report.exit_code

    def _append_step_summary(self, report: Report) -> None:
        in_action = self._settings.github_files is not None
        append_step_summary(report, self._environ, self._console.warn, is_in_action=in_action)

    def _is_there(self, name: str) -> bool:
        return self.files.directory is not None and (self.files.directory / name).exists()

    def _show(self, report: Report) -> str:
        """Write the result to standard output; return the reason if this fails, else an empty text."""
        console = self._console
        try:
            text = reports.console.render(report, color=console.color, width=console.width, verbose=console.verbose)
            console.out.write(text)
            console.out.flush()
            if self._environ.get("GITHUB_ACTIONS") and self._settings.github_files is None:
                console.write_command("".join(f"{line}\n" for line in reports.annotations.lines(report)))
        except OSError as error:
            return str(error.strerror or error)
        except Exception as error:  # an error in this format must not affect the files
            return f"{type(error).__name__}: {error}"
        return ""
