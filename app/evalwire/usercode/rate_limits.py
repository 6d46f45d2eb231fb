"""Interpretation of errors from providers' clients: rate limits, errors worth a retry, and waiting times."""

from __future__ import annotations

import contextlib
import math
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from evalwire import clocks
from evalwire.usercode.chains import links, name_of

_OVERLOADED = 529  # Anthropic's

_LIMITED = frozenset({HTTPStatus.TOO_MANY_REQUESTS, _OVERLOADED})

_PASSING = frozenset(  # as in the providers' own clients
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,  # a timeout on a lock
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,  # from a gateway in front of the provider, as the next two are
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
        *range(520, 525),  # from a content delivery network whose origin does not answer
    }
)

_GRPC = {
    "RESOURCE_EXHAUSTED": HTTPStatus.TOO_MANY_REQUESTS,
    "INTERNAL": HTTPStatus.INTERNAL_SERVER_ERROR,
    "UNAVAILABLE": HTTPStatus.SERVICE_UNAVAILABLE,
    "DEADLINE_EXCEEDED": HTTPStatus.GATEWAY_TIMEOUT,
}

_LIMITED_CLASSES = frozenset({"ResourceExhausted", "TooManyRequests"})

_USED_UP = "insufficient_quota"  # OpenAI's; also a 429, but waiting does not help

_LIMITED_AWS = frozenset({"throttling", "throttlingexception", "toomanyrequestsexception"})

_PASSING_CLASSES = ("Timeout", "TimeoutError", "ConnectionError", "ConnectError", "NetworkError", "RemoteProtocolError")

_RESET = re.compile(r"x-ratelimit-reset(-[\w-]+)?|anthropic-ratelimit-[\w-]+-reset")

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[dhms]))+")

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[dhms])")

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

_EARLIEST_TIMESTAMP = 1e9  # in 2001; smaller numbers are waiting times

_EARLIEST_MILLISECONDS = 1e11


def is_rate_limit(error: BaseException) -> bool:
    """Check whether a provider limited the rate: HTTP 429 or 529, gRPC's RESOURCE_EXHAUSTED, AWS's throttling.

    The check includes the causes and contexts of the error, and the members of groups.
    """
    return any(_is_limit(link) for link in links(error))


def is_worth_retrying(error: BaseException, also: Collection[str] = ()) -> bool:
    """Check whether a retry may succeed: after a rate limit, a timeout, a lost connection, or a server's 5xx.

    Args:
        error: the exception from user code. Exits and cancellations count only if `also` has them.
        also: additional exceptions to retry, or their base classes, as `module.Name`; builtins as `Name`.
    """
    behind = list(links(error))
    if any(_is_named(link, name) for link in behind for name in also):
        return True
    return issubclass(type(error), Exception) and any(_is_limit(link) or _is_passing(link) for link in behind)


def refusal_of(error: BaseException) -> str | None:
    """Return a provider's permanent refusal, for example `HTTP 400`; None if the error has no response.

    Args:
        error: the exception from user code, which is not worth retrying.
    """
    for link in links(error):
        if _text(_get(link, "code")) == _USED_UP:
            return _USED_UP
        errors = (status for status in _statuses(link) if 400 <= status <= 599)  # noqa: PLR2004 - HTTP's errors
        if (status := next(errors, None)) is not None:
            return f"HTTP {status}"
    return None


def wait_asked(error: BaseException, now: Callable[[], float] = clocks.timestamp) -> float | None:
    """Return the seconds that the provider asked to wait, without an upper limit; None if it did not ask.

    `Retry-After` (RFC 9110, 10.2.3) takes precedence; its variant in milliseconds is preferred. Without it, the latest
    reset among the exhausted limits counts. If no limit is reported as exhausted, limits without a remaining count are
    used.

    Args:
        error: the exception from user code; the longest wait counts if there are several responses.
        now: a function that returns the seconds since the epoch.
    """
    waits = [_wait(headers, now()) for link in links(error) for headers in _headers(link)]
    return max((wait for wait in waits if wait is not None), default=None)


