"""Each simulation of `make statistics` runs on all processors, which exchange what they simulate."""

from __future__ import annotations

import pytest
from benchmarks import early, judges, noise, statistics


@pytest.mark.parametrize(
    ("simulation", "plan"),
    [
        (
            statistics,
            statistics.Plan(sizes=(10,), null=1, power=1, drops=(0.2,), whole=5, whole_sizes=(10,)),
        ),
        (
            early,
            early.Plan(
                sizes=(20,),
                drops=(0.2,),
                experiments=1,
                graded=1,
                jobs=1,
                limits=1,
                orders=1,
                rounds=1,
                repeats=1,
                schedules=2,
            ),
        ),
        (judges, judges.Plan(experiments=1, kappas=1, labels=(60,), rates=(0.5,))),
        (
            noise,
            noise.Plan(
                flips=(0.1,), sizes=(20,), runs=(2,), intervals=2, drops=(0.1,), repetitions=(1,), comparisons=2
            ),
        ),
    ],
)
def test_a_simulation_runs_in_its_processes(simulation, plan):
    assert simulation.simulate(plan)
