"""Which errors of providers' clients are rate limits, which are worth another try, how long they ask to wait."""

from __future__ import annotations

import asyncio
import email.message
import enum
import io
import urllib.error
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import httpx
import pytest

from evalwire.usercode.rate_limits import is_rate_limit, is_worth_retrying, refusal_of, wait_asked

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def shaped(name: str, *bases: type[BaseException], **attributes: object) -> BaseException:
    """An error shaped as that of a library which is not imported here."""
    error = type(name, bases or (Exception,), {})("no")
    vars(error).update(attributes)
    return error


def http(status: int, **headers: str) -> httpx.HTTPStatusError:
    request = httpx.Request("POST", "http://provider/v1/messages")
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.HTTPStatusError("no", request=request, response=httpx.Response(status, headers=sent, request=request))


def urllib_error(status: int, **headers: str) -> urllib.error.HTTPError:
    message = email.message.Message()
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    error = urllib.error.HTTPError("http://provider", status, "no", message, io.BytesIO())
    error.close()  # from Python 3.14 on, one that is not closed warns
    return error


def aws(code: str, status: int | None = None, **headers: str) -> BaseException:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    metadata = {} if status is None else {"HTTPStatusCode": status, "HTTPHeaders": sent}
    return shaped("ClientError", response={"Error": {"Code": code}, "ResponseMetadata": metadata})


class StatusCode(enum.Enum):
    """As of grpc."""

    RESOURCE_EXHAUSTED = (8, "resource exhausted")
    UNAVAILABLE = (14, "unavailable")
    DEADLINE_EXCEEDED = (4, "deadline exceeded")
    INVALID_ARGUMENT = (3, "invalid argument")
    INTERNAL = (13, "internal")


def grpc(code: StatusCode) -> BaseException:
    return shaped("AioRpcError", code=lambda: code)


def caused(error: BaseException, *, cause: BaseException | None = None, context: BaseException | None = None):
    if cause is not None:
        error.__cause__ = cause  # which suppresses the context
    error.__context__ = context
    return error


class Hostile(Exception):
    """Every attribute that a caller may look at raises."""

    def _refuse(self):
        raise RuntimeError("not now")

    code = status = status_code = http_status = response = headers = property(_refuse)


