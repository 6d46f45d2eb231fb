"""Write the files of a report, each whole or not at all."""

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
    """The files of one job's report.

    Attributes:
        folder: the report folder; None for no report.
        shard: the part of every experiment that is run, which the files have in their names; None for all.
        github_files: where the GitHub Action expects its outputs and annotations; None outside of it.
        is_dry_run: whether nothing is recorded: its files have other names than those of a run.
    """

    folder: Path | None
    shard: Shard | None
    github_files: Path | None
    is_dry_run: bool = False

    @property
    def names(self) -> Mapping[str, str]:
        """Return the names of the files, each with its format."""
        return reports.files(self.shard, is_dry_run=self.is_dry_run)

    def path_of(self, format_: str) -> Path | None:
        """Return the file of one format; None for no report."""
        return self._paths().get(format_)

    def _paths(self) -> Mapping[str, Path]:
        return {format_: self.folder / name for name, format_ in self.names.items()} if self.folder else {}

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep the files for one job, for as long as it runs.

        A shard has none to itself: one that is started again takes the place of one that stands still, and their
        gate reads what Phoenix has.

        Raises:
            UsageError: another job has them.
        """
        if self.folder is None or self.shard is not None:
            yield
            return
        name = next(iter(self.names)).removesuffix(".json")
        with locked(self.folder / f".{name}.lock") as is_mine:
            if not is_mine:
                raise UsageError(
                    f"another job is running that writes its reports to {self.folder}/.\n"
                    "Wait for its end, or name another folder with --report-dir."
                )
            yield

    def write(self, report: Report, warn: Callable[[str], object]) -> Report:
        """Write the files, results.json first; return the report that they tell.

        A file that cannot be written costs only itself. It fails the job, though, so the others are written again and
        tell that.

        Args:
            report: what is told.
            warn: receives why a file could not be written; an earlier one of its name is removed.
        """
        failed: set[Path] = set()
        while problems := self._write(report, failed):
            for path, reason in problems.items():
                warn(f"{path} cannot be written: {reason}")
            failed.update(problems)
            report = report.without([f"{path.name}: {reason}" for path, reason in problems.items()])
        return report

    def _write(self, report: Report, failed: Collection[Path]) -> dict[Path, str]:
        """Write the files that have not failed before; return those that do now, each with the reason."""
        problems: dict[Path, str] = {}
        for path, render in self._renderers(report).items():
            if path in failed:
                continue
            try:
                reports.write(path, render())
            except OSError as error:
                problems[path] = str(error.strerror or error)
            except Exception as error:  # of one format, which the others need not share
                problems[path] = f"{type(error).__name__}: {error}"
            if path in problems:
                with contextlib.suppress(OSError):  # an earlier job's must not be taken for this one's
                    path.unlink(missing_ok=True)
        return problems

    def _renderers(self, report: Report) -> dict[Path, Callable[[], Iterable[str]]]:
        """Give each file that is to be written, with what renders its text in pieces."""
        files = self._paths()
        found: dict[Path, Callable[[], Iterable[str]]] = {
            path: partial(reports.pieces, report, format_) for format_, path in files.items()
        }
        if self.github_files is not None:
            lines = partial(reports.outputs.lines, report, files)
            found[self.github_files / "outputs"] = lambda: (f"{line}\n" for line in lines())
            found[self.github_files / "annotations"] = partial(reports.pieces, report, "annotations")
        return found
