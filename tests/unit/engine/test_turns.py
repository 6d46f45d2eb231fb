"""Turns of the event loop: short ones have several calls, and after a long one a call is alone in its turn."""

from __future__ import annotations

import asyncio
from collections import Counter
from types import SimpleNamespace

import pytest

from evalwire.engine import turns as module
from evalwire.engine.turns import Turns


class Machine:
    """A clock that only calls advance."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds

    def work(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(module, "clocks", machine)
    return machine


def numbers_of_calls(machine: Machine, *, seconds: list[float]) -> list[int]:
    """Start a call for each duration, all at once; return the number of calls of each turn."""

    async def main() -> list[int]:
        loop, turns = asyncio.get_running_loop(), Turns()
        turn, found = 0, []

        def next_turn() -> None:
            nonlocal turn
            turn += 1
            loop.call_soon(next_turn)

        next_turn()
        for duration in seconds:

            def begin(duration: float = duration) -> None:
                found.append(turn)
                loop.call_soon(machine.work, duration)  # the first step of the call

            turns.start(SimpleNamespace(is_awaited=True), begin)
        while len(found) < len(seconds):
            await asyncio.sleep(0)
        return list(Counter(found).values())

    return asyncio.run(main())


def test_each_short_turn_doubles_the_calls_of_the_next(machine):
    assert numbers_of_calls(machine, seconds=[0.0] * 63) == [1, 2, 4, 8, 16, 16, 16]


def test_calls_that_block_are_alone_in_their_turns(machine):
    assert numbers_of_calls(machine, seconds=[0.01] * 5) == [1] * 5


def test_after_a_long_turn_the_next_call_is_alone(machine):
    assert numbers_of_calls(machine, seconds=[0, 0, 0.01, 0, 0, 0]) == [1, 2, 1, 2]


def test_a_call_whose_caller_no_longer_waits_does_not_start_and_takes_no_turn():
    async def main() -> list[str]:
        turns, begun = Turns(), []
        for name in ("first", "cancelled", "second"):
            turns.start(SimpleNamespace(is_awaited=name != "cancelled"), lambda name=name: begun.append(name))
        await asyncio.sleep(0)
        return begun

    assert asyncio.run(main()) == ["first", "second"]
