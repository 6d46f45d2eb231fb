"""Whatever an exception is like, and whatever led to it, it becomes a failure, and soon."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalwire.usercode import failure_of, is_rate_limit, is_worth_retrying, wait_asked


class Mute(Exception):
    def __str__(self):
        raise SystemExit("no message")


class OfNumbers(Exception):
    def __str__(self):
        return 5  # noqa: PLE0307 - what is tested


class Endless(Exception):
    """Has another cause whenever it is asked."""

    @property
    def __cause__(self):
        return Endless()


class Closed(Exception):
    def __getattribute__(self, name):
        raise RuntimeError(f"nobody reads {name}")


class Grudging(type):
    @property
    def __name__(cls):
        raise KeyboardInterrupt


class Nameless(Exception, metaclass=Grudging):
    pass


class Odd(dict):
    def __eq__(self, other):
        raise ValueError("the truth value of an array is ambiguous")

    __hash__ = None


class Provider(Exception):
    """Raises, or returns something odd, wherever a status or a header is looked for."""

    code = property(lambda self: (_ for _ in ()).throw(SystemExit(3)))
    status_code = Odd()
    headers = 5

    @property
    def response(self):
        raise KeyboardInterrupt


class Noted(Exception):
    __notes__ = property(lambda self: 1 / 0)


class Members(ExceptionGroup):
    @property
    def exceptions(self):
        raise OSError("who is asking?")


class Numbered(SyntaxError):
    filename = 7


KINDS = [ValueError, KeyError, Mute, OfNumbers, Endless, Closed, Nameless, Provider, Noted, Numbered, SyntaxError]


def told(error: BaseException) -> Any:
    """Everything that the engine asks of what a task raised."""
    failure = failure_of(error, stage="task")
    assert is_rate_limit(error) in (True, False)
    assert is_worth_retrying(error, ["nosuch.Error"]) in (True, False)
    assert wait_asked(error) is None
    assert str(failure)
    return failure


@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=6),
    causes=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), max_size=8),
    grouped=st.booleans(),
)
def test_any_graph_of_exceptions_is_a_failure(kinds, causes, grouped):
    errors = [kind("message") for kind in kinds]
    for one, other, is_cause in causes:
        name = "__cause__" if is_cause else "__context__"
        BaseException.__dict__[name].__set__(errors[one % len(errors)], errors[other % len(errors)])
    error: BaseException = errors[0]
    if grouped:
        error = Members("several", [error, ValueError()]) if len(errors) % 2 else ExceptionGroup("several", errors)
    with contextlib.suppress(BaseException):
        raise error
    assert told(error).type in {kind.__dict__.get("__name__", None) for kind in KINDS} | {
        type.__dict__["__name__"].__get__(type(one)) for one in (*errors, error)
    }


def test_an_error_that_is_raised_from_itself_stands_alone():
    def task():
        try:
            raise ValueError("x")  # noqa: TRY301 - likewise
        except ValueError as error:
            raise error from error

    with pytest.raises(ValueError, match="x") as caught:
        task()
    failure = told(caught.value)
    assert (failure.type, failure.message, failure.cause) == ("ValueError", "x", None)
    assert failure.where == f"{__file__}:{task.__code__.co_firstlineno + 2}"


def test_the_first_of_a_circle_of_causes_is_told():
    one, other, third = ValueError("one"), KeyError("other"), OSError("third")
    one.__cause__, other.__cause__, third.__cause__ = other, third, other
    assert told(one).cause == "OSError: third"


def test_a_chain_of_thousands_is_told():
    """Such as of a retry loop that raises each error from the last."""
    error = last = ValueError("first")
    for number in range(3000):
        error, last = ValueError(f"{number}"), error
        error.__cause__ = last
    failure = told(error)
    assert failure.cause == "ValueError: first"


def test_an_error_that_hides_its_attributes_is_told_with_its_line():
    def task():
        raise Closed("nobody")

    with pytest.raises(Closed) as caught:
        task()
    failure = told(caught.value)
    assert failure.type == "Closed"
    assert failure.where == f"{__file__}:{task.__code__.co_firstlineno + 1}"
    assert "raise Closed" in failure.traceback
