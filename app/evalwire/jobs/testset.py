"""Find the testset that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.datasets import Columns
from evalwire.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from evalwire.settings import Settings


def testset_path(settings: Settings) -> Path:
    """Return the path of the testset.

    Raises:
        UsageError: no testset was given.
    """
    path: Path | None = settings.csv_path
    if path is None:
        raise UsageError("no testset was given. Use --csv FILE, or set csv_path under [dataset] in evalwire.toml.")
    return path


def testset_columns(settings: Settings) -> Columns:
    """Return the roles of the columns of the testset."""
    return Columns(
        inputs=settings.input_keys,
        outputs=settings.output_keys,
        tags=settings.tag_column,
        delimiter=settings.delimiter,
        lists=settings.split_columns,
        id=settings.id_column,
        split=settings.split_column,
        separator=settings.separator,
    )
