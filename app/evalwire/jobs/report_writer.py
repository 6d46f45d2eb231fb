"""Write the report of a job: the files first, then the screen, so that a closed pipe does not cost the files."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from evalwire import reports
from evalwire._version import __version__
from evalwire.errors import UsageError
from evalwire.jobs.report_files import ReportFiles
from evalwire.jobs.run import JobStart
from evalwire.model import Report
from evalwire.settings import ci_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from evalwire.jobs.console import Console
    from evalwire.model import Outcome, Shard
    from evalwire.settings import Settings


class ReportWriter:
    """Writes what a job came to.

    Args:
        settings: where reports go.
        environ: the environment, for what is known of the CI job.
        console: the streams.
        shard: the part of every experiment that is run, which the files have in their names; None for all.
        writes: whether there are files at all.
        is_dry_run: whether nothing is recorded: the files have other names than those of a run.

    Attributes:
        start: when and where the command began.
        files: of the report; their folder is None when there is none that can be written.

    Raises:
        UsageError: the folder that was named cannot be written.
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
            folder=self._make_folder() if writes else None,
            shard=shard,
            github_files=settings.github_files,
            is_dry_run=is_dry_run,
        )

    def _make_folder(self) -> Path | None:
        """Make the report folder; None when the default one cannot be written.

        Raises:
            UsageError: the folder that was named cannot be written.
        """
        settings = self._settings
        directory: Path = settings.report_dir.absolute()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if not os.access(directory, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            reason = f"the report folder {settings.report_dir} cannot be written: {error.strerror}."
            if settings.source("report_dir") != "default":
                raise UsageError(
                    f"{reason}\nMake it beforehand, owned by user {os.getuid()} (a folder that Docker makes "
                    "for a mount belongs to root), or name another one."
                ) from error
            self._console.warn(
                f"no report and no journal are written, so results that Phoenix does not accept are lost: {reason}"
            )
            return None
        return directory

    def remove_earlier(self) -> None:
        """Remove the reports of an earlier job, just before this one runs: a baseline may have been among them.

        Raises:
            UsageError: one cannot be removed.
        """
        if self.files.folder is None:
            return
        for file in self.files.names:
            try:
                (self.files.folder / file).unlink(missing_ok=True)
            except OSError as error:
                raise UsageError(
                    f"Cannot remove {self._settings.report_dir}/{file} of an earlier job: {error.strerror}. "
                    "Remove it, or name another folder with --report-dir."
                ) from error

    def write_bare(self, outcome: Outcome, exit_code: int) -> int:
        """Write the report of a job that has no results; return its exit code."""
        report = Report(
            outcome=outcome,
            exit_code=exit_code,
            results=(),
            started_at=self.start.at,
            seconds=self.start.seconds,
            evalwire_version=__version__,
            ci=ci_metadata(self._environ),
            shard=self._shard,
        )
        return self.files.write(report, self._console.warn).exit_code

    def write(self, report: Report) -> int:
        """Write the report and show it; return its exit code, which is not 0 when any of it could not be written."""
        console, settings = self._console, self._settings
        report = self.files.write(report, console.warn)
        if problem := self._show(report):
            console.warn(f"the result cannot be shown: {problem}")
            report = self.files.write(report.without([f"the screen: {problem}"]), console.warn)
        for number, message in (
            (report.abandoned_threads, "plain functions did not return in time; their threads were left behind"),
            (report.lost_spans, "spans could not be delivered; runs and scores are not affected"),
        ):
            if number:
                console.warn(f"{number} {message}")
        if written := [name for name in self.files.names if self._is_there(name)]:
            console.say(f"reports in {settings.report_dir}/: {', '.join(written)}")
        return report.exit_code

    def _is_there(self, name: str) -> bool:
        return self.files.folder is not None and (self.files.folder / name).exists()

    def _show(self, report: Report) -> str:
        """Write the result to the screen; return why it cannot be, or an empty text."""
        console = self._console
        try:
            text = reports.console.render(report, color=console.color, width=console.width, verbose=console.verbose)
            console.out.write(text)
            console.out.flush()
            if self._environ.get("GITHUB_ACTIONS") and self._settings.github_files is None:
                console.write_command("".join(f"{line}\n" for line in reports.annotations.lines(report)))
        except OSError as error:
            return str(error.strerror or error)
        except Exception as error:  # of this format, which the files need not share
            return f"{type(error).__name__}: {error}"
        return ""
