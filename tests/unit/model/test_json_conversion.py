"""What a task returns becomes JSON where nothing is lost; else a message names the place, and the journal has what there is."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import decimal
import enum
import fractions
import io
import json
import pathlib
import uuid
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalwire.model import to_json, to_lossy_json


class Team(enum.Enum):
    BILLING = "billing"


class Size(enum.Enum):
    PAIR = (1, 2)


class Plain(enum.Enum):
    ONE = object()


@dataclasses.dataclass
class Answer:
    text: str
    team: Any


class Attrs:
    """As attrs makes them."""

    __attrs_attrs__ = (type("A", (), {"name": "text"}), type("A", (), {"name": "team"}))

    def __init__(self) -> None:
        self.text, self.team = "x", Team.BILLING


WHEN = datetime(2024, 5, 6, 7, 8, 9, 10, tzinfo=UTC)
FRAME = pd.DataFrame({"id": [1, 2], "team": ["a", "b"]})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Team.BILLING, "billing"),
        (Size.PAIR, [1, 2]),
        (Answer("x", Team.BILLING), {"text": "x", "team": "billing"}),
        (Attrs(), {"text": "x", "team": "billing"}),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (decimal.Decimal("12.50"), "12.50"),
        (fractions.Fraction(1, 3), "1/3"),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        ({"b", "a"}, ["a", "b"]),
        (frozenset({3, 1, 2}), [1, 2, 3]),
        (b"caf\xc3\xa9", "café"),
        (bytearray(b"a"), "a"),
        (collections.deque([1, 2]), [1, 2]),
        (range(3), [0, 1, 2]),
        ({"b": 1, "a": 2}.keys(), ["b", "a"]),
        ({"b": 1, "a": 2}.values(), [1, 2]),
        (WHEN, "2024-05-06T07:08:09.000010+00:00"),
        (date(2024, 5, 6), "2024-05-06"),
        (time(7, 8), "07:08:00"),
        (timedelta(days=1, seconds=2), "P1DT2S"),
        (timedelta(microseconds=-1), "P-1DT86399.999999S"),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        ({Team.BILLING: 1, np.int64(3): 2, uuid.UUID(int=1): 3}, {"billing": 1, "3": 2, str(uuid.UUID(int=1)): 3}),
        ({date(2024, 1, 2): 1, decimal.Decimal("0.5"): 2}, {"2024-01-02": 1, "0.5": 2}),
        (np.datetime64("2024-05-06T07:08:09.123456789"), "2024-05-06T07:08:09.123456789"),
        (np.array(["2024-05-06"], dtype="datetime64[D]"), ["2024-05-06"]),
        (np.array([Team.BILLING], dtype=object), ["billing"]),
        (pd.Timestamp("2024-05-06T07:08:09.123456789"), "2024-05-06T07:08:09.123456789"),
        (pd.Timedelta(nanoseconds=5), "P0DT0H0M0.000000005S"),
        (FRAME, [{"id": 1, "team": "a"}, {"id": 2, "team": "b"}]),
        (FRAME["team"], ["a", "b"]),
        (pd.Index([1, 2]), [1, 2]),
        (pd.Categorical(["a", "b"]), ["a", "b"]),
    ],
)
def test_what_converts_without_loss_is_converted(value, expected):
    for wrapped, result in ((value, expected), ({"a": [value]}, {"a": [expected]})):
        converted = to_json(wrapped)
        assert converted == result
        assert json.loads(json.dumps(converted)) == result


async def stream():
    yield "Hel"


def parts():
    yield "Hel"


async def answer():
    return 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            Plain.ONE,
            "output is an object, which JSON cannot represent; return JSON values, a dataclass, or a pydantic model",
        ),
        ({"team": {1: [object()]}}, 'output["team"]["1"][0] is an object, which JSON cannot represent'),
        (
            Answer("x", Team),
            'output["team"] is the class Team, which JSON cannot represent; return an instance or its name',
        ),
        ({"a\nb": 1j}, 'output["a\\nb"] is a complex, which'),
        (
            stream(),
            'output is an async_generator, which JSON cannot represent; collect it: "".join([part async for part in',
        ),
        (
            [parts()],
            'output[0] is a generator, which JSON cannot represent; collect it: "".join(stream) or list(stream)',
        ),
        ({"rows": map(str, [])}, 'output["rows"] is a map, which JSON cannot represent; collect it'),
        ({"file": io.StringIO("x")}, 'output["file"] is a StringIO, which JSON cannot represent; return its content'),
        ({"f": len}, 'output["f"] is a builtin_function_or_method, which JSON cannot represent; call it'),
        ([1, {2: {None: 1}}], 'output[1]["2"] has a NoneType as a key, which JSON does not allow; use text'),
        ({True: 1}, "output has a bool as a key"),
        ({"n": [2**64]}, 'output["n"][0] is an integer of more than 64 bits, which Phoenix does not store; convert it'),
        ({"t": ["ok", "a\0"]}, 'output["t"][1] is text with a NUL character, which Phoenix does not store'),
        ({"t": "\ud800"}, 'output["t"] is text with half of a surrogate pair'),
        ({"t": {"a\0": 1}}, 'output["t"] has a key that is text with a NUL character'),
        ({"x": float("nan")}, 'output["x"] is nan, which JSON cannot represent; return None or a number'),
        ({"x": decimal.Decimal("Infinity")}, 'output["x"] is Infinity, which JSON cannot represent'),
        ({"x": pd.NaT}, 'output["x"] is NaT, which JSON cannot represent; return None'),
        ({"x": np.datetime64("NaT", "s")}, 'output["x"] is NaT, which JSON cannot represent; return None'),
        ({"x": pd.NA}, 'output["x"] is NA, which JSON cannot represent; return None'),
        (pd.DataFrame({"p": [1.0, None]}), 'output[1]["p"] is nan, which JSON cannot represent'),
        (FRAME.set_index("id"), "output is a DataFrame with a custom index, which JSON cannot represent; call its"),
        ({"s": FRAME["id"][1:]}, 'output["s"] is a Series with a custom index'),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "output has two columns with the same name"),
        ({"b": b"\xff"}, 'output["b"] is bytes that are not UTF-8 text, which JSON cannot represent; encode them'),
        ({1: 1, "1": 2}, "output has two keys that become the same text in JSON"),
        (np.array([1j]), "output[0] is a complex, which"),
        (np.longdouble(0.5), "output is a longdouble, which"),
    ],
)
def test_a_message_names_the_place_and_what_to_do(value, message):
    with pytest.raises((TypeError, ValueError)) as refused:
        to_json(value)
    assert str(refused.value).startswith(message)


def test_a_coroutine_is_to_be_awaited():
    made = answer()
    with pytest.raises(TypeError, match=r'output\["text"\] is a coroutine, which JSON cannot represent; await it'):
        to_json({"text": made})
    assert asyncio.run(made) == 1


class Loud:
    def __repr__(self):
        raise SystemExit(3)


class Untold:
    def __repr__(self):
        return "what was paid for \ud800 \0"


def circle() -> list[Any]:
    own: list[Any] = ["paid"]
    own += [own, own]
    return own


@pytest.mark.parametrize(
    ("value", "lossy"),
    [
        ({"answer": "paid", "client": Untold()}, {"answer": "paid", "client": "<Untold: what was paid for ? �>"}),
        ({"answer": "a\0", 5.5: [float("nan")]}, {"answer": "a�", "<float: 5.5>": ["<float: nan>"]}),
        (Answer("paid", object), {"text": "paid", "team": "<type: <class 'object'>>"}),
        ([Loud(), 2**70], ["<Loud, whose repr raises SystemExit>", f"<int: {2**70}>"]),
        (circle(), ["paid", "<list: ['paid', [...], [...]]>", "<list: ['paid', [...], [...]]>"]),
        ({"a": {"b": 1, "c": {1, "x", 2.5}}}, {"a": {"b": 1, "c": [1, 2.5, "x"]}}),
    ],
)
def test_what_has_no_json_form_is_kept_as_near_as_json_comes(value, lossy):
    found = to_lossy_json(value)
    if isinstance(found, dict) and isinstance(found.get("a"), dict):
        found["a"]["c"].sort(key=str)
    assert found == lossy


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(st.characters(), max_size=4),
    st.binary(max_size=4),
    st.decimals(),
    st.datetimes(),
    st.timedeltas(),
    st.uuids(),
    st.sampled_from([Team.BILLING, Plain.ONE, object(), np.int64(3), np.float32("nan"), pd.NaT, len, Answer]),
)
VALUES = st.recursive(
    ODD,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(max_size=2), st.integers(), st.none(), st.uuids()), inner, max_size=3),
        st.builds(Answer, st.text(max_size=2), inner),
    ),
    max_leaves=8,
)


@given(VALUES)
def test_any_output_is_json_or_a_message_and_always_in_the_journal(value):
    lossy = json.dumps(to_lossy_json(value), ensure_ascii=False)
    lossy.encode()
    converted, refusal = None, ""
    try:
        converted = to_json(value)
    except (TypeError, ValueError) as refused:
        refusal = str(refused)
    if refusal:
        assert refusal.startswith("output")
    else:
        assert json.dumps(converted, ensure_ascii=False) == lossy
        assert to_json(converted) == converted
