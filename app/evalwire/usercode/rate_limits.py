"""What the errors of providers' clients say of load: a rate limit, worth another try, how long to wait."""

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

_PASSING = frozenset(  # as the providers' own clients have it
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,  # of a lock that was not free in time
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,  # this one and the next are a gateway's, in front of the provider
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
        *range(520, 525),  # of a content delivery network whose origin does not answer
    }
)

_GRPC = {
    "RESOURCE_EXHAUSTED": HTTPStatus.TOO_MANY_REQUESTS,
    "INTERNAL": HTTPStatus.INTERNAL_SERVER_ERROR,
    "UNAVAILABLE": HTTPStatus.SERVICE_UNAVAILABLE,
    "DEADLINE_EXCEEDED": HTTPStatus.GATEWAY_TIMEOUT,
}

_LIMITED_CLASSES = frozenset({"ResourceExhausted", "TooManyRequests"})

_USED_UP = "insufficient_quota"  # OpenAI's, a 429 too; no wait helps

_LIMITED_AWS = frozenset({"throttling", "throttlingexception", "toomanyrequestsexception"})

_PASSING_CLASSES = ("Timeout", "TimeoutError", "ConnectionError", "ConnectError", "NetworkError", "RemoteProtocolError")

_RESET = re.compile(r"x-ratelimit-reset(-[\w-]+)?|anthropic-ratelimit-[\w-]+-reset")

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[dhms]))+")

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[dhms])")

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

_EARLIEST_TIMESTAMP = 1e9  # in 2001; a smaller number is a wait

_EARLIEST_MILLISECONDS = 1e11


def is_rate_limit(error: BaseException) -> bool:
    """Check whether a provider refused for load: HTTP 429 or 529, gRPC's RESOURCE_EXHAUSTED, AWS's throttling.

    Seen also in what caused the error, in what was being handled when it was raised, and in the members of a group.
    """
    return any(_is_limit(link) for link in links(error))


def is_worth_retrying(error: BaseException, also: Collection[str] = ()) -> bool:
    """Check whether the same call may soon succeed: a rate limit, a timeout, a lost connection, a server's 5xx.

    Args:
        error: what the user's code raised. An exit or a cancellation counts only where `also` names it.
        also: further exceptions, or bases of them, as `module.Name`; builtins as `Name`.
    """
    behind = list(links(error))
    if any(_is_named(link, name) for link in behind for name in also):
        return True
    return issubclass(type(error), Exception) and any(_is_limit(link) or _is_passing(link) for link in behind)


def refusal_of(error: BaseException) -> str | None:
    """Return what a provider answered that no retry mends, such as `HTTP 400`; None where it answered nothing.

    Args:
        error: what the user's code raised, which is not worth retrying.
    """
    for link in links(error):
        if _text(_get(link, "code")) == _USED_UP:
            return _USED_UP
        if (status := next((one for one in _statuses(link) if 400 <= one <= 599), None)) is not None:  # noqa: PLR2004 - the errors of HTTP
            return f"HTTP {status}"
    return None


def wait_asked(error: BaseException, now: Callable[[], float] = clocks.timestamp) -> float | None:
    """Seconds that the provider asked to wait, however many; None when its answer says nothing of it.

    `Retry-After` (RFC 9110, 10.2.3) wins, in milliseconds where it comes in both; else the latest reset of the
    limits that are used up, or of those that do not tell what remains.

    Args:
        error: what the user's code raised; of several answers behind it, the longest wait counts.
        now: seconds since the epoch.
    """
    waits = [_wait(headers, now()) for link in links(error) for headers in _headers(link)]
    return max((wait for wait in waits if wait is not None), default=None)


def _get(holder: object, *names: str) -> Any:
    """An attribute or an item at the end of a path, or None."""
    for name in names:
        try:
            holder = holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
        except BaseException:  # a property of the library's, or of the user's, which may raise anything
            return None
    return holder


def _text(value: object) -> str:
    return str.__str__(value) if issubclass(type(value), str) else ""


def _statuses(error: BaseException) -> Iterator[int]:
    """Every HTTP status that an error carries; a gRPC one as its HTTP equivalent."""
    if not issubclass(type(error), Exception):  # the code of a SystemExit is none
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
        or (
            _text(_get(error, "response", "Error", "Code")).lower() in _LIMITED_AWS
        )  # in an event stream its first letter is small
    )


def _is_passing(error: BaseException) -> bool:
    named = any(name_of(base).endswith(_PASSING_CLASSES) for base in type(error).__mro__)
    return named or not _PASSING.isdisjoint(_statuses(error))


def _is_named(error: BaseException, name: str) -> bool:
    """Check whether it is of this class, called by where it is defined or by where a loaded module offers it."""
    module, _, attribute = name.rpartition(".")
    module = module or "builtins"
    offered = getattr(sys.modules.get(module), "__dict__", {}).get(attribute)
    return any(
        base is offered or f"{base.__module__}.{base.__qualname__}" == f"{module}.{attribute}"
        for base in type(error).__mro__
    )


def _headers(error: BaseException) -> Iterator[dict[str, str]]:
    """The headers of the answers that an error carries, their names in small letters."""
    for path in (("headers",), ("response", "headers"), ("response", "ResponseMetadata", "HTTPHeaders")):
        found: dict[str, str] = {}
        with contextlib.suppress(BaseException):  # None, or something else of that name
            found = {str(name).lower(): str(value).strip() for name, value in _get(error, *path).items()}
        yield found


def _wait(headers: Mapping[str, str], now: float) -> float | None:
    exact = _seconds(headers.get("retry-after-ms", ""), now)
    wait = _seconds(headers.get("retry-after", ""), now) if exact is None else exact / 1000
    if wait is not None:
        return wait
    used_up: list[float] = []
    untold: list[float] = []
    for name in filter(_RESET.fullmatch, headers):
        seconds, remaining = _seconds(headers[name], now), headers.get(name.replace("reset", "remaining"))
        if seconds is not None and remaining in {None, "0"}:
            (untold if remaining is None else used_up).append(seconds)
    return max(used_up or untold, default=None)


def _seconds(text: str, now: float) -> float | None:
    """A wait, given as seconds, as a duration like 1h2m3s, or as the moment of its end in any usual form."""
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
    """Seconds since the epoch of an ISO time or an HTTP date; one without a zone is in UTC."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        with contextlib.suppress(ValueError, OverflowError):
            moment = read(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return None
