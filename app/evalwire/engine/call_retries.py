"""Retries of calls to user code."""

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
    from evalwire.engine.purse import Purse, Reservation
    from evalwire.model import Failure, Usage
    from evalwire.usercode import Call


T = TypeVar("T")
R = TypeVar("R")

_AUTO_RETRIES = 5  # after rate limits, which "auto" concurrency provokes on purpose

_FIRST_WAIT = 1.0  # seconds before the first retry; doubled for each further retry

_LONGEST_WAIT = 60.0

_LONGEST_ASKED = 600.0  # seconds; the call fails if a provider asks to wait longer


@dataclasses.dataclass(frozen=True, slots=True)
class CallResult(Generic[T]):
    """The result of a call to user code, after retries.

    Attributes:
        call: the last attempt.
        attempts: the number of attempts.
        value: the converted return value; None after a failure.
        failure: the failure, or None.
        usage: the language model usage of all attempts; None if it is unknown for any attempt.
    """

    call: Call
    attempts: int
    value: T | None
    failure: Failure | None
    usage: Usage | None


class _Tries(Generic[R]):
    """The attempts of a call, and the settled result."""

    def __init__(self, settle: Callable[[CallResult[Any]], R]) -> None:
        self.count = 0
        self._settle = settle
        self._usage: Usage | None = ()
        self._settled: list[R] = []

    def ended(self, call: Call) -> None:
        """Record the end of an attempt; settle a successful attempt immediately, because it is the last."""
        self.count += 1
        if self._usage is not None:
            self._usage = None if call.usage is None else total_usage((self._usage, call.usage))
        if call.error is None:
            self._settled.append(self._settle(self._outcome(call)))

    def result_of(self, call: Call) -> R:
        """Return the settled result; settle the call first if its last attempt failed."""
        return self._settled[0] if self._settled else self._settle(self._outcome(call))

    def _outcome(self, call: Call) -> CallResult[Any]:
        return CallResult(call, self.count, call.value, call.failure, self._usage)


class CallRetries:
    """The retry policy for a job's calls; waiting ends when the job ends.

    Args:
        pace: the pace, which is notified of rate limits.
        ends: the event for the end of the job, after which calls are not retried.
        purse: the budget of the job, which counts the usage of each attempt.
        retries: the number of retries of a call whose error is worth a retry. None for no retries, or for a few after
            rate limits if the limit of `pace` is "auto".
        retry_on: additional exceptions to retry, as `module.ExceptionName`.
        on_rate_limit: a function that receives the seconds for which a rate limit delays calls.
    """

    def __init__(
        self,
        pace: Pace,
        ends: asyncio.Event,
        purse: Purse,
        *,
        retries: int | None,
        retry_on: Collection[str],
        on_rate_limit: Callable[[float], object],
    ) -> None:
        self._pace = pace
        self._ends = ends
        self._purse = purse
        self._retries = retries
        self._retry_on = retry_on
        self._on_rate_limit = on_rate_limit

    async def outcome(
        self,
        begin: Callable[[Callable[[Call], None]], Call],
        settle: Callable[[CallResult[Any]], R],
        *,
        ticket: Ticket,
        reservation: Reservation,
    ) -> R | None:
        """Make a call, retry it as needed, and return the value of `settle` for its final result.

        Returns:
            None if the call was skipped.

        Args:
            begin: a function that starts an attempt and passes its end to the given callback.
            settle: a function that saves the result. For a successful call, it runs before any other code.
            ticket: the ticket of the call's example.
            reservation: the part of the budget of the call's run.
        """
        tries = _Tries(settle)
        call: Call | None = None
        while True:
            attempt = await self._attempt(begin(tries.ended), reservation)
            if attempt.is_skipped:
                break
            call = attempt
            if (error := call.error) is None or not await self._is_retried(
                call, error, tries.count, ticket, reservation
            ):
                break
        if call is None:
            return None
        if call.failure is None:
            self._pace.succeeded(ticket)
        return tries.result_of(call)

    async def _is_retried(
        self, call: Call, error: BaseException, attempts: int, ticket: Ticket, reservation: Reservation
    ) -> bool:
        """Check whether a failed call is retried, and wait until it is."""
        is_limited = is_rate_limit(error)
        asked = wait_asked(error) or 0.0
        if is_limited:
            self._slow_down(ticket, asked)
        if attempts > (most := self._most_after(error, is_limited=is_limited)):
            if self._retries and not most and (refusal := refusal_of(error)) is not None:
                call.add_to_failure(f"not retried: {refusal}")
            return False
        backoff = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (attempts - 1))
        wait = max(asked, backoff) * random.uniform(1.0, 1.25)  # noqa: S311 - spreads the retries
        if asked > _LONGEST_ASKED:
            call.add_to_failure(f"not retried: the provider asked to wait {asked:.0f} s")
            return False
        return self._has_budget(call, reservation) and not await self._ends_within(wait, is_limited=is_limited)

    async def _attempt(self, call: Call, reservation: Reservation) -> Call:
        """Wait for the end of a call, and count its usage, also if the wait is cancelled."""
        try:
            await call.over()
        finally:
            if call.is_started:
                self._purse.pay(reservation, call.usage)
        return call

    def _has_budget(self, call: Call, reservation: Reservation) -> bool:
        """Check whether the budget allows a retry of a failed call."""
        if self._purse.allows_retry(reservation):
            return True
        call.add_to_failure("not retried: the budget does not allow it")
        return False

    def _most_after(self, error: BaseException, *, is_limited: bool) -> int:
        """Return the maximum number of retries after this error."""
        if self._retries is None:
            return _AUTO_RETRIES if is_limited and self._pace.is_auto else 0
        return self._retries if is_worth_retrying(error, self._retry_on) else 0

    def _slow_down(self, ticket: Ticket, asked: float) -> None:
        """Lower the pace after a rate limit."""
        self._pace.rate_limited(ticket, asked)
        if pause := self._pace.pause_seconds:
            self._on_rate_limit(pause)

    async def _ends_within(self, seconds: float, *, is_limited: bool) -> bool:
        """Wait, for a rate limit or after another error, and return whether the job should end."""
        if is_limited:
            self._on_rate_limit(seconds)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ends.wait(), seconds)
        return self._ends.is_set()
