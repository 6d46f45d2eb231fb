"""Write the files of a report, each whole or not at all."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalwire import reports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from evalwire.model import Report, Shard


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFiles:
    """The files of one job's report.

    Attributes:
        folder: the report folder; None for no report.
        shard: the part of every experiment that is run, which the files have in their names; None for all.
        github_files: where the GitHub Action expects its outputs and annotations; None outside of it.
    """

    folder: Path | None
    shard: Shard | None
    github_files: Path | None

    @property
    def names(self) -> Mapping[str, str]:
        """Return the names of the files, each with its format."""
        return reports.files(self.shard)

    def path_of(self, format_: str) -> Path | None:
        """Return the file of one format; None for no report."""
        return self._paths().get(format_)

    def _paths(self) -> Mapping[str, Path]:
        return {format_: self.folder / name for name, format_ in self.names.items()} if self.folder else {}

    def write(self, report: Report, warn: Callable[[str], object]) -> bool:
        """Write the files, results.json first; return whether all of them could be written.

        Args:
            report: what is told.
            warn: receives why a file could not be written; an earlier one of its name is removed.
        """
        is_written = True
        for path, pieces in self._pieces(report):
            try:
                reports.write(path, pieces)
            except OSError as error:
                warn(f"{path} cannot be written: {error}")
                is_written = False
                with contextlib.suppress(OSError):  # an earlier job's must not be taken for this one's
                    path.unlink(missing_ok=True)
        return is_written

    def _pieces(self, report: Report) -> Iterator[tuple[Path, Iterable[str]]]:
        """Give each file that is to be written, with its text in pieces."""
        files = self._paths()
        for format_, path in files.items():
            yield path, reports.pieces(report, format_)
        if self.github_files is not None:
            yield self.github_files / "outputs", (f"{line}\n" for line in reports.outputs.lines(report, files))
            yield self.github_files / "annotations", reports.pieces(report, "annotations")
