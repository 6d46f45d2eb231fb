"""Retry calls to user code."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from evalwire.model import total_usage
from evalwire.usercode import is_rate_limit, is_worth_retrying, wait_asked

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from evalwire.engine.concurrency import Pace, Ticket
    from evalwire.model import Failure, FailureStage, Usage
    from evalwire.usercode import Call


T = TypeVar("T")

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


class CallRetries:
    """The retries of a job's calls: how often and when; none waits longer than the job.

    Args:
        pace: told what each call says of the provider's load.
        ends: happens when the job is to end; then nothing is retried.
        retries: further calls of one whose error is worth it; None for none, or a few after rate limits where `pace`
            looks for them.
        retry_on: `module.ExceptionName` of errors that are worth it too.
    """

    def __init__(self, pace: Pace, ends: asyncio.Event, *, retries: int | None, retry_on: Collection[str]) -> None:
        self._pace = pace
        self._ends = ends
        self._retries = retries
        self._retry_on = retry_on

    async def outcome(
        self,
        begin: Callable[[], Call],
        convert: Callable[[Any], T],
        *,
        stage: FailureStage,
        ticket: Ticket,
        first: Call,
    ) -> CallResult[T]:
        """Return the final outcome of a call, retries included.

        Args:
            begin: begins the next try of the call.
            convert: makes of what it returned what is wanted; an error of it is a failure that no retry mends.
            stage: of its failures.
            ticket: the place in flight that it has.
            first: the call, begun already.
        """
        call = first
        attempts = 1
        usage: Usage | None = ()
        while True:
            value, failure = await call.result(convert, stage=stage)
            if usage is not None:
                usage = None if call.usage is None else total_usage((usage, call.usage)) if usage else call.usage
            error = call.error
            is_limited = error is not None and is_rate_limit(error)
            asked = wait_asked(error) if error is not None else None
            if is_limited:
                self._pace.rate_limited(ticket, asked)
            if error is None or attempts > self._most_after(error, is_limited=is_limited):
                break
            backoff = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (attempts - 1))
            wait = max(asked or 0.0, backoff) * random.uniform(1.0, 1.25)  # noqa: S311 - so that not all come at once
            if (asked or 0.0) > _LONGEST_ASKED or await self._ends_within(wait):
                break
            attempts += 1
            call = begin()
        if failure is None:
            self._pace.succeeded(ticket)
        return CallResult(call, attempts, value, failure, usage)

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