RATE_LIMITS = {
    "openai": shaped("RateLimitError", status_code=429),
    "anthropic is overloaded": shaped("OverloadedError", status_code=529),
    "aiohttp": shaped("ClientResponseError", status=429),
    "an older client": shaped("RateLimitError", http_status=429),
    "google-genai, whose status is text": shaped("ClientError", code=429, status="RESOURCE_EXHAUSTED"),
    "google.api_core, by its class": shaped("ResourceExhausted", code=None),
    "google.api_core, by its base": shaped("Sub", type("TooManyRequests", (Exception,), {})),
    "urllib": urllib_error(429),
    "httpx": http(429),
    "a response of aiohttp's kind": shaped("Wrapped", response=SimpleNamespace(status=429)),
    "grpc": grpc(StatusCode.RESOURCE_EXHAUSTED),
    "botocore, by its status": aws("ModelNotReadyException", 429),
    "botocore, throttling": aws("Throttling", 400),
    "botocore, a throttling exception": aws("ThrottlingException", 400),
    "botocore, too many requests": aws("TooManyRequestsException", 400),
    "botocore, in an event stream": aws("throttlingException"),
    "its cause": caused(RuntimeError("chain failed"), cause=http(429)),
    "its context": caused(RuntimeError("chain failed"), context=http(429)),
    "a cause's context": caused(RuntimeError(), cause=caused(ValueError(), context=http(429))),
    "a member of a group": ExceptionGroup("two", [ValueError(), ExceptionGroup("one", [KeyError(), http(429)])]),
    "the cause of a member": ExceptionGroup("one", [caused(ValueError(), cause=http(529))]),
    "what hostile properties stood before": caused(Hostile(), cause=http(429)),
}
PASSING = {
    "builtin timeout": TimeoutError(),
    "httpx.ReadTimeout": httpx.ReadTimeout("slow"),
    "openai.APITimeoutError": shaped("APITimeoutError"),
    "requests.Timeout": shaped("Timeout", OSError),
    "a class of the user's below a timeout": shaped("Slow", type("ReadTimeout", (Exception,), {})),
    "builtin reset": ConnectionResetError(),
    "httpx.ConnectError": httpx.ConnectError("refused"),
    "httpcore.ConnectError": shaped("ConnectError"),
    "httpx.ReadError": httpx.ReadError("reset"),
    "httpx.RemoteProtocolError": httpx.RemoteProtocolError("cut"),
    "openai.APIConnectionError": shaped("APIConnectionError"),
    "requests.ConnectionError": shaped("ConnectionError", OSError),
    "408": http(408),
    "409, a lock": http(409),
    "500": http(500),
    "500 of openai": shaped("InternalServerError", status_code=500),
    "botocore, a defect of theirs": aws("InternalServerException", 500),
    "522": http(522),
    "grpc, a defect of theirs": grpc(StatusCode.INTERNAL),
    "502": http(502),
    "503": http(503),
    "504": urllib_error(504),
    "grpc, no answer": grpc(StatusCode.UNAVAILABLE),
    "grpc, too late": grpc(StatusCode.DEADLINE_EXCEEDED),
    "its cause": caused(RuntimeError("chain failed"), cause=httpx.ReadTimeout("slow")),
    "a member of a group": ExceptionGroup("two", [ValueError(), TimeoutError()]),
}
PERMANENT = {
    "400": http(400),
    "401": shaped("AuthenticationError", status_code=401),
    "404": urllib_error(404),
    "grpc, a wrong request": grpc(StatusCode.INVALID_ARGUMENT),
    "botocore, a wrong request": aws("ValidationException", 400),
    "a defect": KeyError("answer"),
    "a missing file": FileNotFoundError(2, "no such file"),
    "another OSError": OSError("disk full"),
    "a wrong address": httpx.UnsupportedProtocol("no scheme"),
    "a code that is text": shaped("ProgrammingError", code="429"),
    "a code that cannot be asked": shaped("Odd", code=lambda needed: 429),
    "hostile": Hostile(),
    "a suppressed context": caused(RuntimeError(), cause=ValueError(), context=http(429)),
    "an exit code": SystemExit(429),
    "a response that is no response": shaped("Odd", response="429", headers=["429"]),
}


@pytest.mark.parametrize("error", RATE_LIMITS.values(), ids=RATE_LIMITS)
def test_a_rate_limit_is_seen_and_worth_retrying(error):
    """Whatever client raised it, and whatever was raised of it, a refusal for load is one."""
    assert is_rate_limit(error)
    assert is_worth_retrying(error)


@pytest.mark.parametrize("error", PASSING.values(), ids=PASSING)
def test_what_passes_is_worth_retrying_but_no_rate_limit(error):
    """Timeouts, lost connections and the answers of a gateway are worth another try, and say nothing of load."""
    assert is_worth_retrying(error)
    assert not is_rate_limit(error)


@pytest.mark.parametrize("error", PERMANENT.values(), ids=PERMANENT)
def test_the_rest_is_neither(error):
    """What a second call would meet again is not tried again."""
    assert not is_rate_limit(error)
    assert not is_worth_retrying(error)
    assert wait_asked(error) is None


def test_errors_that_lead_to_each_other_end():
    """A cycle of causes is walked once."""
    first, second = ValueError(), KeyError()
    caused(first, cause=second)
    caused(second, cause=first)
    assert not is_rate_limit(first)
    caused(second, cause=first, context=None)
    first.__cause__ = caused(http(429), cause=second)
    assert is_rate_limit(second)


def test_a_cancelled_or_ended_call_is_not_tried_again():
    """Who cancels or exits while a rate limit is handled does not want another try."""
    for error in (asyncio.CancelledError(), SystemExit(1), KeyboardInterrupt()):
        assert is_rate_limit(caused(error, context=http(429)))
        assert not is_worth_retrying(error)