def _get(holder: object, *names: str) -> Any:
    """Return the attribute or item at the end of a path, or None."""
    for name in names:
        try:
            holder = holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
        except BaseException:  # a property may raise anything
            return None
    return holder


def _text(value: object) -> str:
    return str.__str__(value) if issubclass(type(value), str) else ""


def _statuses(error: BaseException) -> Iterator[int]:
    """Yield every HTTP status of an error; a gRPC status becomes its HTTP equivalent."""
    if not issubclass(type(error), Exception):  # the `code` of SystemExit is not a status
        return
    code = _get(error, "code")
    if callable(code):
        with contextlib.suppress(BaseException):
            code = code()
    for value in (
        code,
        _get(error, "status_code"),
        _get(error, "status"),
        _get(error, "http_status"),
        _get(error, "response", "status_code"),
        _get(error, "response", "status"),
        _get(error, "response", "ResponseMetadata", "HTTPStatusCode"),
    ):
        if issubclass(type(value), int):
            yield int.__index__(value)
        elif (name := _text(_get(value, "name"))) in _GRPC:
            yield _GRPC[name]


def _is_limit(error: BaseException) -> bool:
    if _text(_get(error, "code")) == _USED_UP:
        return False
    return (
        not _LIMITED.isdisjoint(_statuses(error))
        or not _LIMITED_CLASSES.isdisjoint(name_of(base) for base in type(error).__mro__)
        or _text(_get(error, "response", "Error", "Code")).lower() in _LIMITED_AWS  # event streams use lowercase
    )


def _is_passing(error: BaseException) -> bool:
    named = any(name_of(base).endswith(_PASSING_CLASSES) for base in type(error).__mro__)
    return named or not _PASSING.isdisjoint(_statuses(error))


def _is_named(error: BaseException, name: str) -> bool:
    """Check whether the error's class has this name in its own module or in a loaded module that exports it."""
    module, _, attribute = name.rpartition(".")
    module = module or "builtins"
    offered = getattr(sys.modules.get(module), "__dict__", {}).get(attribute)
    return any(
        base is offered or f"{base.__module__}.{base.__qualname__}" == f"{module}.{attribute}"
        for base in type(error).__mro__
    )


def _headers(error: BaseException) -> Iterator[dict[str, str]]:
    """Yield the headers of an error's responses, with lowercase names."""
    for path in (("headers",), ("response", "headers"), ("response", "ResponseMetadata", "HTTPHeaders")):
        found: dict[str, str] = {}
        with contextlib.suppress(BaseException):  # None, or an unrelated attribute of this name
            found = {str(name).lower(): str(value).strip() for name, value in _get(error, *path).items()}
        yield found


def _wait(headers: Mapping[str, str], now: float) -> float | None:
    exact = _seconds(headers.get("retry-after-ms", ""), now)
    wait = _seconds(headers.get("retry-after", ""), now) if exact is None else exact / 1000
    if wait is not None:
        return wait
    used_up: list[float] = []
    unclear: list[float] = []
    for name in filter(_RESET.fullmatch, headers):
        seconds, remaining = _seconds(headers[name], now), headers.get(name.replace("reset", "remaining"))
        if seconds is not None and remaining in {None, "0"}:
            (unclear if remaining is None else used_up).append(seconds)
    return max(used_up or unclear, default=None)


def _seconds(text: str, now: float) -> float | None:
    """Parse a wait: seconds, a duration such as 1h2m3s, or the time of its end in any usual form."""
    try:
        number = float(text)
    except ValueError:
        if _DURATION.fullmatch(text):
            return sum(float(count) * _UNITS[unit] for count, unit in _PART.findall(text))
        moment = _moment(text)
        return None if moment is None else max(0.0, moment - now)
    if math.isnan(number):
        return None
    if number > _EARLIEST_TIMESTAMP:
        number = (number / 1000 if number > _EARLIEST_MILLISECONDS else number) - now
    return max(0.0, number)


def _moment(text: str) -> float | None:
    """Convert an ISO time or an HTTP date to seconds since the epoch; without a time zone, it is in UTC."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        with contextlib.suppress(ValueError, OverflowError):
            moment = read(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return None
