"""An error whose message does not say what to do is told with it."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

import pytest
from engine_seams import experiment, go

from evalwire.usercode import failure_of

_database = sqlite3.connect(":memory:")
_loop = asyncio.new_event_loop()
_at_import = _loop.create_future()
_loop.close()


@pytest.fixture(scope="module", autouse=True)
def _close():
    yield
    _database.close()


async def later():
    return 1


async def runs_a_loop(example):
    made = later()
    try:
        return asyncio.run(made)
    finally:
        made.close()


async def runs_the_loop(example):
    made = later()
    try:
        return asyncio.get_running_loop().run_until_complete(made)
    finally:
        made.close()


async def of_another_loop(example):
    return await _at_import


def without_a_loop(input):
    return asyncio.get_running_loop()


async def asks_the_database(example):
    return _database.execute("select 1").fetchone()


def asks_the_database_on_a_thread(input):
    return _database.execute("select 1").fetchone()


async def takes_an_item(input):
    return input["q"]


async def takes_an_attribute(example):
    return example.q


WHOLE = "this is the whole example; the input is `example.input`"


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (
            runs_a_loop,
            "asyncio.run() cannot be called from a running event loop; await the coroutine, or make the",
        ),
        (runs_the_loop, "This event loop is already running; await the coroutine"),
        (
            of_another_loop,
            "attached to a different loop; the object belongs to an event loop from import time: create it",
        ),
        (without_a_loop, "no running event loop; create the object in an `async def`"),
        (asks_the_database, "; calls and imports run on different threads: connect with `check_same_thread=False`"),
        (asks_the_database_on_a_thread, "; calls and imports run on different threads"),
        (takes_an_item, f"'q'; {WHOLE}"),
        (takes_an_attribute, f"'Example' object has no attribute 'q'; {WHOLE}"),
    ],
)
def test_a_failure_says_what_to_do(task, message):
    (result,) = go(experiment(task, name="set_1")).results
    assert message in result.runs[0].failure.message


@pytest.mark.parametrize(
    "error", [RuntimeError("no"), KeyError("q"), AttributeError("x"), sqlite3.ProgrammingError("no")]
)
def test_other_errors_stand_alone(error: Any):
    with pytest.raises(type(error)) as caught:
        raise error
    assert failure_of(caught.value, stage="task").message == str(error)
