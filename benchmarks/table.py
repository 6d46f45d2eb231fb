"""What a benchmark came to: lines, and a table of them as text, Markdown or JSON values."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

HEADINGS = ("row", "measured", "evalwire", "beside", "its figure", "ratio", "target", "reached", "note")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the ratio of evalwire's figure to the other one is to be."""

    relation: Literal["at most", "at least"]
    ratio: float

    def is_reached(self, ratio: float) -> bool:
        """Whether a ratio is on the right side."""
        return ratio <= self.ratio if self.relation == "at most" else ratio >= self.ratio


AHEAD = Target(relation="at most", ratio=1.0)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One comparison.

    Attributes:
        row: which row of the benchmark it belongs to.
        measured: the work, and what of it is measured.
        unit: of both figures.
        ours: evalwire's figure; None when it could not be measured.
        beside: the limit or the peer that it is compared with.
        theirs: that one's figure; None when it could not be measured.
        target: None for a line that only informs.
        note: what else to know; why there is no figure, where there is none.
    """

    row: str
    measured: str
    unit: str
    ours: float | None
    beside: str
    theirs: float | None
    target: Target | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Evalwire's figure divided by the other one."""
        return self.ours / self.theirs if self.ours is not None and self.theirs else None

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None without a target or without a ratio."""
        return None if self.target is None or self.ratio is None else self.target.is_reached(self.ratio)

    def cells(self) -> list[str]:
        """Its cells, below `HEADINGS`."""
        verdict = "-" if self.target is None else "yes" if self.reached else "NO"
        return [
            self.row,
            self.measured,
            _figure(self.ours, self.unit),
            self.beside,
            _figure(self.theirs, self.unit),
            "-" if self.ratio is None else f"{self.ratio:.2f}",
            "-" if self.target is None else f"{self.target.relation} {self.target.ratio:.2f}",
            "not measured" if self.ratio is None else verdict,
            self.note,
        ]

    def values(self) -> dict[str, Any]:
        """It as JSON values."""
        return {**dataclasses.asdict(self), "ratio": self.ratio, "reached": self.reached}


def text(lines: Sequence[Line]) -> str:
    """The table for a terminal."""
    rows = [list(HEADINGS), *(line.cells() for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def markdown(lines: Sequence[Line]) -> str:
    """The table as Markdown."""
    rows = [list(HEADINGS), ["---"] * len(HEADINGS), *(line.cells() for line in lines)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def _figure(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.2f} {unit}"
