"""The policy for retries of requests to Phoenix."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """The limits on attempts of a request; waits between attempts grow exponentially, with jitter.

    Attributes:
        attempts: the maximum number of attempts, including the first; None for no limit other than time.
        total_seconds: the time limit for all attempts and waits.
        first_wait_seconds: the minimum of the first wait; each further wait is twice as long.
        longest_wait_seconds: the maximum of a wait, unless the server requests more by `Retry-After`.
        longest_try_seconds: the timeout of an attempt; None for half of `total_seconds`.
        server_error_attempts: the maximum number of attempts from the first HTTP 500. For an example or run that does
            not exist, Phoenix always returns this status; for an upload, also if another upload disturbed it.
        sleep: the function that waits, replaceable in tests.
    """

    attempts: int | None = 5
    total_seconds: float = 120.0
    first_wait_seconds: float = 0.5
    longest_wait_seconds: float = 30.0
    longest_try_seconds: float | None = None
    server_error_attempts: int = 3
    sleep: Callable[[float], None] = time.sleep

    @classmethod
    def for_records(cls, total_seconds: float) -> RetryPolicy:
        """Return the policy for paid results: any number of attempts within the time limit.

        Waits are short, so that an attempt starts soon after the end of an outage.
        """
        longest_try = min(60.0, total_seconds / 3)
        return cls(
            attempts=None, total_seconds=total_seconds, longest_wait_seconds=10.0, longest_try_seconds=longest_try
        )
