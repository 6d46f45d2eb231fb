"""Laws of the built-in evaluators that hold whatever the output and the expectation are."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalwire.evaluators import (
    make_all_pass_evaluator,
    make_any_pass_evaluator,
    make_contains_evaluator,
    make_exact_match_evaluator,
    make_json_match_evaluator,
    make_llm_judge_evaluator,
    make_membership_evaluator,
    make_numeric_tolerance_evaluator,
    make_regex_evaluator,
    make_schema_evaluator,
    make_top_k_evaluator,
    make_weighted_evaluator,
)
from evalwire.evaluators._values import is_equal, parse_list, spelled
from evalwire.model.json_values import is_same_json

many = settings(suppress_health_check=[HealthCheck.too_slow])


def wants(value: Any) -> dict[str, Any]:
    """The expected columns of an example."""
    return {"expected_output": value}


class EqRaises:
    def __eq__(self, other):
        raise RuntimeError("no comparing")

    __hash__ = None


class EqIsNoBool:
    def __eq__(self, other):
        return self

    def __bool__(self):
        raise TypeError("neither true nor false")

    __hash__ = None


class Unspeakable:
    def __str__(self):
        raise ValueError("no text")

    __repr__ = __str__


class OddText(str):
    __slots__ = ()

    def __eq__(self, other):
        raise RuntimeError("no comparing")

    def __str__(self):
        raise ValueError("no text")

    __hash__ = str.__hash__


def nest(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = [value]
    return value


odd = st.one_of(
    st.builds(EqRaises),
    st.builds(EqIsNoBool),
    st.builds(Unspeakable),
    st.builds(OddText, st.sampled_from(["a", "[1]", "'a'", ""])),
    st.just(print),
    st.just(int),
    st.builds(object),
)
huge = st.sampled_from([400, 5_000]).map(lambda digits: 10**digits)  # beyond floats, and beyond what Python writes
numbers = st.one_of(st.integers(), huge, st.floats())
numpy = st.one_of(
    st.floats().map(np.float64),
    st.floats(width=32).map(np.float32),
    st.integers(-99, 99).map(np.int64),
    st.booleans().map(np.bool_),
    st.lists(st.integers(0, 9), max_size=3).map(np.array),
    st.just(np.array([["a"], [None]], dtype=object)),
)
pieces = st.sampled_from(
    [
        *"[](){}'\",:\\+-.0123456789ejxo_ ",
        "True",
        "False",
        "None",
        "null",
        "true",
        "nan",
        "[1, ",
        "\n",
        "'a'",
        '"b"',
        "\0",
        "\ud800",
        "a",
    ]
)
spelling = st.lists(pieces, max_size=12).map("".join)
texts = st.one_of(st.text(max_size=20), spelling)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)
written = json_values.map(json.dumps) | json_values.map(repr) | st.lists(json_values, max_size=4).map(tuple).map(repr)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts, written, st.binary(max_size=4), odd, numpy),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.one_of(texts, st.integers(), st.none()), inner, max_size=4),
        st.builds(nest, inner, st.sampled_from([1, 400, 5_000])),
        st.frozensets(st.one_of(texts, st.integers()), max_size=3),
    ),
    max_leaves=8,
)
expectations = st.one_of(values.map(wants), values, st.just({}), values.map(lambda value: {"other": value}))

SCHEMAS = [
    {"type": "object", "properties": {"a": {"$ref": "#"}}},
    {"items": {"$ref": "#"}, "uniqueItems": True},
    {"multipleOf": 0.1, "minimum": 3, "maxLength": 4},
    {"enum": [1, "a", [1], {"a": None}]},
    {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "prefixItems": [{"type": "number"}],
        "contains": {"const": True},
    },
    {},
]
FACTORIES = {  # what each may raise when `expected` is a mapping or None
    make_contains_evaluator: (TypeError,),
    make_exact_match_evaluator: (),
    make_json_match_evaluator: (),
    make_membership_evaluator: (),
    make_numeric_tolerance_evaluator: (),
    make_regex_evaluator: (TypeError, re.error),
    make_top_k_evaluator: (TypeError,),
}


@pytest.mark.parametrize("factory", FACTORIES)
@many
@given(output=values, expected=expectations)
def test_an_evaluator_returns_a_score_or_raises_what_it_says(factory, output, expected):
    """A bool, or a float from 0 to 1; or one of the errors of its docstring, TypeError where `expected` is no mapping."""
    evaluator = factory()
    if expected is not None and not isinstance(expected, dict):
        with pytest.raises(TypeError, match="`expected` must be the mapping"):
            evaluator(output, expected)
        return
    try:
        said = evaluator(output, expected)
    except FACTORIES[factory]:
        return
    assert type(said) is bool or (type(said) is float and 0 <= said <= 1)


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
@many
@given(output=values)
def test_a_schema_evaluator_always_returns_a_bool(schema, output):
    assert type(make_schema_evaluator(schema)(output)) is bool


@many
@given(value=json_values)
def test_what_is_expected_matches_itself(value):
    """Any JSON value but None, a blank text, and a list or its literal, which is several items."""
    if (
        value is None
        or isinstance(value, list)
        or (isinstance(value, str) and (not value.strip() or parse_list(value) is not None))
    ):
        return
    assert make_exact_match_evaluator()(value, wants(value)) is True
    assert make_exact_match_evaluator()(value, wants([value, "other"])) is True
    assert make_membership_evaluator()(value, wants(["other", value])) is True
    assert make_contains_evaluator()([[], value], wants(value)) is True
    assert make_top_k_evaluator()([value], wants(value)) == 1.0


@many
@given(output=json_values, value=json_values)
def test_what_matches_exactly_is_a_member_and_on_top(output, value):
    if make_exact_match_evaluator()(output, wants(value)):
        assert make_membership_evaluator()(output, wants(value)) is True
        assert make_top_k_evaluator(K=4)([output], wants([value[0]] if isinstance(value, list) else value)) >= 0.25


@many
@given(one=json_values, other=json_values)
def test_equality_is_that_of_json(one, other):
    """The same as that by which evalwire compares records with Phoenix's; and the same in both directions."""
    for left, right in ((one, other), (one, one), (one, json.loads(json.dumps(one)))):
        assert is_equal(left, right) is is_same_json(left, right)
        assert is_equal(left, right) is is_equal(right, left)


