"""Which requests are tried again, how often, and how long."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from evalwire.phoenix.request_errors import detail_of, is_transient, reason, status_of
from evalwire.phoenix.request_retries import retry
from evalwire.phoenix.retry_policy import RetryPolicy

REQUEST = httpx.Request("GET", "http://phoenix/v1/datasets")


def answer(status: int, *, text: str = "", retry_after: str | None = None) -> httpx.HTTPStatusError:
    """The error that the client raises for an answer of this status."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    response = httpx.Response(status, text=text, headers=headers, request=REQUEST)
    return httpx.HTTPStatusError(f"{status}", request=REQUEST, response=response)


def not_json() -> json.JSONDecodeError:
    return json.JSONDecodeError("Expecting value", "<html>", 0)


class Requests:
    """A request that fails with each of `errors` in turn, then succeeds; keeps how long it was given."""

    def __init__(self, errors: Iterable[BaseException]) -> None:
        self.errors = list(errors)
        self.seconds_left: list[int] = []

    def __call__(self, seconds: int) -> str:
        self.seconds_left.append(seconds)
        if self.errors:
            raise self.errors.pop(0)
        return "done"

    @property
    def tries(self) -> int:
        return len(self.seconds_left)


class Sleeps(list[float]):
    """A `sleep` that does not, and keeps how long it should have."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def attempt(
    errors: Iterable[BaseException], *, give_up: Callable[[], bool] = lambda: False, **policy: float
) -> tuple[str | BaseException, Requests, Sleeps]:
    """What came of it, the request, and the waits."""
    request, sleeps = Requests(errors), Sleeps()
    try:
        result: str | BaseException = retry(request, "fetch", RetryPolicy(sleep=sleeps, **policy), give_up=give_up)
    except BaseException as error:
        result = error
    return result, request, sleeps


TRANSIENT = [
    answer(408),
    answer(425),
    answer(429),
    answer(500),
    answer(502),
    answer(503),
    answer(504),
    httpx.ConnectError("refused", request=REQUEST),
    httpx.ConnectTimeout("slow", request=REQUEST),
    httpx.ReadTimeout("slow", request=REQUEST),
    httpx.RemoteProtocolError("cut", request=REQUEST),
    httpx.ReadError("reset", request=REQUEST),
    not_json(),
]
PERMANENT = [
    answer(400),
    answer(401),
    answer(403),
    answer(404),
    answer(409),
    answer(422),
    httpx.UnsupportedProtocol("no scheme", request=REQUEST),
    ValueError("dataset not found"),
    KeyError("data"),
]


@pytest.mark.parametrize("error", TRANSIENT, ids=repr)
def test_a_transient_error_is_tried_again(error):
    """No answer, 429, a 5xx or half a body: the same request is made again, and its answer counts."""
    result, request, sleeps = attempt([error, error])
    assert (result, request.tries, len(sleeps)) == ("done", 3, 2)
    assert is_transient(error)


@pytest.mark.parametrize("error", PERMANENT, ids=repr)
def test_a_permanent_error_is_raised_at_once(error):
    """A refusal, or an error of ours, is not worth another try and arrives as it was."""
    result, request, sleeps = attempt([error])
    assert (result, request.tries, sleeps) == (error, 1, [])


def test_ctrl_c_is_not_retried():
    """An interrupt during a request interrupts."""
    result, request, _ = attempt([KeyboardInterrupt()])
    assert isinstance(result, KeyboardInterrupt)
    assert request.tries == 1


def test_success_at_once_waits_for_nothing():
    """A request that succeeds is made once."""
    result, request, sleeps = attempt([])
    assert (result, request.tries, sleeps) == ("done", 1, [])


@pytest.mark.parametrize("attempts", [1, 2, 7])
def test_tries_are_bounded_and_the_last_error_is_raised(attempts):
    """After the policy's tries the last error is raised as it was."""
    errors = [answer(503, text=str(number)) for number in range(10)]
    result, request, sleeps = attempt(errors, attempts=attempts)
    assert (request.tries, len(sleeps)) == (attempts, attempts - 1)
    assert isinstance(result, httpx.HTTPStatusError)
    assert result.response.text == str(attempts - 1)


@pytest.mark.parametrize(("attempts", "tries"), [(8, 3), (3, 3), (2, 2)])
def test_a_500_is_tried_three_times_at_most(attempts, tries):
    """Phoenix says 500 for ever of what does not exist, so a 500 gets three tries, never more than the policy."""
    _, request, _ = attempt([answer(500)] * 10, attempts=attempts)
    assert request.tries == tries


def test_an_error_behind_another_is_seen():
    """An error that the client wrapped is judged by the answer that caused it."""
    wrapped = RuntimeError("could not fetch")
    wrapped.__cause__ = answer(503)
    assert attempt([wrapped])[0] == "done"
    wrapped.__cause__ = answer(401)
    assert attempt([wrapped])[0] is wrapped


def test_giving_up_makes_it_the_last_try():
    """Once another request has found Phoenix gone, no further try is made."""
    result, request, sleeps = attempt([answer(503)] * 3, give_up=lambda: True)
    assert isinstance(result, httpx.HTTPStatusError)
    assert (request.tries, sleeps) == (1, [])


# --- waits ---------------------------------------------------------------------------------------------


def test_waits_grow_up_to_the_longest():
    """Waits double from the first one, with jitter, up to the longest allowed."""
    _, _, sleeps = attempt([answer(503)] * 6, attempts=7, first_wait_seconds=1.0, longest_wait_seconds=4.0)
    lowest = [1.0, 2.0, 4.0, 4.0, 4.0, 4.0]
    assert [low <= wait <= min(low + 1.0, 4.0) for low, wait in zip(lowest, sleeps, strict=True)] == [True] * 6


