"""How an experiment ends early: what is resumed, in flight or waiting then, and what follows in the job."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from dataclasses import replace
from typing import Any

import pytest
from engine_seams import FakeRecorder, FakeTrace, FakeTracer, always, experiment

from evalwire.engine.engine import run_engine
from evalwire.engine.limits import Limits, Stop
from evalwire.errors import PhoenixRefused
from evalwire.jobs.progress import Quiet
from evalwire.model import Amount, Budget, ModelUsage

WAIT = 20  # seconds after which a test fails that waits for another call


class Deciding:
    """Gates that look at the runs in the dataset's order and are decided after a number of looks."""

    risk = 0.01
    decisions = ()

    def __init__(self, size: int, most: float) -> None:
        self.order, self.most = range(size), most
        self.seen: list[str] = []
        self.rounds = 0

    def add(self, run: Any) -> bool:
        self.seen.append(run.example.id)
        return len(self.seen) >= self.most

    def end_round(self, part: Any) -> bool:
        self.rounds += 1
        return self.rounds >= self.most

    def end(self, part: Any) -> None:
        pass


class Verdicts:
    """Early verdicts for the experiments that have a number of looks."""

    def __init__(self, **most: float) -> None:
        self.most = most
        self.watched: list[Any] = []
        self.watches: dict[str, Deciding] = {}

    def watch(self, opened: Any) -> Deciding | None:
        self.watched.append(opened)
        name = opened.experiment.name
        if name not in self.most:
            return None
        return self.watches.setdefault(name, Deciding(len(opened.dataset.examples), self.most[name]))


class PricedTracer(FakeTracer):
    """Each call of a task costs 1 USD."""

    def trace(self, opened, callee, values):
        trace = FakeTrace()
        trace.usage = (ModelUsage(model="m", calls=1, cost_usd=1.0),) if callee.name == "task" else ()
        return trace


def run(*experiments: Any, **given: Any) -> Any:
    """Run experiments; the seams are given by their names, and limits by theirs."""
    seams = {name: given.pop(name) for name in ("recorder", "tracer", "observer", "early") if name in given}
    defaults = {"recorder": FakeRecorder(), "tracer": FakeTracer(), "observer": Quiet()}
    return run_engine(experiments, **{**defaults, **seams}, limits=Limits(**given), stop=Stop())


async def quick(example):
    return example.input["n"]


def earlier_runs(count: int, *, is_recorded: bool, is_evaluated: bool = True) -> dict[tuple[str, int], Any]:
    """Return the first runs of an experiment as an earlier job made them."""
    made = run(experiment(quick, name=f"set_{count}")).results[0].runs
    id_ = "earlier" if is_recorded else None
    evaluations = [tuple(replace(each, id=id_) for each in one.evaluations) if is_evaluated else () for one in made]
    return {one.key: replace(one, id=id_, evaluations=said) for one, said in zip(made, evaluations, strict=True)}


def test_the_gates_of_an_experiment_are_watched_with_its_dataset():
    early = Verdicts()
    job = run(experiment(quick, name="a_2"), experiment(quick, name="b_1"), early=early)
    assert early.watched == [result.opened for result in job.results]


def test_the_gates_look_at_the_recorded_runs_of_an_earlier_job():
    early = Verdicts(set_5=math.inf)
    recorder = FakeRecorder(earlier=earlier_runs(2, is_recorded=True))
    (result,) = run(experiment(quick), recorder=recorder, early=early, task_concurrency=1).results
    assert result.passed
    assert early.watches["set_5"].seen == ["e0", "e1", "e2", "e3", "e4"]


@pytest.mark.parametrize("is_first_recorded", [False, True])
def test_paid_runs_of_an_earlier_job_are_recorded_after_the_decision(is_first_recorded):
    earlier = earlier_runs(4, is_recorded=False)
    if is_first_recorded:
        earlier |= earlier_runs(1, is_recorded=True)
    recorder = FakeRecorder(earlier=earlier)
    (result,) = run(
        experiment(quick, name="set_40"), recorder=recorder, early=Verdicts(set_40=1), task_concurrency=1
    ).results
    assert recorder.recorded == ["e0", "e1", "e2", "e3"][is_first_recorded:]
    assert (result.passed, result.stopping.seen, result.stopping.beyond) == (True, 1, 3)