class Flaky(ValueError):
    """Of a user's own."""


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (ValueError(), "ValueError"),
        (Flaky(), "ValueError"),
        (Flaky(), f"{__name__}.Flaky"),
        (shaped("Sub", Flaky), f"{__name__}.Flaky"),
        (http(400), "httpx.HTTPStatusError"),
        (http(400), "httpx._exceptions.HTTPError"),  # defined there, and shown as httpx.HTTPError
        (caused(RuntimeError(), cause=Flaky()), f"{__name__}.Flaky"),
        (asyncio.CancelledError(), "asyncio.CancelledError"),
    ],
    ids=repr,
)
def test_what_the_user_names_is_worth_retrying(error, name):
    """A name is that of the class or of a base, where it is defined or where a module offers it."""
    assert not is_worth_retrying(error)
    assert is_worth_retrying(error, ["unknown.Name", name])
    assert not is_worth_retrying(error, ["KeyError", "Flaky", "httpx.ReadTimeout", "", "."])


def test_a_class_whose_module_is_gone_is_known_by_its_name():
    """Modules of an experiments folder are not in sys.modules once they are imported."""
    gone = type("Flaky", (Exception,), {"__module__": "experiments.gone"})
    assert is_worth_retrying(gone(), ["experiments.gone.Flaky"])
    assert not is_worth_retrying(gone(), ["experiments.Flaky"])


def test_names_add_to_what_is_retried_anyway():
    """Naming one error does not take the usual ones away."""
    assert is_worth_retrying(TimeoutError(), ["ValueError"])


# --- waits ---------------------------------------------------------------------------------------------

SOON, LATER = NOW + timedelta(seconds=20), NOW + timedelta(seconds=50)
WAITS = [
    ({"Retry_After": "7"}, 7.0),
    ({"Retry_After": " 0.5 "}, 0.5),
    ({"Retry_After": "-3"}, 0.0),
    ({"Retry_After": format_datetime(SOON, usegmt=True)}, 20.0),
    ({"Retry_After": "Wed, 21 Oct 2015 07:28:00 -0000"}, 0.0),
    ({"Retry_After": "3600"}, 3600.0),
    ({"retry_after_ms": "1500", "Retry_After": "2"}, 1.5),
    ({"retry_after_ms": "soon", "Retry_After": "2"}, 2.0),
    ({"Retry_After": "2", "x_ratelimit_reset_requests": "9s", "x_ratelimit_remaining_requests": "0"}, 2.0),
    ({"Retry_After": "soon", "x_ratelimit_reset_requests": "9s"}, 9.0),
    ({"x_ratelimit_reset_requests": "1s"}, 1.0),
    ({"x_ratelimit_reset_requests": "6m0s"}, 360.0),
    ({"x_ratelimit_reset_requests": "20ms"}, 0.02),
    ({"x_ratelimit_reset_requests": "1h2m3s"}, 3723.0),
    ({"x_ratelimit_reset_tokens": "2m59.56s"}, 179.56),
    ({"x_ratelimit_reset_tokens": "7.5"}, 7.5),
    ({"x_ratelimit_reset_requests": "1s", "x_ratelimit_reset_tokens": "6s"}, 6.0),
    (
        {
            "x_ratelimit_reset_requests": "1s",
            "x_ratelimit_remaining_requests": "0",
            "x_ratelimit_reset_tokens": "6s",
            "x_ratelimit_remaining_tokens": "10",
        },
        1.0,
    ),
    (
        {
            "x_ratelimit_reset_requests": "1s",
            "x_ratelimit_remaining_requests": "0",
            "x_ratelimit_reset_tokens": "6s",
            "x_ratelimit_remaining_tokens": "0",
        },
        6.0,
    ),
    ({"x_ratelimit_reset_requests": "1s", "x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_tokens": "6s"}, 1),
    ({"x_ratelimit_reset_requests": "1s", "x_ratelimit_remaining_requests": "5"}, None),
    ({"x_ratelimit_reset": "30"}, 30.0),
    ({"x_ratelimit_reset": str(int(SOON.timestamp()))}, 20.0),
    ({"x_ratelimit_reset": str(int(SOON.timestamp() * 1000))}, 20.0),
    ({"x_ratelimit_reset": "1609844400"}, 0.0),
    ({"anthropic_ratelimit_requests_reset": "2026-03-01T12:00:20Z"}, 20.0),
    ({"anthropic_ratelimit_requests_reset": "2026-03-01T12:00:20"}, 20.0),
    ({"anthropic_ratelimit_tokens_reset": "2026-03-01T14:00:20+02:00"}, 20.0),
    (
        {
            "anthropic_ratelimit_input_tokens_reset": SOON.isoformat(),
            "anthropic_ratelimit_input_tokens_remaining": "0",
            "anthropic_ratelimit_requests_reset": LATER.isoformat(),
            "anthropic_ratelimit_requests_remaining": "49",
        },
        20.0,
    ),
    ({}, None),
    ({"x_ratelimit_limit_requests": "60", "anthropic_ratelimit_requests_limit": "50"}, None),
    *(
        ({"Retry_After": text}, None)
        for text in ("", "soon", "nan", "5x", "s", "1s2", "99-99-99", "Wed, 99 Oct 2015 07:28:00 GMT")
    ),
]


