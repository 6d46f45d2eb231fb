"""Retry calls to user code."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from evalwire.model import total_usage
from evalwire.usercode import is_rate_limit, is_worth_retrying, refusal_of, wait_asked

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from evalwire.engine.concurrency import Pace, Ticket
    from evalwire.engine.turns import Turns
    from evalwire.model import Failure, Usage
    from evalwire.usercode import Call


T = TypeVar("T")
R = TypeVar("R")

_AUTO_RETRIES = 5  # of rate limits, which an "auto" concurrency runs into on purpose

_FIRST_WAIT = 1.0  # seconds before the first retry; twice as long before each further one

_LONGEST_WAIT = 60.0

_LONGEST_ASKED = 600.0  # of what a provider may ask for; beyond it the call has failed


@dataclasses.dataclass(frozen=True, slots=True)
class CallResult(Generic[T]):
    """What the user's code came to on one example.

    Attributes:
        call: the last one.
        attempts: how many there were.
        value: what it returned, converted; None when it failed.
        failure: why it failed, or None.
        usage: what all of them used of language models; None when that is not known of each.
    """

    call: Call
    attempts: int
    value: T | None
    failure: Failure | None
    usage: Usage | None


class _Tries(Generic[R]):
    """The tries of one call, and the final outcome as it was written down."""

    def __init__(self, settle: Callable[[CallResult[Any]], R]) -> None:
        self.count = 0
        self._settle = settle
        self._usage: Usage | None = ()
        self._settled: list[R] = []

    def ended(self, call: Call) -> None:
        """Note the end of a try; settle at once what returned, since nothing will be tried after it."""
        self.count += 1
        if self._usage is not None:
            usage = call.usage
            self._usage = None if usage is None else total_usage((self._usage, usage)) if self._usage else usage
        if call.error is None:
            self._settled.append(self._settle(self._outcome(call)))

    def result_of(self, call: Call) -> R:
        """Return what was settled; settle what failed for good."""
        return self._settled[0] if self._settled else self._settle(self._outcome(call))

    def _outcome(self, call: Call) -> CallResult[Any]:
        return CallResult(call, self.count, call.value, call.failure, self._usage)


class CallRetries:
    """The retries of a job's calls: how often and when; none waits longer than the job.

    Args:
        pace: receives the rate limits that calls run into.
        turns: gives the turns of the event loop in which calls begin.
        ends: happens when the job is to end; then nothing is retried.
        retries: further calls of one whose error is worth it; None for none, or a few after rate limits where `pace`
            looks for them.
        retry_on: `module.ExceptionName` of errors that are worth it too.
    """

    def __init__(
        self, pace: Pace, turns: Turns, ends: asyncio.Event, *, retries: int | None, retry_on: Collection[str]
    ) -> None:
        self._pace = pace
        self._turns = turns
        self._ends = ends
        self._retries = retries
        self._retry_on = retry_on

    async def outcome(
        self, begin: Callable[[Callable[[Call], None]], Call], settle: Callable[[CallResult[Any]], R], *, ticket: Ticket
    ) -> R:
        """Return what `settle` makes of the final outcome of a call, retries included.

        Args:
            begin: begins a try of the call, which is to tell its end to what is given.
            settle: writes the outcome down. Of a call that returned, it is called before any other code runs.
            ticket: the place in flight that the call has.
        """
        tries = _Tries(settle)
        while True:
            call = begin(tries.ended)
            await call.over()
            error = call.error
            is_limited = error is not None and is_rate_limit(error)
            asked = wait_asked(error) if error is not None else None
            if is_limited:
                self._pace.rate_limited(ticket, asked)
            if error is None:
                break
            if tries.count > (most := self._most_after(error, is_limited=is_limited)):
                if self._retries and not most and (refusal := refusal_of(error)) is not None:
                    call.add_to_failure(f"not retried: {refusal}")
                break
            backoff = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (tries.count - 1))
            wait = max(asked or 0.0, backoff) * random.uniform(1.0, 1.25)  # noqa: S311 - so that not all come at once
            if (asked or 0.0) > _LONGEST_ASKED:
                call.add_to_failure(f"not retried: the provider asks to wait {asked:.0f} s")
                break
            if await self._ends_within(wait):
                break
            if call.callee.on_loop:
                await self._turns.take()
        if call.failure is None:
            self._pace.succeeded(ticket)
        return tries.result_of(call)

    def _most_after(self, error: BaseException, *, is_limited: bool) -> int:
        """Return how many times a call that ended in this error may be retried."""
        if self._retries is None:
            return _AUTO_RETRIES if is_limited and self._pace.is_auto else 0
        return self._retries if is_worth_retrying(error, self._retry_on) else 0

    async def _ends_within(self, seconds: float) -> bool:
        """Wait; whether the job is to end meanwhile."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ends.wait(), seconds)
        return self._ends.is_set()