@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_after_in_seconds_is_waited_for(status):
    """The server's own wait is kept, also where it is longer than the longest wait."""
    _, _, sleeps = attempt([answer(status, retry_after="45")], longest_wait_seconds=2.0)
    assert sleeps == [45.0]


def test_a_retry_after_as_a_date_is_waited_for():
    """Retry-After may be a date."""
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    [wait] = attempt([answer(429, retry_after=at)], first_wait_seconds=0.01)[2]
    assert 50 < wait <= 60


@pytest.mark.parametrize(
    "text",
    [
        "soon",
        "",
        "-5",
        "nan",
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "Wed, 21 Oct 2015 07:28:00",
        "Wed, 21 Oct 2015 07:28:00 -0000",
    ],
)
def test_a_retry_after_that_says_nothing_leaves_the_usual_wait(text):
    """A header that is past, broken or without a time zone neither crashes nor counts."""
    result, _, sleeps = attempt([answer(429, retry_after=text)], first_wait_seconds=0.5)
    assert result == "done"
    assert 0.5 <= sleeps[0] <= 1.0


@pytest.mark.parametrize("text", ["3600", "inf", "1e400"])
def test_a_retry_after_longer_than_what_is_left_ends_it(text):
    """Waiting past the total is pointless, so the error is raised at once."""
    error = answer(429, retry_after=text)
    result, request, sleeps = attempt([error], total_seconds=10.0)
    assert (result, request.tries, sleeps) == (error, 1, [])


def test_no_wait_is_longer_than_what_is_left():
    """A wait is cut to the time that is left."""
    _, _, sleeps = attempt([answer(503)], total_seconds=5.0, first_wait_seconds=60.0, longest_wait_seconds=90.0)
    assert 4.0 < sleeps[0] <= 5.0


def test_no_try_is_made_after_the_total():
    """With the total used up, the first error is the last."""
    error = answer(503)
    assert attempt([error], total_seconds=0.0)[0] is error


def test_each_try_is_told_how_long_it_has():
    """A request is given whole seconds for its own time-out, one at least: half of them all, or what the policy says."""
    assert attempt([answer(503)], total_seconds=40.0)[1].seconds_left == [20, 20]
    assert attempt([answer(503)], total_seconds=40.0, longest_try_seconds=40.0)[1].seconds_left == [40, 40]
    assert attempt([answer(503)], total_seconds=40.0, longest_try_seconds=3.0)[1].seconds_left == [3, 3]
    assert attempt([], total_seconds=0.2)[1].seconds_left == [1]


def test_500s_are_counted_among_other_errors():
    """Phoenix's permanent 500 has resets between; after many refusals, one 500 more is none of that."""
    mixed = [answer(500), httpx.ConnectError("reset"), answer(500), httpx.ConnectError("reset"), answer(500)]
    assert attempt([*mixed, answer(500)], attempts=None)[1].tries == 5
    assert attempt([answer(503)] * 6 + [answer(500)] * 2, attempts=None)[0] == "done"


# --- what is said of it --------------------------------------------------------------------------------


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "evalwire.phoenix"]


def test_each_wait_is_a_warning(caplog):
    """Each wait is announced: what failed, why, which try comes, and when."""
    caplog.set_level(logging.WARNING)
    attempt([answer(503, text='{"detail": "try\\n later"}'), answer(429, retry_after="7")], attempts=4)
    first, second = lines(caplog)
    assert first.startswith("could not fetch (HTTP 503, try later); retrying in ")
    assert second == "could not fetch (HTTP 429); retrying in 7.0 s (attempt 3 of 4)"


def test_the_announced_tries_are_those_there_will_be(caplog):
    """Where a 500 gets three tries, no line promises more."""
    caplog.set_level(logging.WARNING)
    attempt([answer(500)] * 3, attempts=8)
    assert ["of 3)" in line for line in lines(caplog)] == [True, True]


def test_success_says_nothing(caplog):
    """A request that succeeds at once leaves no line."""
    caplog.set_level(logging.DEBUG, logger="evalwire.phoenix")
    attempt([])
    assert lines(caplog) == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (answer(404, text='{"detail": "no such dataset"}'), "HTTP 404, no such dataset"),
        (answer(422, text='{"detail": [{"loc": "x"}]}'), 'HTTP 422, [{"loc": "x"}]'),
        (answer(502, text="<html>\n bad gateway</html>"), "HTTP 502, <html> bad gateway</html>"),
        (answer(503), "HTTP 503"),
        (httpx.ConnectError("refused"), "ConnectError: refused"),
        (httpx.ReadTimeout(""), "ReadTimeout: no details"),
    ],
)
def test_the_reason_is_one_line(error, expected):
    """Why a request failed fits one line, with what the server said."""
    assert reason(error) == expected


def test_an_answer_that_is_no_json_asks_for_the_address():
    """A page in place of JSON means that something else answers there, and the line says so."""
    assert "the server is not Phoenix" in reason(not_json())


def test_a_long_answer_is_cut():
    """A proxy's whole page does not fill the log."""
    assert len(reason(answer(502, text="x" * 10_000))) < 400


def test_status_and_detail_of_an_error_without_an_answer():
    """An error without an answer has no status, and its own text."""
    error = httpx.ConnectError("refused")
    assert (status_of(error), status_of(None), detail_of(error)) == (None, None, "refused")