@many
@given(number=st.integers() | st.floats(), flag=st.booleans())
def test_a_bool_is_never_a_number(number, flag):
    match = make_exact_match_evaluator()
    assert match(number, wants(flag)) is False
    assert match(flag, wants(number)) is False
    assert match(flag, wants(repr(number))) is False
    assert make_numeric_tolerance_evaluator(atol=10)(flag, wants(1)) is False


@many
@given(items=st.lists(json_values, max_size=4), as_tuple=st.booleans(), pad=st.sampled_from(["", " ", "\n"]))
def test_a_literal_of_pythons_is_its_list(items, as_tuple, pad):
    text = pad + repr(tuple(items) if as_tuple else items) + pad
    read = parse_list(text)
    assert read is not None
    assert is_equal(read, items)


@many
@given(text=spelling)
def test_what_is_read_as_a_list_python_reads_likewise(text):
    read = parse_list(text)
    if read is not None:
        literal = ast.literal_eval(text.strip())
        assert isinstance(literal, list | tuple)
        assert repr(list(literal)) == repr(read)


@many
@given(value=json_values)
def test_text_spells_the_value_that_json_has_for_it(value):
    """Of numbers, bools, text, lists and objects; the word null is no value that an output could be."""
    if value is None:
        assert spelled("null") == spelled("None") == ()
    else:
        (read,) = spelled(json.dumps(value))
        assert is_equal(read, value)


@many
@given(value=st.dictionaries(texts, json_values, min_size=1, max_size=5), keys=st.data())
def test_an_object_matches_itself_as_text_and_as_a_dict(value, keys):
    for output in (value, json.dumps(value)):
        for expected in (value, json.dumps(value)):
            assert make_json_match_evaluator()(output, wants(expected)) == 1.0
    left_out = keys.draw(st.sampled_from(sorted(value)))
    rest = {key: one for key, one in value.items() if key != left_out}
    assert make_json_match_evaluator()(rest, wants(value)) == pytest.approx(1 - 1 / len(value))


@many
@given(one=st.integers(), other=st.integers(), atol=st.integers(0, 10))
def test_whole_numbers_are_compared_exactly(one, other, atol):
    is_close = make_numeric_tolerance_evaluator(atol=atol)
    for output in (one, str(one)):
        assert is_close(output, wants(other)) is (abs(one - other) <= atol)
        assert is_close(output, wants(str(other))) is (abs(one - other) <= atol)


@many
@given(number=st.floats(allow_nan=False, allow_infinity=False), atol=st.floats(0, 10), rtol=st.floats(0, 10))
def test_a_number_is_close_to_itself(number, atol, rtol):
    is_close = make_numeric_tolerance_evaluator(atol=atol, rtol=rtol)
    assert is_close(number, wants(number)) is True
    assert is_close(repr(number), wants(repr(number))) is True


def member(returned: Any, *, is_async: bool) -> Any:
    async def waiting(output, expected):
        return returned

    def plain(output, expected):
        return returned

    return waiting if is_async else plain


def outcome(composed: Any) -> Any:
    said = composed("out", {})
    return asyncio.run(said) if inspect.isawaitable(said) else said


@settings(many, max_examples=60)
@given(returned=st.lists(values, min_size=1, max_size=3), is_async=st.booleans())
def test_a_composition_scores_or_raises_whatever_its_members_return(returned, is_async):
    members = [member(one, is_async=is_async) for one in returned]
    for make in (
        make_all_pass_evaluator,
        make_any_pass_evaluator,
        lambda all_: make_weighted_evaluator([(one, 2) for one in all_]),
    ):
        try:
            said = outcome(make(members))
        except (TypeError, ValueError):
            continue
        assert type(said) is bool or (type(said) is float and math.isfinite(said))


@settings(many, max_examples=60)
@given(
    pairs=st.lists(
        st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.floats(0, allow_infinity=False)),
        min_size=1,
        max_size=4,
    ).filter(lambda pairs: any(weight for _, weight in pairs))
)
def test_a_weighted_mean_is_between_the_scores_that_count(pairs):
    said = make_weighted_evaluator([(member(score, is_async=False), weight) for score, weight in pairs])("out", {})
    counted = [score for score, weight in pairs if weight]
    assert min(counted) <= said <= max(counted)


class Says:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def with_structured_output(self, schema):
        return self

    def invoke(self, prompt):
        return self.answer


@settings(many, max_examples=60)
@given(answer=values, output=json_values, expected=json_values)
def test_a_silent_judge_returns_the_field_or_none(answer, output, expected):
    judge = make_llm_judge_evaluator(Says(answer), "{output} {expected_output}", {})
    said = judge(output, wants(expected))
    assert said is (answer["score"] if isinstance(answer, dict) and "score" in answer else None)
