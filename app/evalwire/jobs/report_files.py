"""Write the files of a report atomically."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from evalwire import reports
from evalwire.errors import UsageError
from evalwire.jobs.locks import locked

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from evalwire.model import Report, Shard


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFiles:
    """The files of a job's report.

    Attributes:
        directory: the report directory; None for no report.
        shard: the shard that the file names contain; None for all examples.
        github_files: the directory for outputs and annotations of the GitHub Action; None outside of the action.
        is_dry_run: whether the job is a dry run, whose files have different names.
    """

    directory: Path | None
    shard: Shard | None
    github_files: Path | None
    is_dry_run: bool = False

    @property
    def names(self) -> Mapping[str, str]:
        """Return the format of each file name."""
        return reports.files(self.shard, is_dry_run=self.is_dry_run)

    def path_of(self, format_: str) -> Path | None:
        """Return the path of the file in a format; None for no report."""
        return self._paths().get(format_)

    def _paths(self) -> Mapping[str, Path]:
        return {format_: self.directory / name for name, format_ in self.names.items()} if self.directory else {}

    @contextlib.contextmanager
    def reserved(self) -> Iterator[None]:
        """Lock the files while a job runs.

        The files of a shard are not locked: a restarted shard can replace a stalled shard, because the gate reads
        the results from Phoenix.

        Raises:
            UsageError: another job uses the files.
        """
        if self.directory is None or self.shard is not None:
            yield
            return
        name = next(iter(self.names)).removesuffix(".json")
        with locked(self.directory / f".{name}.lock") as is_mine:
            if not is_mine:
                raise UsageError(
                    f"another job is writing its reports to {self.directory}/.\n"
                    "Wait until it ends, or choose another directory with --report-dir."
                )
            yield

    def write(self, report: Report, warn: Callable[[str], object]) -> Report:
        """Write the files, results.json first; return the report that they contain.

        A file that cannot be written fails the job. The other files are then written again with this failure.

        Args:
            report: the report to write.
            warn: receives the reason why a file could not be written; an older file of this name is removed.
        """
        failed: set[Path] = set()
        while problems := self._write(report, failed):
            for path, reason in problems.items():
                warn(f"{path} cannot be written: {reason}")
            failed.update(problems)
            report = report.without([f"{path.name}: {reason}" for path, reason in problems.items()])
        return report

    def _write(self, report: Report, failed: Collection[Path]) -> dict[Path, str]:
        """Write files that have not failed before; return the reason for each file that fails now."""
        problems: dict[Path, str] = {}
        for path, render in self._renderers(report).items():
            if path in failed:
                continue
            try:
                reports.write(path, render())
            except OSError as error:
                problems[path] = str(error.strerror or error)
            except Exception as error:  # an error in this format must not affect the others
                problems[path] = f"{type(error).__name__}: {error}"
            if path in problems:
                with contextlib.suppress(
                    OSError
                ):  # a file of an earlier job must not be taken for the file of this job
                    path.unlink(missing_ok=True)
        return problems

    def _renderers(self, report: Report) -> dict[Path, Callable[[], Iterable[str]]]:
        """Return a function for each file that renders its text in pieces."""
        files = self._paths()
        found: dict[Path, Callable[[], Iterable[str]]] = {
            path: partial(reports.pieces, report, format_) for format_, path in files.items()
        }
        if self.github_files is not None:
            lines = partial(reports.outputs.lines, report, files)
            found[self.github_files / "outputs"] = lambda: (f"{line}\n" for line in lines())
            found[self.github_files / "annotations"] = partial(reports.pieces, report, "annotations")
        return found
