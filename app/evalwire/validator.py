"""`DatasetValidator`, which checks testsets in scripts before an upload."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from evalwire.datasets import Columns, inspect_testset

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class ValidationIssue:
    """A problem in a testset; `row` counts from 1 without the header, and is None for the whole file."""

    row: int | None
    message: str


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """The issues that were found in a testset."""

    issues: list[ValidationIssue] = field(default_factory=list)

    @property
    def is_valid(self) -> bool:
        """True if no issue was found."""
        return not self.issues


class DatasetValidator:
    """Checks a testset without connecting to a server."""

    def validate(
        self,
        csv_path: str | Path,
        input_keys: Sequence[str] = ("user_query",),
        output_keys: Sequence[str] = ("expected_output",),
        tag_column: str = "tags",
        *,
        delimiter: str = "|",
        separator: str | None = None,
    ) -> ValidationResult:
        """Find all problems of a testset: columns, rows, encoding, empty cells and duplicates.

        Args:
            csv_path: the testset file.
            input_keys: columns that form the input of an example.
            output_keys: columns that form the expected output.
            tag_column: column that lists the datasets of a row.
            delimiter: text that separates the tags in a cell.
            separator: character that separates the cells of a CSV file; None to detect it from the header.

        Raises:
            TestsetNotFound: (a FileNotFoundError) the file does not exist.
            TestsetError: the file cannot be read.
        """
        columns = Columns(
            inputs=tuple(input_keys),
            outputs=tuple(output_keys),
            tags=tag_column,
            delimiter=delimiter,
            separator=separator,
        )
        found = inspect_testset(Path(csv_path), columns)
        issues = [ValidationIssue(issue.row, issue.message) for issue in found.issues]
        return ValidationResult(issues)
