"""Render the smallest drops that gates would find with samples of several sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalwire.model import change_text, cost_text, count
from evalwire.reports.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalwire.model import ExperimentResult


@dataclass(frozen=True, slots=True, kw_only=True)
class SizedGate:
    """The smallest drops that a gate would find.

    Attributes:
        evaluation: the name of the evaluation.
        is_rate: whether the drop is a change of a pass rate.
        threshold: the allowed drop, as in the settings.
        drops: for each sample, the smallest drop that the gate would find; None if it would find none.
    """

    evaluation: str
    is_rate: bool
    threshold: str
    drops: Sequence[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SizedExperiment:
    """The gates of an experiment, and the samples.

    Attributes:
        result: the newest recorded experiment.
        samples: the texts of the samples, such as `1,000 examples`.
        costs: the cost of an experiment with each sample, in USD; None if it is not known.
        gates: the drop gates.
        note: the reason why nothing is known; empty if the gates are known.
    """

    name: str
    result: ExperimentResult | None = None
    samples: Sequence[str] = ()
    costs: Sequence[float | None] = ()
    gates: Sequence[SizedGate] = ()
    note: str = ""


def as_text(sized: Sequence[SizedExperiment]) -> str:
    """Return the drops as text, with a table for each experiment."""
    return "\n".join("".join(f"{line}\n" for line in _lines(each)) for each in sized)


def _lines(sized: SizedExperiment) -> Iterator[str]:
    if sized.result is None or not sized.gates:
        yield f"{plain(sized.name)}: {sized.note}"
        return
    runs = count(len(sized.result.runs), "run")
    yield f"{plain(sized.name)}: smallest drop that a gate finds in 4 of 5 cases"
    yield f"  by the noise of 2 recorded experiments ({runs} each)"
    rows = [["", "allowed", *sized.samples]]
    rows += [
        [plain(gate.evaluation), gate.threshold, *(_drop(gate, drop) for drop in gate.drops)] for gate in sized.gates
    ]
    if any(cost is not None for cost in sized.costs):
        rows.append(["cost of an experiment", "", *("?" if cost is None else cost_text(cost) for cost in sized.costs)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        yield f"  {'  '.join(cells)}".rstrip()


def _drop(gate: SizedGate, drop: float | None) -> str:
    return "none" if drop is None else change_text(drop, is_rate=gate.is_rate, is_signed=False)
