"""The simulation of noise, a small part of it: intervals cover the true flips, and planned samples find the drops."""

from __future__ import annotations

import re

import pytest
from benchmarks import noise as simulation

# --- in every run of the tests --------------------------------------------------------------------------


@pytest.mark.parametrize("runs", [2, 3])
def test_at_one_size_intervals_cover_the_share_of_flips(runs):
    covered = simulation.intervals(0.05, 100, runs, count=600)
    assert 0.92 <= covered.share <= 0.985


@pytest.mark.parametrize(("flips", "drop", "runs"), [(0.05, 0.10, 1), (0.10, 0.10, 3)])
def test_at_one_size_a_planned_sample_finds_the_drop_in_four_of_five_cases(flips, drop, runs):
    planned = simulation.planned_bools(flips, drop, runs, count=300)
    assert 0.72 <= planned.powers[planned.examples] <= 0.9
    assert min(planned.powers.values()) < 0.78 < max(planned.powers.values())


# --- each night ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def figures():
    return simulation.simulate(simulation.FULL)


@pytest.mark.slow
def test_intervals_cover_in_93_to_97_percent(figures):
    known = [each for each in figures.intervals if each.flips >= 0.05 and each.n >= 100]
    assert len(known) == 27
    assert not [each for each in known if not 0.93 <= each.share <= 0.97]


@pytest.mark.slow
def test_planned_samples_are_within_a_tenth_of_the_needed_samples(figures):
    assert not [each for each in figures.plans if abs(each.error) > 0.10]


@pytest.mark.slow
def test_the_command_prints_each_table(capsys):
    assert simulation.main(["--quick"]) == 0
    text = capsys.readouterr().out
    assert len(re.findall(r"^\| noise and drop \|", text, flags=re.MULTILINE)) == 2
    assert "the intervals cover in " in text
    assert "The planned number of examples differs by at most " in text
