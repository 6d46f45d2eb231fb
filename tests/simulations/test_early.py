"""The simulation of early verdicts in docs/statistics.md, a small part of it: what they promise, they do."""

from __future__ import annotations

import math
import re

import pytest
from benchmarks import early as simulation

TYPE_1 = 0.06  # at a significance of 0.05
LOST = 0.02  # of the power of the whole experiment
IN_FLIGHT = 10  # the default of task_concurrency


@pytest.fixture(scope="module")
def figures():
    return simulation.simulate(simulation.QUICK)


def highest(rate: float, of: int, errors: int = 3) -> float:
    """The rate that simulations of a true rate do not exceed, by some standard errors."""
    return rate + errors * math.sqrt(rate * (1 - rate) / of)


# --- in every run of the tests --------------------------------------------------------------------------


def test_at_one_size_a_drop_gate_that_looks_early_has_its_level_and_its_power():
    same = simulation.drops(simulation.NOISY, 200, 0.0, part=0, count=600)
    worse = simulation.drops(simulation.NOISY, 200, 0.1, part=0, count=400)
    assert same.early / same.of <= highest(TYPE_1, same.of)
    assert same.saved > 0.3
    assert worse.red / worse.of > 0.7
    assert worse.loss <= LOST + 2 * worse.loss_error


def test_at_one_size_a_limit_is_decided_by_half_of_the_examples_at_its_risk():
    met = simulation.savings(200, 0.9, 0.97, is_bool=True, count=100)
    assert 1 - met.used >= 0.5 > 1 - met.curtailed
    missed = simulation.edge(100, 0.9, is_bool=True, is_met=False, count=1_000)
    assert missed.wrong <= missed.most


def test_four_gates_share_the_significance():
    same = simulation.four_gates(50, 0, 0.0, part=0, count=60)
    assert same.early / same.of <= highest(TYPE_1, same.of)
    worse = simulation.four_gates(50, 4, 0.5, part=0, count=10)
    assert worse.early == worse.red == 10


# --- each night ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_of_every_kind_drop_gates_have_their_level_and_lose_hardly_any_power(figures):
    same = [cell for cell in figures.drops if not cell.drop]
    assert {cell.row for cell in same} == {system.name for system in (*simulation.SYSTEMS, *simulation.HELD_OUT)}
    assert not [cell for cell in same if cell.early / cell.of > highest(TYPE_1, cell.of)]
    worse = [cell for cell in (*figures.drops, *figures.jobs, *figures.rounds) if cell.drop]
    assert not [cell for cell in worse if cell.loss > LOST + 2 * cell.loss_error]
    assert sum(cell.red / cell.of for cell in worse) / len(worse) > 0.7, "the drops are found"


@pytest.mark.slow
def test_early_verdicts_save_what_they_promise(figures):
    assert simulation.saved_of(figures.drops, 200, 0.15) - IN_FLIGHT / 200 >= 0.42  # 0.45 in the whole simulation
    rounds = [cell.used / cell.of for cell in figures.rounds if not cell.drop]
    assert sum(rounds) / len(rounds) <= 2.8 + 0.3
    (met,) = [cell for cell in figures.limits if (cell.row, cell.n, cell.mean) == ("bool", 200, 0.97)]
    assert 1 - met.used >= 0.5


@pytest.mark.slow
def test_limits_are_wrong_at_most_at_their_risk(figures):
    assert not [cell for cell in figures.edges if cell.wrong > cell.most]


@pytest.mark.slow
def test_the_command_prints_each_table(capsys):
    assert simulation.main(["--quick"]) == 0
    text = capsys.readouterr().out
    assert len(re.findall(r"^\| [a-z ]+ \| true drop \| n = ", text, flags=re.MULTILINE)) == 5
    assert len(re.findall(r"^\| scores \| (true mean|limit) \| n = 50 \|", text, flags=re.MULTILINE)) == 2
    assert "schedules of costs" in text
    assert "The largest loss of power is" in text
