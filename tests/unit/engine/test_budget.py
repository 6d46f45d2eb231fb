"""The engine within a budget: which runs start, what they use, and how the experiment ends."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from engine_seams import FakeRecorder, FakeTrace, always, experiment

from evalwire.engine import job_state
from evalwire.engine.engine import run_engine
from evalwire.engine.limits import EarlierRuns, Limits, Stop
from evalwire.engine.purse import Purse
from evalwire.jobs.progress import Quiet
from evalwire.model import Amount, Budget, ModelUsage


class PaidTracer:
    """Gives each call of the task, and of an evaluator named `judge`, a cost by the number of the example."""

    lost = 0

    def __init__(self, costs, *, model="m", is_priced=True):
        self.costs = costs
        self.model = model
        self.is_priced = is_priced

    def trace(self, opened, callee, values):
        trace = FakeTrace()
        cost = self.costs[values["example"].input["n"]] if callee.name in ("task", "judge") else 0.0
        known = {"cost_usd": cost} if self.is_priced else {"unpriced": 1}
        own = ModelUsage(model=self.model, calls=1, total_tokens=round(cost * 1_000), **known)
        trace.usage = (own,) if cost else ()
        return trace


def run(*experiments, budget, costs, recorder=None, earlier=None, is_priced=True, **limits):
    return run_engine(
        experiments,
        recorder=recorder or FakeRecorder(),
        tracer=PaidTracer(costs, is_priced=is_priced),
        observer=Quiet(),
        limits=Limits(budget=budget, **limits),
        stop=Stop(),
        earlier=earlier,
    )


def counted(costs, *, delay=lambda n: 0.0):
    """Return a task that counts its calls, with the example of each call."""
    calls: list[int] = []

    async def task(example):
        calls.append(example.input["n"])
        await asyncio.sleep(delay(example.input["n"]))
        return costs[example.input["n"]]

    return task, calls


def test_random_schedules_exceed_the_budget_only_by_surprising_runs(monkeypatch):
    """Through the real engine, with judges that pay from the same purse."""
    admitted = SimpleNamespace(largest=Amount(), in_flight=0)

    class WatchedPurse(Purse):
        def admit(self):
            reservation = super().admit()
            if reservation is not None:
                admitted.largest, admitted.in_flight = self.largest or Amount(), len(self._in_flight)
            return reservation

    monkeypatch.setattr(job_state, "Purse", WatchedPurse)
    for seed in range(40):
        rng = random.Random(seed)
        costs = [rng.lognormvariate(0.0, 1.0) for _ in range(40)]
        delays = [rng.uniform(0.0, 0.002) for _ in costs]
        task, calls = counted(costs, delay=delays.__getitem__)

        async def judge(output):
            await asyncio.sleep(0)
            return output > 0

        total = rng.uniform(0.2, 0.9) * 2 * sum(costs)
        job = run(
            experiment(task, judge, name="set_40"),
            budget=Budget(max_cost_usd=total),
            costs=costs,
            task_concurrency=rng.randint(1, 10),
        )
        (result,) = job.results
        spent = sum(2 * costs[n] for n in calls)
        assert job.made.spent.usd == pytest.approx(spent), "the judge's calls count, too"
        largest = 2 * max(costs)
        assert spent <= total + admitted.in_flight * max(0.0, largest - admitted.largest.usd) + 1e-9, seed
        assert len(result.runs) == len(set(calls)) == len(calls), "each run is made once, and in the result"
        assert result.is_out_of_budget == (len(calls) < 40)


def test_no_call_follows_the_end_of_the_budget():
    costs = [1.0] * 50
    task, calls = counted(costs)
    first, second = experiment(task, name="a_50"), experiment(task, name="b_50")
    job = run(first, second, budget=Budget(max_cost_usd=7.5), costs=costs, task_concurrency=5)
    assert len(calls) == 7
    assert [(len(result.runs), result.failure.type) for result in job.results] == [
        (7, "OutOfBudget"),
        (0, "OutOfBudget"),
    ]
    assert job.results[1].opened is None, "the second experiment is not created"
    assert (job.made.ended_by.kind, job.made.ended_by.stage) == ("budget", "task")


def test_usage_of_earlier_engines_of_the_job_counts():
    """Variants have engines of their own. The next run may use as much as the largest run of theirs."""
    task, calls = counted([1.0] * 20)
    earlier = EarlierRuns(spent=Amount(usd=3.0), largest=Amount(usd=2.0))
    budget = Budget(max_cost_usd=5.0)
    job = run(experiment(task, name="set_20"), budget=budget, costs=[1.0] * 20, earlier=earlier)
    assert (calls, job.made.spent.usd, job.made.largest.usd) == ([0], 4.0, 2.0)
    assert job.results[0].is_out_of_budget


def test_complete_experiment_passes_within_the_budget():
    task, calls = counted([1.0] * 5)
    (result,) = run(experiment(task), budget=Budget(max_cost_usd=5.0), costs=[1.0] * 5).results
    assert result.passed
    assert len(calls) == 5


def test_limit_reached_by_the_last_run_ends_nothing():
    """The last run may use more than expected; every run was made, so the result stands."""
    costs = [1.0, 1.0, 3.0]
    task, _ = counted(costs)
    job = run(experiment(task, name="set_3"), budget=Budget(max_cost_usd=3.5), costs=costs, task_concurrency=1)
    assert job.results[0].passed
    assert job.made.spent.usd == 5.0


def test_unknown_price_ends_the_job_after_the_first_run():
    task, calls = counted([1.0] * 20)
    budget = Budget(max_cost_usd=100.0)
    (result,) = run(experiment(task, name="set_20"), budget=budget, costs=[1.0] * 20, is_priced=False).results
    assert calls == [0], "the first run is alone in flight"
    assert (result.failure.kind, result.failure.type) == ("budget", "UnknownUsage")
    assert 'Add "m" = { input = N, output = N } below [prices]' in result.failure.message


def test_unknown_price_fails_an_experiment_whose_runs_were_all_made():
    task, _ = counted([1.0])
    (result,) = run(
        experiment(task, name="set_1"), budget=Budget(max_cost_usd=9.0), costs=[1.0], is_priced=False
    ).results
    assert len(result.runs) == 1
    assert not result.passed
    assert result.failure.kind == "budget"


def test_retries_pay_from_the_budget_and_are_refused_without_it():
    attempts = []

    async def task(example):
        attempts.append(example.input["n"])
        raise ConnectionError("reset")

    budget = Budget(max_cost_usd=2.5)
    job = run(experiment(task, name="set_1"), budget=budget, costs=[1.0], retries=5)
    (run_,) = job.results[0].runs
    assert len(attempts) == 2, "a third attempt might use 1.0 more"
    assert job.made.spent.usd == 2.0
    assert run_.failure.message.endswith("not retried: the budget does not allow it")


def test_resumed_runs_that_only_wait_for_recording_need_no_budget():
    """They are paid: a used-up budget does not keep them from Phoenix."""
    task, calls = counted([1.0] * 5)
    made = run(experiment(task), budget=Budget(), costs=[1.0] * 5).results[0].runs
    earlier = {
        each.key: replace(each, id=None, evaluations=tuple(replace(e, id=None) for e in each.evaluations))
        for each in made[3:]
    }
    recorder = FakeRecorder(earlier=earlier)
    calls.clear()
    budget = Budget(max_cost_usd=5.0, spent=Amount(usd=5.0), largest=Amount(usd=1.0))
    (result,) = run(experiment(task), budget=budget, costs=[1.0] * 5, recorder=recorder).results
    assert calls == []
    assert recorder.recorded == ["e3", "e4"]
    assert result.is_out_of_budget


def test_deadline_ends_runs_in_flight_after_the_grace_period():
    async def task(example):
        await asyncio.sleep(30)

    budget = Budget(max_seconds=0.3).started_at(time.monotonic())
    started = time.monotonic()
    (result,) = run(experiment(task, always), budget=budget, costs=[0.0] * 5, grace_seconds=0.2).results
    assert time.monotonic() - started < 10
    assert result.is_out_of_budget
    assert result.failure.message == "the budget of 0.3 s is used up"
    assert result.not_run == 5


def test_runs_in_flight_at_the_deadline_may_finish_within_the_grace_period():
    async def task(example):
        await asyncio.sleep(0.3)

    budget = Budget(max_seconds=0.2).started_at(time.monotonic())
    (result,) = run(experiment(task, name="set_20"), budget=budget, costs=[0.0] * 20, task_concurrency=2).results
    assert len(result.runs) == 2
    assert result.is_out_of_budget


def test_first_run_without_a_model_call_is_noted_once(caplog):
    task, calls = counted([0.0] * 5)
    run(experiment(task), budget=Budget(max_cost_usd=1.0), costs=[0.0] * 5)
    assert len(calls) == 5
    (said,) = caplog.messages
    assert said.startswith("the first run has no recorded model call, so the budget cannot count its usage. ")