def test_an_experiment_that_is_decided_after_a_round_has_the_repetitions_that_were_made():
    (result,) = run(
        experiment(quick, name="set_3"),
        recorder=FakeRecorder(repetitions=4),
        early=Verdicts(set_3=2),
        task_concurrency=1,
    ).results
    assert (result.passed, result.repetitions, len(result.runs)) == (True, 2, 6)


def test_a_run_after_the_decision_that_is_not_recorded_fails_the_experiment():
    """Its output is paid, too."""
    begun = asyncio.Event()

    async def task(example):
        if example.input["n"] == 1:
            begun.set()
        await asyncio.wait_for(begun.wait(), WAIT)
        return 1

    class Refusing(FakeRecorder):
        async def record(self, opened, run):
            if run.example.id == "e1":
                return run, PhoenixRefused("no")
            return await super().record(opened, run)

    (result,) = run(
        experiment(task, name="set_2"), recorder=Refusing(), early=Verdicts(set_2=1), task_concurrency=2
    ).results
    assert [one.example.id for one in result.runs] == ["e0"]
    assert (result.passed, result.failure.type) == (False, "PhoenixRefused")


def together(count: int) -> Any:
    """Return a task whose first calls wait until so many are in flight."""
    met = asyncio.Barrier(count)

    async def task(example):
        if example.input["n"] < count:
            await asyncio.wait_for(met.wait(), WAIT)
        return 1

    return task


def test_each_experiment_of_a_job_has_all_places():
    ones = [experiment(together(2), name=f"{name}_3") for name in "abc"]
    assert [result.passed for result in run(*ones, task_concurrency=2).results] == [True] * 3


def test_what_waits_for_the_budget_when_an_experiment_is_decided_keeps_neither_a_place_nor_a_part():
    """The first run is alone in flight: until it has ended, nobody knows what a run costs."""

    def first(example):
        return 1

    first.__name__ = "task"
    ones = [experiment(first, name="a_50"), experiment(together(3), name="b_3")]
    budget = Budget(max_cost_usd=4.0)
    job = run(*ones, tracer=PricedTracer(), early=Verdicts(a_50=1), budget=budget, task_concurrency=3)
    assert [result.failure for result in job.results] == [None, None]
    assert (job.results[0].stopping.beyond, job.made.spent.usd) == (0, 4.0)


def test_an_evaluator_is_not_called_once_the_budget_is_used_up():
    """Not even on the outputs of an earlier job."""
    judged: list[int] = []

    def judge(output):
        judged.append(output)
        return 1.0

    recorder = FakeRecorder(earlier=earlier_runs(3, is_recorded=True, is_evaluated=False))
    budget = Budget(max_cost_usd=5.0, spent=Amount(usd=5.0), largest=Amount(usd=1.0))
    (result,) = run(experiment(quick, judge, name="set_3"), recorder=recorder, budget=budget).results
    assert judged == []
    assert result.is_out_of_budget


def test_a_recorded_run_of_unknown_usage_fails_the_experiment_that_a_restarted_job_continues():
    """Even if no further run is needed."""
    usage = (ModelUsage(model="m", calls=1, unpriced=1),)
    earlier = {
        key: replace(each, usage=usage, evaluations=tuple(replace(said, usage=()) for said in each.evaluations))
        for key, each in earlier_runs(2, is_recorded=True).items()
    }
    budget = Budget(max_cost_usd=5.0, counts_recorded=True)
    recorder = FakeRecorder(earlier=earlier)
    (result,) = run(experiment(quick, always, name="set_2"), recorder=recorder, budget=budget).results
    assert (len(result.runs), result.passed) == (2, False)
    assert (result.failure.kind, result.failure.type) == ("budget", "UnknownUsage")


def test_a_recorder_that_ignores_its_cancellation_does_not_hold_the_job():
    class Stubborn(FakeRecorder):
        async def record(self, opened, run):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
            await asyncio.sleep(60)

    budget = Budget(max_seconds=0.1).started_at(time.monotonic())
    (result,) = run(experiment(quick, name="set_1"), recorder=Stubborn(), budget=budget, grace_seconds=0.1).results
    assert result.is_out_of_budget
