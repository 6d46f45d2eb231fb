"""Say how often and how long a request to Phoenix is retried."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long to keep trying one request; exponential waits with jitter between the tries.

    Attributes:
        attempts: tries in all, the first one included; None for as many as there is time for.
        total_seconds: for all tries of one request and the waits between them.
        first_wait_seconds: the shortest first wait; each further one is twice as long.
        longest_wait_seconds: of one wait, unless the server asks for more by `Retry-After`.
        longest_try_seconds: of one request, so that a request that hangs leaves time for others; None for half of
            `total_seconds`.
        sleep: injectable, so that tests do not wait.
    """

    attempts: int | None = 5
    total_seconds: float = 120.0
    first_wait_seconds: float = 0.5
    longest_wait_seconds: float = 30.0
    longest_try_seconds: float | None = None
    sleep: Callable[[float], None] = time.sleep

    @classmethod
    def for_records(cls, total_seconds: float) -> RetryPolicy:
        """Return the policy for what was paid for: as many tries as there is time for.

        No try begins long after the end of an outage.
        """
        longest_try = min(60.0, total_seconds / 3)
        return cls(
            attempts=None, total_seconds=total_seconds, longest_wait_seconds=10.0, longest_try_seconds=longest_try
        )
