"""User code that blocks the event loop loses nothing, and ends no call that is within its time."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import engine_seams
import pytest
from engine_seams import FakeRecorder, experiment, go
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalwire.engine.limits import Stop
from evalwire.usercode import Clock
from evalwire.usercode.binding import isolate_experiment


def block(seconds: float) -> None:
    """Hold the thread as a synchronous request does."""
    threading.Event().wait(seconds)


class Journal(FakeRecorder):
    """Knows at each moment which returns were written down and which were not."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.returned_calls: list[int] = []
        self.unwritten: list[set[int]] = []

    def begins(self) -> None:
        """Note what is not in the journal now that a call goes on."""
        written = {int(line.split()[0][1:]) for line in self.noted if "returned" in line}
        self.unwritten.append(set(self.returned_calls) - written)


async def at_once(seconds: float) -> None:
    block(seconds)


async def after_an_await(seconds: float) -> None:
    """All wake in one turn of the loop, and block one after the other in it."""
    await asyncio.sleep(0.01)
    block(seconds)


async def in_a_subtask(seconds: float) -> None:
    """As a graph runs its nodes."""
    await asyncio.gather(asyncio.create_task(at_once(seconds / 2)), asyncio.create_task(at_once(seconds / 2)))


async def in_many_steps(seconds: float) -> None:
    for _ in range(3):
        block(seconds / 3)
        await asyncio.sleep(0)


async def in_a_callback(seconds: float) -> None:
    done = asyncio.Event()
    asyncio.get_running_loop().call_soon(lambda: (block(seconds), done.set()))
    await done.wait()


WAYS = [at_once, after_an_await, in_a_subtask, in_many_steps, in_a_callback]


@pytest.mark.parametrize("way", WAYS)
def test_calls_that_block_keep_their_own_time_and_are_written_at_once(way):
    """Together they block for longer than one call may take."""
    journal = Journal()

    async def task(example):
        journal.begins()
        await way(0.06)
        journal.begins()
        journal.returned_calls.append(example.input["n"])
        return example.input["n"]

    (result,) = go(experiment(task, name="set_8"), recorder=journal, task_concurrency=8, timeout_seconds=0.3).results
    assert [(run.output, run.failure) for run in result.runs] == [(n, None) for n in range(8)]
    assert result.passed
    assert not any(journal.unwritten)
    if way is at_once:  # nor is the wait for others a part of its duration
        assert all(0.05 < run.seconds < 0.25 for run in result.runs)


@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(
    blocks=st.lists(st.sampled_from([0.0, 0.002, 0.02, 0.04]), min_size=1, max_size=12),
    in_flight=st.integers(1, 50),
    way=st.sampled_from(WAYS),
)
def test_every_return_is_written_whatever_blocks(blocks, in_flight, way):
    journal = Journal()

    async def task(example):
        journal.begins()
        await way(blocks[example.input["n"]])
        journal.returned_calls.append(example.input["n"])
        return 1

    one = experiment(task, name=f"set_{len(blocks)}")
    (result,) = go(one, recorder=journal, task_concurrency=in_flight, timeout_seconds=0.2).results
    assert result.passed
    assert not any(journal.unwritten)
    assert len([line for line in journal.noted if "returned" in line]) == len(blocks)


def test_evaluators_that_block_keep_their_own_time():
    async def task(example):
        return 1

    async def judge(output):
        block(0.06)
        return True

    (result,) = go(experiment(task, judge, name="set_8"), task_concurrency=8, timeout_seconds=0.3).results
    assert result.passed


def test_what_waits_beside_a_call_that_blocks_keeps_its_own_time():
    """An answer that came meanwhile counts, on the loop, on a thread and on a loop of its own."""

    async def blocking(example):
        for _ in range(4):
            block(0.15)
            await asyncio.sleep(0)
        return 1

    async def waiting(example):
        await asyncio.sleep(0.05)
        return 1

    def plain(input):
        block(0.05)
        return 1

    own_loop = isolate_experiment(experiment(waiting, name="d_2"))
    ones = [experiment(blocking, name="a_1"), experiment(waiting, name="b_3"), experiment(plain, name="c_3"), own_loop]
    results = go(*ones, concurrency=4, task_concurrency=9, timeout_seconds=0.7).results
    assert [result.passed for result in results] == [True] * 4
    assert all(0.04 < run.seconds < 0.4 for run in (*results[2].runs, *results[3].runs))


def test_a_call_is_charged_for_all_its_own_time():
    """What it held the loop for, in however many steps, and what it waited for."""

    async def task(example):
        if example.input["n"] == 0:
            block(0.12)
            await asyncio.sleep(0.15)
        elif example.input["n"] == 1:
            while True:
                block(0.02)
                await asyncio.sleep(0)
        return 1

    (result,) = go(experiment(task, name="set_3"), task_concurrency=1, timeout_seconds=0.2).results
    assert [run.failure and run.failure.type for run in result.runs] == ["TimeoutError", "TimeoutError", None]
    assert all(run.seconds < 1.5 for run in result.runs)


def test_a_function_on_a_thread_is_late_by_its_own_clock():
    """Though the loop was held meanwhile, so that no timer could say so."""

    async def blocking(example):
        block(0.5)
        return 1

    def plain(input):
        block(0.3)
        return 1

    held, late = go(
        experiment(blocking, name="a_1"), experiment(plain, name="b_1"), concurrency=2, timeout_seconds=0.2
    ).results
    assert held.runs[0].failure.message.startswith("blocked the event loop for 0.")
    assert late.runs[0].failure.type == "TimeoutError"


def test_no_further_call_begins_once_a_stop_is_asked_for():
    stop, begun = Stop(), []

    async def task(example):
        begun.append(example.id)
        if len(begun) == 2:
            stop.request()
        block(0.05)
        return 1

    job = go(experiment(task, name="set_20"), stop=stop, task_concurrency=10, grace_seconds=5)
    assert len(begun) <= 3
    assert len(job.results[0].runs) == len(begun)


def test_a_clock_does_not_count_what_the_process_stood_still(monkeypatch):
    seconds = 100.0
    monkeypatch.setattr("evalwire.clocks.monotonic", lambda: seconds)
    clock = Clock(5)
    clock.beat()
    for step, counted in ((0.1, 0.1), (0.3, 0.4), (3600, 0.7), (0.1, 0.8)):
        seconds += step
        assert clock.now() == pytest.approx(100 + counted)
        clock.beat()
        assert clock.now() == pytest.approx(100 + counted)


_PAUSED = """
    import asyncio, sys, time
    sys.path.insert(0, {tests!r})
    from engine_seams import experiment, go

    async def task(example):
        if example.input["n"] == 0:
            print("running", flush=True)
        await asyncio.sleep(0.3)
        return 1

    def plain(input):
        time.sleep(0.3)
        return 1

    results = go(experiment(task, name="a_3"), experiment(plain, name="b_2"), concurrency=2, timeout_seconds=3).results
    print([(run.failure, run.seconds < 3) for result in results for run in result.runs])
"""


def test_a_paused_process_ends_no_call():
    """Not even if it is paused as soon as its calls have started."""
    code = textwrap.dedent(_PAUSED.format(tests=str(Path(engine_seams.__file__).parent)))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(3.2)
        process.send_signal(signal.SIGCONT)
        out, _ = process.communicate(timeout=30)
    assert out == f"{[(None, True)] * 5}\n"
