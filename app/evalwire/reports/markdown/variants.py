"""Show the variants of each experiment side by side, and which of them is better."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.reports.markdown.parts import LONGEST_NAME, folded, omitted
from evalwire.reports.markdown_text import code, prose
from evalwire.reports.variant_table import variant_tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalwire.model import Report
    from evalwire.reports.markdown.parts import Room
    from evalwire.reports.variant_table import VariantTable


def variant_parts(report: Report, room: Room) -> Iterator[str]:
    """Yield a table for each experiment with several variants, and its differences in words."""
    tables = variant_tables(report)
    for table in tables[: room.rows]:
        yield f"### Variants of {code(table.experiment, LONGEST_NAME)}"
        yield ""
        most = max(room.items, 2)
        for sentence in table.sentences[:most]:
            yield f"- {prose(sentence)}"
        yield ""
        yield from omitted(len(table.sentences) - most, len(table.sentences), "differences")
        yield from folded("Scores, variables, time and cost of each variant", _table(table, room))
    yield from omitted(len(tables) - room.rows, len(tables), "experiments with variants")


def _table(table: VariantTable, room: Room) -> Iterator[str]:
    yield f"| | {' | '.join(code(name, LONGEST_NAME, in_table=True) for name in table.names)} |"
    yield f"| --- {'| --: ' * len(table.names)}|"
    for name, cells in table.rows[: room.rows]:
        yield f"| {prose(name, in_table=True)} | {' | '.join(prose(cell, in_table=True) for cell in cells)} |"
    yield ""
    if table.note:
        yield f"{table.note[:1].upper()}{table.note[1:]}."
        yield ""
