"""`DatasetValidator`: the door for scripts that look at a testset before they upload it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from evalwire.datasets import Columns, inspect_testset

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class ValidationIssue:
    """Something to mend; `row` counts from 1 without the header, and is None for the file as a whole."""

    row: int | None
    message: str


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """What was found."""

    issues: list[ValidationIssue] = field(default_factory=list)

    @property
    def is_valid(self) -> bool:
        """True if no issue was found."""
        return not self.issues


class DatasetValidator:
    """Looks at a testset without talking to anybody."""

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
        """Find everything that is wrong with a testset: columns, rows, encoding, empty cells, duplicates.

        Raises:
            TestsetNotFound: (a FileNotFoundError) there is no such file.
            TestsetError: it cannot be read.
        """
        columns = Columns(
            inputs=tuple(input_keys),
            outputs=tuple(output_keys),
            tags=tag_column,
            delimiter=delimiter,
            separator=separator,
        )
        issues = [ValidationIssue(one.row, one.message) for one in inspect_testset(Path(csv_path), columns).issues]
        return ValidationResult(issues)
