"""Render the noise of experiments as text, for a terminal."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from evalwire.reports.noise import words
from evalwire.reports.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalwire.model import ExperimentNoise, ScoreNoise

_NARROWEST, _WIDEST = 40, 100  # columns of a sentence


def pieces(measured: Sequence[ExperimentNoise], *, width: int | None = None) -> Iterator[str]:
    """Yield the noise as text, a line at a time."""
    columns = min(max(width or 80, _NARROWEST), _WIDEST)
    for number, experiment in enumerate(measured):
        if number:
            yield "\n"
        yield from (f"{line.rstrip()}\n" for line in _lines(experiment, columns))


def _lines(experiment: ExperimentNoise, columns: int) -> Iterator[str]:
    name = plain(experiment.name)
    if experiment.note:
        yield from _wrapped(f"{name}: {experiment.note}", columns, indent=0)
        return
    yield from _wrapped(f"{name}: {words.title(experiment)}", columns, indent=0)
    for note in words.notes(experiment):
        yield from _wrapped(f"note: {note}", columns, indent=2)
    for score in experiment.scores:
        yield ""
        yield from _of_score(experiment, score, columns)


def _of_score(experiment: ExperimentNoise, score: ScoreNoise, columns: int) -> Iterator[str]:
    yield from _wrapped(f"{plain(score.name)}: {words.flips(score)}", columns, indent=2)
    for sentence in words.sentences(experiment, score):
        yield from _wrapped(f"- {sentence}", columns, indent=4)
    rows = words.plan(experiment, score)
    if not rows:
        return
    yield ""
    table = [["examples to find", *words.plan_heads()], *([f"a drop of {row.drop}", *row.cells] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        yield f"    {'  '.join(cells)}"


def _wrapped(text: str, columns: int, *, indent: int) -> list[str]:
    """Return a text in lines of at most this number of columns, with a hanging indentation."""
    first = " " * indent
    return textwrap.wrap(
        plain(text),
        columns,
        initial_indent=first,
        subsequent_indent=f"{first}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
