"""One retry policy for every request over the network: which errors are worth another try, and for how long."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from evalwire.usercode import wait_asked

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from tenacity import RetryCallState


T = TypeVar("T")

log = logging.getLogger("evalwire.phoenix")

_RETRIED_4XX = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)

_SERVER_ERROR_TRIES = 3  # an example or run that does not exist is a 500 from Phoenix for ever, with resets between


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long to keep trying one request; exponential waits with jitter between the tries.

    Attributes:
        attempts: tries in all, the first one included; None for as many as there is time for.
        total_seconds: for all tries of one request and the waits between them.
        first_wait_seconds: the shortest first wait; each further one is twice as long.
        longest_wait_seconds: of one wait, unless the server asks for more by `Retry-After`.
        longest_try_seconds: of one request, so that one that hangs leaves time for others; None for half of it all.
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
        """For what was paid for: as many tries as there is time for, none of them far behind the end of an outage."""
        longest_try = min(60.0, total_seconds / 3)
        return cls(
            attempts=None, total_seconds=total_seconds, longest_wait_seconds=10.0, longest_try_seconds=longest_try
        )


def retry(
    request: Callable[[int], T],
    what: str,
    policy: RetryPolicy,
    *,
    give_up: Callable[[], bool] = lambda: False,
) -> T:
    """Make a request until it succeeds, its error is permanent, or the policy is used up.

    Args:
        request: called with the whole seconds that are left, for its own time-out.
        what: what is tried, for the log: "could not {what} (...); try 2 of 5 in 0.7 s".
        policy: how often and how long.
        give_up: asked after each error; True makes it the last try.

    Raises:
        Exception: the last try's error, as it was.
    """
    from tenacity import Retrying, retry_if_exception, wait_exponential_jitter  # noqa: PLC0415 - 50 ms

    deadline = time.monotonic() + policy.total_seconds
    backoff = wait_exponential_jitter(
        initial=policy.first_wait_seconds, max=policy.longest_wait_seconds, jitter=policy.first_wait_seconds
    )

    def left() -> float:
        return max(0.0, deadline - time.monotonic())

    def wait(state: RetryCallState) -> float:
        return min(max(backoff(state), _asked(_error_of(state))), left())

    server_errors = 0

    def stop(state: RetryCallState) -> bool:
        nonlocal server_errors
        error = _error_of(state)
        server_errors += status_of(error) == HTTPStatus.INTERNAL_SERVER_ERROR
        most = most_tries(state)
        return (most is not None and state.attempt_number >= most) or left() <= _asked(error)

    def most_tries(state: RetryCallState) -> int | None:
        until_500s = state.attempt_number + _SERVER_ERROR_TRIES - server_errors if server_errors else None
        return min((most for most in (policy.attempts, until_500s) if most is not None), default=None)

    def announce(state: RetryCallState) -> None:
        tried, most = state.attempt_number, most_tries(state)
        if most is None and tried & (tried - 1):
            return  # in a long outage, tries 1, 2, 4, 8, ... are told
        log.warning(
            "could not %s (%s); try %d%s in %.1f s",
            what,
            reason(_error_of(state)),
            tried + 1,
            f", for another {left():.0f} s," if most is None else f" of {most}",
            state.next_action.sleep if state.next_action else 0.0,
        )

    retrying = Retrying(
        sleep=policy.sleep,
        stop=stop,
        wait=wait,
        retry=retry_if_exception(lambda error: is_transient(error) and not give_up()),
        before_sleep=announce,
        reraise=True,
    )
    longest_try = policy.longest_try_seconds or policy.total_seconds / 2
    return retrying(lambda: request(max(1, round(min(left(), longest_try)))))


def _error_of(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _asked(error: BaseException | None) -> float:
    """Seconds that the server asked to wait."""
    return (wait_asked(error) if error is not None else None) or 0.0


def is_transient(error: BaseException | None) -> bool:
    """Whether the same request may succeed a moment later: no answer, 429, a 5xx, or half a body."""
    status = status_of(error)
    if status is not None:
        return status in _RETRIED_4XX or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    import httpx  # noqa: PLC0415 - a quarter of a second that `--help` need not pay

    if isinstance(error, httpx.UnsupportedProtocol):
        return False
    # ValueErrors of decoding: a page in another encoding, half of a letter
    return isinstance(error, httpx.TransportError | httpx.DecodingError | json.JSONDecodeError | UnicodeDecodeError)


def _response_of(error: BaseException | None) -> httpx.Response | None:
    """The answer that an error carries, itself or as its cause."""
    while error is not None:
        response: httpx.Response | None = getattr(error, "response", None)
        if response is not None and hasattr(response, "status_code"):
            return response
        error = error.__cause__
    return None


def status_of(error: BaseException | None) -> int | None:
    """The HTTP status that an error carries, or None."""
    response = _response_of(error)
    return None if response is None else int(response.status_code)


def detail_of(error: BaseException) -> str:
    """What the server said of it: the `detail` of its JSON answer, or the answer's text."""
    response = _response_of(error)
    if response is None:
        return str(error)
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return str(response.text)
    return detail if isinstance(detail, str) else json.dumps(detail)


def reason(error: BaseException | None) -> str:
    """One line on why a request failed."""
    response = _response_of(error)
    if response is not None and error is not None:
        detail = " ".join(detail_of(error).split())
        return f"HTTP {response.status_code}" + (f", {detail[:300]}" if detail else "")
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return "the answer is not JSON, so this is no Phoenix, or a page or a proxy is in front of it"
    return f"{type(error).__name__}: {str(error) or 'no details'}"
