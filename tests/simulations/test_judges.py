"""The simulation of calibrated evaluators in docs/statistics.md, a small part of it: the intervals cover."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
from benchmarks import judges

LEAST, MOST = 0.93, 0.97


def bounds(of: int, errors: int = 3) -> tuple[float, float]:
    """The shares that simulations of a coverage within the limits do not leave, by some standard errors."""
    error = errors * math.sqrt(LEAST * (1 - LEAST) / of)
    return LEAST - error, MOST + error


def check(cell: judges.Cell, *, most: float | None = None) -> None:
    low, high = bounds(cell.of)
    assert low <= cell.coverage <= (most or high), cell


# --- in every run of the tests --------------------------------------------------------------------------


@pytest.mark.parametrize("judge", judges.JUDGES)
@pytest.mark.parametrize(("kind", "most"), [("PPI++", None), ("Rogan-Gladen", 1.0)])
def test_with_sixty_labels_a_corrected_rate_covers(kind, most, judge):
    check(judges.simulate_cell(kind, judge, 0.8, 60, 400), most=most)


def test_the_interval_of_kappa_covers():
    check(judges.simulate_cell("kappa", judges.JUDGES[1], 0.8, 60, 100))


def test_the_command_prints_each_table(capsys, monkeypatch):
    monkeypatch.setattr(
        judges,
        "simulate",
        lambda plan: [judges.simulate_cell(kind, judges.JUDGES[0], 0.8, 60, 5) for kind in judges.KINDS],
    )
    assert judges.main(["--quick"]) == 0
    text = capsys.readouterr().out
    for kind in judges.KINDS:
        assert f"{kind}: 95% intervals" in text
    assert text.count("| 95% of passes, 90% of failures | 80% |") == len(judges.KINDS)


# --- the whole ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_all_intervals_cover():
    found = judges.simulate(judges.FULL)
    for cell in found:
        check(cell, most=1.0 if cell.kind == "Rogan-Gladen" else None)
    page = (Path(__file__).parents[2] / "docs/statistics.md").read_text()
    for kind, judge in itertools.product(judges.KINDS, judges.JUDGES[:2]):
        own = [cell for cell in found if (cell.kind, cell.judge, cell.rate) == (kind, judge, 0.8)]
        passing, failing = judge
        row = [kind, f"{passing:.0%} / {failing:.0%}", *(f"{100 * cell.coverage:.1f}" for cell in own)]
        assert f"|{'|'.join(row)}|" in page