@pytest.mark.parametrize("make", [http, urllib_error, lambda status, **headers: aws("Throttling", status, **headers)])
def test_the_wait_that_was_asked(make):
    """Every form in which providers ask to wait gives its seconds; what cannot be read asks for nothing."""
    for headers, seconds in WAITS:
        asked = wait_asked(make(429, **headers), now=NOW.timestamp)
        assert asked == (None if seconds is None else pytest.approx(seconds)), headers


def test_the_wait_is_found_behind_other_errors():
    """Wrapped and grouped errors ask for what their answers do; of several, for the longest."""
    group = ExceptionGroup("two", [http(429, Retry_After="3"), caused(ValueError(), cause=http(429, Retry_After="8"))])
    assert wait_asked(group) == 8.0
    assert wait_asked(caused(Hostile(), cause=group)) == 8.0


def test_an_endless_wait_is_left_to_the_caller():
    """A number too large for any wait is one that is too long, not one that was not asked for."""
    assert wait_asked(http(429, Retry_After="1e400")) == float("inf")


def test_headers_in_a_plain_dict_are_found_in_any_case():
    """A client that keeps its headers in a dict may have any spelling, and values of any type."""
    assert wait_asked(shaped("Error", headers={"RETRY-AFTER": 4})) == 4.0
    assert wait_asked(shaped("Error", headers={"X-RateLimit-Reset-Tokens": " 6m0s "})) == 360.0
    assert wait_asked(shaped("Error", headers={"Retry-After": None})) is None
    assert wait_asked(shaped("Error", headers={b"x": None, 3: 4})) is None


def test_a_quota_that_is_used_up_is_no_rate_limit():
    """OpenAI answers 429 for it too, and no wait helps."""

    class RateLimitError(Exception):
        status_code = 429
        code = "insufficient_quota"

    assert not is_rate_limit(RateLimitError())
    assert not is_worth_retrying(RateLimitError())


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (http(400), "HTTP 400"),
        (shaped("AuthenticationError", status_code=401), "HTTP 401"),
        (urllib_error(404), "HTTP 404"),
        (aws("ValidationException", 400), "HTTP 400"),
        (caused(RuntimeError("chain failed"), cause=http(422)), "HTTP 422"),
        (shaped("RateLimitError", status_code=429, code="insufficient_quota"), "insufficient_quota"),
        (KeyError("answer"), None),
        (shaped("Odd", code=7), None),
    ],
)
def test_what_a_provider_refused_for_good_is_named(error, said):
    assert refusal_of(error) == said
