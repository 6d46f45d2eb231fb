"""The results of a benchmark as a table in text or Markdown, or as JSON values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

HEADINGS = ("row", "measured", "evalwire", "compared with", "its figure", "ratio", "target", "reached", "note")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The target for the ratio of the figure of evalwire to the other figure."""

    relation: Literal["at most", "at least"]
    ratio: float

    def is_reached(self, ratio: float) -> bool:
        """Check whether a ratio reaches the target."""
        return ratio <= self.ratio if self.relation == "at most" else ratio >= self.ratio

    def times(self, factor: float) -> Target:
        """Return the target that a ratio misses only if it is off by more than a factor."""
        far = self.ratio * factor if self.relation == "at most" else self.ratio / factor
        return dataclasses.replace(self, ratio=far)


AHEAD = Target(relation="at most", ratio=1.0)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A comparison.

    Attributes:
        row: the row of the benchmark.
        measured: the work and the measured quantity.
        unit: the unit of both figures.
        ours: the figure of evalwire; None if it could not be measured.
        other: the limit or the library to compare with.
        theirs: the figure of the other; None if it could not be measured.
        target: the target; None for information only.
        note: additional information, or the reason for a missing figure.
    """

    row: str
    measured: str
    unit: str
    ours: float | None
    other: str
    theirs: float | None
    target: Target | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Return the figure of evalwire divided by the other figure."""
        return self.ours / self.theirs if self.ours is not None and self.theirs else None

    @property
    def reached(self) -> bool | None:
        """Check whether the target is reached; None without a target or a ratio."""
        return None if self.target is None or self.ratio is None else self.target.is_reached(self.ratio)

    def is_far_off(self, factor: float) -> bool:
        """Check whether evalwire could not be measured, or misses the target by more than a factor."""
        if self.target is None or (self.ours is not None and self.ratio is None):
            return False  # the other is not here
        return self.ratio is None or not self.target.times(factor).is_reached(self.ratio)

    def cells(self) -> list[str]:
        """Return the cells of the table row, in the order of `HEADINGS`."""
        verdict = "-" if self.target is None else "yes" if self.reached else "NO"
        return [
            self.row,
            self.measured,
            _figure(self.ours, self.unit),
            self.other,
            _figure(self.theirs, self.unit),
            "-" if self.ratio is None else f"{self.ratio:.2f}",
            "-" if self.target is None else f"{self.target.relation} {self.target.ratio:.2f}",
            "not measured" if self.ratio is None else verdict,
            self.note,
        ]

    def values(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        return {**dataclasses.asdict(self), "ratio": self.ratio, "reached": self.reached}


def text(lines: Sequence[Line]) -> str:
    """Return the table for a terminal."""
    rows = [list(HEADINGS), *(line.cells() for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def markdown(lines: Sequence[Line]) -> str:
    """Return the table as Markdown."""
    rows = [list(HEADINGS), ["---"] * len(HEADINGS), *(line.cells() for line in lines)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def by_size(headings: Sequence[str], sizes: Sequence[int], cells: Mapping[tuple[str, str, int], str]) -> str:
    """Return simulated cells as Markdown, with a line for each row and a column for each number of examples.

    Args:
        headings: the heading of the rows, and of their second column if they have one.
        sizes: the numbers of examples.
        cells: the text of each cell, by the row, its second column and the number of examples.
    """
    lines = [[*headings, *(f"n = {n}" for n in sizes)], [*("---" for _ in headings), *("---:" for _ in sizes)]]
    for row, second in dict.fromkeys((row, second) for row, second, _ in cells):
        lines.append([*[row, second][: len(headings)], *(cells.get((row, second, n), "") for n in sizes)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _figure(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.2f} {unit}"
