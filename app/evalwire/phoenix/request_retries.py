"""Retries of requests after transient errors."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential_jitter

from evalwire import clocks
from evalwire.phoenix.request_errors import is_transient, reason, status_of
from evalwire.usercode import wait_asked

if TYPE_CHECKING:
    from evalwire.phoenix.retry_policy import RetryPolicy


T = TypeVar("T")

log = logging.getLogger("evalwire.phoenix")


def retry(
    request: Callable[[int], T],
    what: str,
    policy: RetryPolicy,
    *,
    give_up: Callable[[], bool] = lambda: False,
) -> T:
    """Retry a request until it succeeds, fails with a permanent error, or exhausts the policy.

    Args:
        request: called with the timeout of the attempt, in whole seconds.
        what: the operation's name in the log: "could not {what} (...); retrying in 0.7 s (attempt 2 of 5)".
        policy: the limits on attempts and time.
        give_up: called after each error; True ends the retries.

    Raises:
        Exception: the original error of the last attempt.
    """
    deadline = clocks.monotonic() + policy.total_seconds
    longest_try = policy.longest_try_seconds or policy.total_seconds / 2
    server_errors = 0
    backoff = wait_exponential_jitter(
        initial=policy.first_wait_seconds, max=policy.longest_wait_seconds, jitter=policy.first_wait_seconds
    )

    def seconds_left() -> float:
        return max(0.0, deadline - clocks.monotonic())

    def wait(state: RetryCallState) -> float:
        return min(max(backoff(state), _asked_seconds(state)), seconds_left())

    def most_tries(state: RetryCallState) -> int | None:
        until_500s = state.attempt_number + policy.server_error_attempts - server_errors if server_errors else None
        return min((most for most in (policy.attempts, until_500s) if most is not None), default=None)

    def stop(state: RetryCallState) -> bool:
        nonlocal server_errors
        server_errors += status_of(_error_of(state)) == HTTPStatus.INTERNAL_SERVER_ERROR
        most = most_tries(state)
        return (most is not None and state.attempt_number >= most) or seconds_left() <= _asked_seconds(state)

    def announce(state: RetryCallState) -> None:
        tried, most = state.attempt_number, most_tries(state)
        if most is None and tried & (tried - 1):
            return  # a long outage logs attempts 1, 2, 4, 8, ...
        limit = f", for another {seconds_left():.0f} s" if most is None else f" of {most}"
        why, seconds = reason(_error_of(state)), state.upcoming_sleep
        log.warning("could not %s (%s); retrying in %.1f s (attempt %d%s)", what, why, seconds, tried + 1, limit)

    retrying = Retrying(
        sleep=policy.sleep,
        stop=stop,
        wait=wait,
        retry=retry_if_exception(lambda error: is_transient(error) and not give_up()),
        before_sleep=announce,
        reraise=True,
    )
    return retrying(lambda: request(max(1, round(min(seconds_left(), longest_try)))))


def _error_of(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _asked_seconds(state: RetryCallState) -> float:
    """Return the seconds to wait that the server requested."""
    error = _error_of(state)
    return (wait_asked(error) if error is not None else None) or 0.0
