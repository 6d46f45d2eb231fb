"""What user code makes once works in every job of a process, and with what its imports have set."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import decimal
import gc
import subprocess
import sys
import threading
from pathlib import Path

import engine_seams
import pytest
from engine_seams import experiment, go

from evalwire.engine.limits import Stop
from evalwire.usercode import NOT_APPLICABLE


def contended(make):
    """A task of which three are in flight, all of which use what `make` makes, before they await."""
    made = []

    async def task(example):
        if not made:
            made.append(make())
        return await made[0](example.input["n"])

    return task


def semaphore():
    one = asyncio.Semaphore(1)

    async def use(n):
        async with one:
            await asyncio.sleep(0.001)
        return n

    return use


def lock():
    one = asyncio.Lock()

    async def use(n):
        async with one:
            await asyncio.sleep(0.001)
        return n

    return use


def event():
    one, waiting = asyncio.Event(), []

    async def use(n):
        waiting.append(n)
        if len(waiting) % 3 == 0:
            one.set()
        await one.wait()
        if len(waiting) == 3:
            one.clear()
        return n

    return use


def queue():
    one: asyncio.Queue[int] = asyncio.Queue(1)

    async def use(n):
        await asyncio.gather(one.put(n), one.get())
        return n

    return use


def condition():
    one = asyncio.Condition()

    async def use(n):
        async with one:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(one.wait(), 0.001)
        return n

    return use


def future():
    one = None

    async def use(n):
        nonlocal one
        if one is None:
            one = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(one.set_result, None)
        await one
        return n

    return use


def thread_pool():
    async def use(n):
        return await asyncio.to_thread(lambda: n)

    return use


def generator():
    async def numbers(n):
        yield n
        yield n

    async def use(n):
        async for number in numbers(n):  # never ended: the loop closes it
            return number
        return None

    return use


@pytest.mark.parametrize("make", [semaphore, lock, event, queue, condition, future, thread_pool, generator])
def test_two_jobs_of_a_process_share_what_was_made_once(make):
    task = contended(make)
    for _ in range(2):
        (result,) = go(experiment(task, name="set_3")).results
        assert [(run.output, run.failure) for run in result.runs] == [(n, None) for n in range(3)]
    assert not [one for one in threading.enumerate() if one.name.startswith("asyncio") and not one.daemon]


def test_jobs_at_once_have_loops_of_their_own():
    loops = []
    both = threading.Barrier(2, timeout=10)

    async def task(example):
        loops.append(asyncio.get_running_loop())
        both.wait()
        return 1

    jobs = [threading.Thread(target=go, args=(experiment(task, name="set_1"),)) for _ in range(2)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(20)
    assert len(set(loops)) == 2


@pytest.mark.parametrize("how", ["cancel", "close", "block", "stray"])
def test_a_loop_that_user_code_broke_is_not_used_again(how):
    """Nor is a loop on which a task of the user's goes on."""
    release, loops, strays = threading.Event(), [], []

    async def never():
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)

    async def breaking(example):
        loop = asyncio.get_running_loop()
        loops.append(loop)
        if how == "cancel":
            for one in asyncio.all_tasks():
                one.cancel()
        elif how == "close":  # as a library that patches the loop
            loop._thread_id = None
            loop.close()
        elif how == "stray":
            strays.append(loop.create_task(never()))
        else:
            release.wait(60)
        return 1

    async def task(example):
        loops.append(asyncio.get_running_loop())
        return 1

    stop = Stop()
    (result,) = go(experiment(breaking, name="set_1"), timeout_seconds=0.05, stop=stop).results
    assert result.passed is (how == "stray")
    if how in ("cancel", "close"):
        assert result.failure.message == "user code closed the event loop or cancelled every task on it"
    stop.request()  # the ended loop does not mind
    assert go(experiment(task, name="set_2")).results[0].passed
    assert loops[0] not in loops[1:]
    release.set()
    strays.clear()
    gc.collect()  # asyncio logs the lost tasks of the closed loop here, not in another test


asked = contextvars.ContextVar("asked", default="nothing")


@pytest.mark.parametrize("is_async", [True, False])
def test_tasks_see_what_imports_have_set_in_the_context(is_async):
    """And what a task sets is seen by no other."""

    async def as_coroutine(example):
        seen = [str(decimal.Decimal(1) / 3), asked.get()]
        asked.set("by a task")
        return seen

    def as_function(input):
        seen = [str(decimal.Decimal(1) / 3), asked.get()]
        asked.set("by a task")
        return seen

    def judge(output):
        return 1.0 if asked.get() == "at import" else NOT_APPLICABLE

    def job():
        decimal.getcontext().prec = 40
        asked.set("at import")
        return go(experiment(as_coroutine if is_async else as_function, judge, name="set_2"))

    (result,) = contextvars.copy_context().run(job).results
    assert [run.output for run in result.runs] == [["0." + "3" * 40, "at import"]] * 2
    assert [run.evaluations[0].score for run in result.runs] == [1.0, 1.0]


def test_a_process_ends_without_a_word_of_its_loop():
    code = f"""
import sys
sys.path.insert(0, {str(Path(engine_seams.__file__).parent)!r})
from engine_seams import experiment, go

async def task(example):
    return 1

for _ in range(2):
    go(experiment(task, name="set_1"))
"""
    ended = subprocess.run([sys.executable, "-X", "dev", "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
