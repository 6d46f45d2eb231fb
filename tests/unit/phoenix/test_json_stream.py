"""Arrays in pieces: the same items wherever a document is cut, and an error where it is not an array."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalwire.phoenix import json_stream
from evalwire.phoenix.json_stream import items
from evalwire.phoenix.request_errors import is_transient

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


def in_parts(data: bytes, *places: int) -> list[bytes]:
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(bounds)]


@given(st.lists(VALUES), st.sampled_from([None, 2]), st.lists(st.integers(0, 10_000), max_size=12))
def test_an_array_is_the_same_wherever_it_is_cut(values, indent, places):
    data = json.dumps(values, ensure_ascii=False, indent=indent).encode("utf-8", "replace")
    assert list(items(in_parts(data, *places))) == json.loads(data)


@pytest.mark.parametrize("text", ["[]", " [ ] ", '[1, -2.5e3, "ü]", {"a": [1]}]\n', "[[[]], 12345, 1.5]"])
def test_an_array_is_the_same_byte_by_byte(text):
    data = text.encode()
    assert list(items(data[at : at + 1] for at in range(len(data)))) == json.loads(text)


@pytest.mark.parametrize(
    "text", ["", "<html>", "{}", "[", "[1", "[1,", "[1,]", "[1 2]", '["a', "[1]2", "[1]]", "[nope]"]
)
@pytest.mark.parametrize("size", [1, 100])
def test_what_is_no_array_is_an_error(text, size):
    data = text.encode()
    parts = (data[at : at + size] for at in range(0, len(data), size))
    with pytest.raises(json.JSONDecodeError):
        list(items(parts))


def test_what_is_no_number_is_nothing():
    assert list(items([b'[NaN, {"a": Infinity}, -Infinity]'])) == [None, {"a": None}, None]


def test_items_come_before_the_rest_is_read():
    read = []

    def parts():
        for number in range(1000):
            read.append(number)
            yield (b"[" if number == 0 else b",") + b'{"a": 1}'

    assert next(items(parts())) == {"a": 1}
    assert len(read) < 5


def test_a_long_item_in_many_parts_is_decoded_a_few_times(monkeypatch):
    tries = []

    class Counting(json.JSONDecoder):
        def raw_decode(self, s, idx=0):
            tries.append(idx)
            return super().raw_decode(s, idx)

    monkeypatch.setattr(json_stream, "_DECODER", Counting())
    data = json.dumps(["x" * 1_000_000]).encode()
    assert list(items(in_parts(data, *range(0, 1_000_000, 1000)))) == ["x" * 1_000_000]
    assert len(tries) < 25


@pytest.mark.parametrize(
    "data", [b'[{"a": 1}, {"a"', b'["\xc3', b'["\xff"]'], ids=["truncated", "half a letter", "no UTF-8"]
)
def test_half_a_document_is_worth_a_retry(data):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - which one is the point
        list(items([data]))
    assert is_transient(caught.value)


def test_numbers_and_letters_are_as_python_reads_them():
    """Integers of any size, and half of a surrogate pair, which Python writes too."""
    data = b'[123456789012345678901234567890, "\\ud800", 1e400]'
    assert list(items([data])) == json.loads(data)
