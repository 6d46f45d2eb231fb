"""Show the variants of each experiment side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from evalwire.reports.console.wrapping import Line
from evalwire.reports.text import cut, plain
from evalwire.reports.variant_table import variant_tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalwire.model import Report
    from evalwire.reports.variant_table import VariantTable

_LONGEST_NAME = 40


def variant_lines(report: Report) -> Iterator[Line]:
    """Yield a table for each experiment with several variants, and its differences in words."""
    for table in variant_tables(report):
        yield Line(f"variants of {plain(table.experiment)}", style="bold")
        yield from _rows(table)
        for sentence in table.sentences:
            yield Line(plain(sentence), indent=2)
        if table.note:
            yield Line(Text(f"({table.note})", style="dim"), indent=2)


def _rows(table: VariantTable) -> Iterator[Line]:
    rows = [("", table.names), *table.rows]
    rows = [
        (cut(plain(name), _LONGEST_NAME), tuple(cut(plain(cell), _LONGEST_NAME) for cell in row)) for name, row in rows
    ]
    first = max(cell_len(name) for name, _ in rows)
    sizes = [max(cell_len(row[column]) for _, row in rows) for column in range(len(table.names))]
    for name, cells in rows:
        shown = "  ".join(" " * (size - cell_len(cell)) + cell for cell, size in zip(cells, sizes, strict=True))
        yield Line(Text(f"{set_cell_size(name, first)}  {shown}", style="" if name else "dim"), indent=2)
