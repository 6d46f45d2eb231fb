"""Retries of a call, apart from the engine."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from evalwire.engine import call_retries
from evalwire.engine.call_retries import CallRetries
from evalwire.engine.concurrency import Pace
from evalwire.engine.purse import Purse, Reservation
from evalwire.model import Budget


class Attempt:
    """A call that failed, or that was skipped because the job ends."""

    def __init__(self, *, is_skipped: bool) -> None:
        self.is_skipped, self.is_started = is_skipped, not is_skipped
        self.error = None if is_skipped else ConnectionResetError()
        self.failure = self.error and SimpleNamespace(message="reset")
        self.value, self.usage = None, ()
        self.callee = SimpleNamespace(on_loop=True)

    async def over(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_retries, "_FIRST_WAIT", 0.001)


def outcome(*attempts: Attempt) -> Any:
    async def main() -> Any:
        pace, given = Pace(1), iter(attempts)
        retries = CallRetries(
            pace, asyncio.Event(), Purse(Budget()), retries=3, retry_on=(), on_rate_limit=lambda _: None
        )

        def begin(on_end: Any) -> Any:
            attempt = next(given)
            if attempt.is_started:
                on_end(attempt)
            return attempt

        return await retries.outcome(
            begin,
            lambda result: (result.attempts, result.failure),
            ticket=pace.try_acquire(),
            reservation=Reservation(),
        )

    return asyncio.run(main())


def test_a_call_that_was_skipped_has_no_result():
    assert outcome(Attempt(is_skipped=True)) is None


def test_a_retry_that_was_skipped_leaves_the_failure_before_it():
    first = Attempt(is_skipped=False)
    assert outcome(first, Attempt(is_skipped=True)) == (1, first.failure)
