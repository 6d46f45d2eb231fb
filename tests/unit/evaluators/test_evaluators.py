"""The built-in evaluators: which output and which expectation give which score."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import functools
import inspect
import itertools
import json
import re
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import jsonschema
import numpy as np
import pydantic
import pytest
from nightly import mostly_nightly

import evalwire
from evalwire import evaluators
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
from evalwire.usercode import NOT_APPLICABLE
from evalwire.usercode.binding import bind_evaluator

NAN = float("nan")
INF = float("inf")
READERS = {  # factories of evaluators that read an expected column, and what each says where there is nothing to say
    make_contains_evaluator: False,
    make_exact_match_evaluator: False,
    make_json_match_evaluator: 0.0,
    make_membership_evaluator: False,
    make_numeric_tolerance_evaluator: False,
    make_regex_evaluator: False,
    make_top_k_evaluator: 0.0,
}


def name_of(value: Any) -> str | None:
    """The id of a parameter that pytest cannot write."""
    return "huge" if isinstance(value, int) and value.bit_length() > 1_000 else None


def wants(value: Any) -> dict[str, Any]:
    """The expected columns of an example."""
    return {"expected_output": value}


# --- names ---------------------------------------------------------------------------------------------

SUBMODULES = "composition contains exact_match json_match llm_judge membership numeric_tolerance regex schema top_k"


def test_all_factories_can_be_imported_from_everywhere():
    """As in 0.6: from `evalwire`, from `evalwire.evaluators`, and from the module of each."""
    factories = [name for name in evaluators.__all__ if name.startswith("make_")]
    assert len(factories) == 12
    homes = set()
    for name in factories:
        factory = getattr(evaluators, name)
        assert getattr(evalwire, name) is factory
        assert name in evalwire.__all__
        homes.add(factory.__module__.rpartition(".")[2])
    assert homes == set(SUBMODULES.split())
    for name in homes:
        assert inspect.ismodule(getattr(evaluators, name))


def test_a_name_that_is_none_is_an_attribute_error():
    with pytest.raises(AttributeError, match="make_bleu_evaluator"):
        evaluators.make_bleu_evaluator  # noqa: B018


def test_importing_them_imports_nothing_heavy():
    """Neither `evalwire` nor its evaluators bring libraries that only some evaluators need."""
    script = (
        "import sys, evalwire, evalwire.evaluators as e\n"
        "before = {'asyncio', 'ast'} & set(sys.modules)\n"
        "e.make_exact_match_evaluator(), e.make_schema_evaluator, e.make_llm_judge_evaluator, e.make_all_pass_evaluator\n"
        "heavy = {'jsonschema', 'referencing', 'langchain_core', 'langgraph', 'numpy', 'pydantic', 'phoenix', 'pandas'}\n"
        "print(sorted(before), sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[] []\n", done.stderr


def test_the_module_of_a_factory_is_an_attribute():
    """Without an import of its own, as in 0.6."""
    script = "import evalwire.evaluators as e; print(e.regex.make_regex_evaluator()('ab', {'expected_output': 'b'}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr


@pytest.mark.parametrize("factory", READERS)
def test_they_are_bound_by_name_and_have_a_name_and_a_docstring(factory):
    """evalwire's engine gives them output and expected, whatever else there is; a report can say what they are."""
    evaluator = factory()
    callee = bind_evaluator("ev", evaluator, path=Path())
    assert callee.positional == ("output", "expected")
    assert not callee.keywords
    assert not callee.is_async
    name = factory.__name__.removeprefix("make_").removesuffix("_evaluator")
    names_of_06 = {"membership": "is_in", "regex": "regex_match", "numeric_tolerance": "numeric_close"}
    assert evaluator.__name__ == evaluator.__qualname__.rpartition(".")[2] == names_of_06.get(name, name)
    assert evaluator.__doc__
    assert evaluator(output="x", expected={}) == READERS[factory]


# --- what all of them read -----------------------------------------------------------------------------

NOTHING = [
    {},
    None,
    wants(None),
    wants(""),
    wants(" \t\n"),
    wants([]),
    wants(()),
    wants("[]"),
    wants(" ( ) "),
    wants(NAN),
]


@pytest.mark.parametrize("factory", READERS)
def test_an_example_without_an_expectation_never_passes(factory):
    """Missing, None, blank, NaN, an empty list: no output can be right."""
    for expected, output in itertools.product(NOTHING, ["", " ", "nan", "None", "[]", [], {}, "a", 0, NAN]):
        score = factory()(output, expected)
        assert score == READERS[factory], (expected, output)
        assert type(score) is type(READERS[factory]), (expected, output)


@pytest.mark.parametrize("factory", READERS)
@pytest.mark.parametrize("value", ["None", "a", "[None]", [None], None, '{"a": null}'])
def test_no_output_never_passes(factory, value):
    """None is never what was expected, not even where the word None was."""
    said = factory()(None, wants(value))
    assert said == READERS[factory]
    assert type(said) is type(READERS[factory])


@pytest.mark.parametrize("factory", READERS)
@pytest.mark.parametrize("expected", ["Paris", ["Paris"], 3, {"Paris"}])
def test_an_expectation_that_is_no_mapping_is_an_error(factory, expected):
    """A script that hands over the bare value is told so, instead of a score that is always low."""
    with pytest.raises(TypeError, match="`expected` must be the mapping of an example's expected columns, not a "):
        factory()("Paris", expected)


@pytest.mark.parametrize("factory", READERS)
def test_another_column_can_be_read(factory):
    """`key` names it, by keyword alone."""
    good = {make_json_match_evaluator: '{"a": 1}'}.get(factory, "7")
    output = json.loads(good)
    evaluator = factory(key="answer")
    assert evaluator(output, {"answer": good, "expected_output": "x"}) == 1
    assert evaluator(output, {"answer": None, "expected_output": good}) == 0
    assert inspect.signature(factory).parameters["key"].kind is inspect.Parameter.KEYWORD_ONLY


def test_any_mapping_holds_expected_columns():
    match = make_exact_match_evaluator()
    assert match("a", MappingProxyType(wants("a")))
    assert match("a", OrderedDict(wants("a")))


# --- equality and items, by exact match ----------------------------------------------------------------


class Color(enum.StrEnum):
    RED = "red"


class Raises:
    def __eq__(self, other):
        raise RuntimeError("cannot be compared")

    __hash__ = None


@pytest.mark.parametrize(
    ("value", "outputs"),
    [
        ("Paris", ["Paris", np.str_("Paris")]),
        ("red", [Color.RED]),
        ("42", ["42", 42, 42.0, np.int64(42), np.float32(42)]),
        (" 42 ", [" 42 ", 42]),
        ("007", ["007", 7]),
        ("1.0", ["1.0", 1, 1.0]),
        ("1e3", ["1e3", 1000]),
        ("-0.5", ["-0.5", -0.5]),
        ("True", ["True", True, np.bool_(True)]),
        ("true", ["true", True]),
        ("False", ["False", False]),
        ("None", ["None"]),
        ("null", ["null"]),
        ('"Paris"', ['"Paris"', "Paris"]),
        ("'Paris'", ["'Paris'", "Paris"]),
        ("('Paris')", ["('Paris')", "Paris"]),
        ("(42)", ["(42)", 42]),
        ('{"a": [1, true, null]}', ['{"a": [1, true, null]}', {"a": [1, True, None]}, {"a": (1.0, True, None)}]),
        ("{'a': None}", ["{'a': None}", {"a": None}]),
        ('["a", null]', ['["a", null]', ["a", None]]),  # no literal of Python's, so no list of items
        ("[abc]", ["[abc]"]),
        ("Paris, France", ["Paris, France"]),
        ("[1, 2", ["[1, 2"]),
        ("1,5", ["1,5"]),
        (42, [42, 42.0]),
        (1, [1]),
        (True, [True]),
        (0, [0]),
        (False, [False]),
        (2.5, [2.5]),
        ({"a": {"b": [1]}}, [{"a": {"b": [1]}}, OrderedDict(a=MappingProxyType({"b": (1,)}))]),
        ({}, [{}]),
        (np.int64(3), [3]),
        (np.str_("text"), ["text"]),
        # of several items, the first
        ("['a', 'b']", ["a"]),
        (" ('a', 'b') ", ["a"]),
        ('["a", "b"]', ["a"]),
        ("['42']", ["42", 42]),
        ("[42]", [42]),
        ("[True]", [True]),
        ("[[1, 2], 3]", [[1, 2], (1, 2)]),
        ("((1, 2), 3)", [[1, 2]]),
        ("[{'a': 1}]", [{"a": 1}]),
        ("[-1.5]", [-1.5]),
        ("['']", [""]),
        (["a", "b"], ["a"]),
        (("a", "b"), ["a"]),
        (["42"], ["42", 42]),
        (["[1, 2]"], ["[1, 2]", [1, 2]]),
        (np.array(["a", "b"]), ["a"]),
        # one item, as it is
        ({1, 2}, [{1, 2}]),
        (b"a", [b"a"]),
    ],
)
def test_an_output_that_is_expected_matches(value, outputs):
    """An item equals the same value and, if it is text, the value that it spells; a list counts by its first item."""
    match = make_exact_match_evaluator()
    assert [output for output in outputs if match(output, wants(value)) is not True] == []


@pytest.mark.parametrize(
    ("value", "outputs"),
    [
        ("Paris", ["paris", "Paris ", "'Paris'", ["Paris"], {"Paris": 1}, b"Paris", 0]),
        ("42", ["42.0", " 42", "4", True, [42], 42.1, "forty-two"]),
        ("1", [True, "True", [1]]),
        ("0", [False, "", None, [], {}]),
        ("True", [1, 1.0, "true", "1", np.int64(1)]),
        ("False", [0, "", None, []]),
        ("None", [None, "", [], "none"]),
        ("nan", [NAN]),
        ("NaN", [NAN]),
        ("Infinity", [INF]),
        (1, [True, "1", np.bool_(True)]),
        (True, [1, "True", "true"]),
        (0, [False, "0", ""]),
        (42, ["42"]),
        ([NAN], [NAN]),
        ({"a": 1}, [{"a": True}, {"a": "1"}, {"a": 1, "b": 2}, {}, [["a", 1]], {"b": 1}]),
        ({"a": [1, 2]}, [{"a": [2, 1]}, {"a": [1]}, {"a": {1, 2}}]),
        ("['a', 'b']", ["b", ["a", "b"], "['a', 'b']"]),
        ("[True]", [1]),
        ("[1]", [True, [1]]),
        (["a"], [["a"]]),
        ("[[1]]", [[True]]),
        ("x", [Raises(), object(), np.array(["x", "x"])]),
    ],
)
def test_an_output_that_is_not_expected_does_not_match(value, outputs):
    """A bool is no number, text is no number unless the testset's text spells it, and the order of a list counts."""
    match = make_exact_match_evaluator()
    assert [output for output in outputs if match(output, wants(value)) is not False] == []


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[" * 50_000 + "]" * 50_000,
        "(" * 300 + ")" * 300,
        "{" * 100_000,
        "[" + "-" * 100_000 + "1]",
        "[" + "1+" * 100_000 + "1]",
        "[" + "9" * 5_000 + "]",
        "9" * 5_000,
        "['\0']",
        "['\ud800']",
        "[\\",
        "['unterminated]",
        "[{[]: 1}]",
        "[f'{1}']",
        "[open('x')]",
        "[__import__('os')]",
        "[1 for _ in ()]",
        "{'a': " * 10_000 + "}" * 10_000,
        '"' * 9_999,
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_hostile_text_stays_text(text):
    """What Python cannot read as a literal, for whatever reason, is one item: the text."""
    assert make_exact_match_evaluator()(text, wants(text)) is True
    assert make_exact_match_evaluator()("other", wants(text)) is False
    assert make_membership_evaluator()(["list"], wants(text)) is False


@pytest.mark.parametrize("error", [MemoryError, RecursionError, SyntaxError, ValueError, TypeError])
def test_whatever_keeps_python_from_reading_a_literal_leaves_it_text(error, monkeypatch):
    """As its manual warns for long or complex text."""

    def refuse(_):
        raise error

    monkeypatch.setattr("ast.literal_eval", refuse)
    assert make_exact_match_evaluator()("['a']", wants("['a']")) is True
    assert make_exact_match_evaluator()("a", wants("['a']")) is False


@pytest.mark.parametrize(
    ("value", "output"),
    [
        (r"['\d+\.']", r"\d+\."),
        (r"['\\d']", r"\d"),
        (r"['a\tb\x41\u00e9\'']", "a\tbA\u00e9'"),
        (r"[r'\d']", r"\d"),
        (r'["\w", true]', r'["\w", true]'),
    ],
)
def test_escapes_are_pythons_without_its_warnings(value, output, recwarn):
    """A list of patterns is common; Python warns of `\\d` in a text, and will refuse it one day."""
    assert make_exact_match_evaluator()(output, wants(value)) is True
    assert list(recwarn) == []


LONG = {
    "prose": "[" + "lorem ipsum, " * 80_000 + "]",
    "sum": "[" + "1+" * 500_000 + "1]",
    "names": "[" + "a," * 500_000 + "]",
    "quotes": "[" + r"\'" * 500_000 + "]",
    "open quote": "['" + r"\'" * 500_000 + "]",
    "brackets": "[" * 500_000 + "]" * 500_000,
    "digits": "9" * 1_000_000,
    "words": "2023 was " * 110_000,
    "braces": "{" * 1_000_000,
    "list": json.dumps([f"doc-{n}" for n in range(80_000)]),
    "object": json.dumps({f"key-{n}": n for n in range(50_000)}),
}


@pytest.mark.parametrize(
    "text", mostly_nightly([pytest.param(text, id=name) for name, text in LONG.items()], kept=range(0, 11, 3))
)
@pytest.mark.parametrize("output", ["text", ["a", 1, {"b": 2}]], ids=["text", "list"])
def test_a_megabyte_is_read_in_little_time(text, output):
    """No evaluator spends seconds on reading what is expected."""
    began = time.process_time()
    for factory in READERS:
        if factory is not make_regex_evaluator:  # the time of a pattern is its author's
            with contextlib.suppress(TypeError):
                factory()(output, wants(text))
                factory()(text, wants("doc-1"))
    assert time.process_time() - began < 8


def test_values_that_are_nested_without_end_can_be_compared():
    """Also those that hold themselves."""

    def nested(depth, core):
        for _ in range(depth):
            core = [core]
        return core

    match = make_exact_match_evaluator()
    assert match({"a": nested(50_000, 1)}, wants({"a": nested(50_000, 1)})) is True
    assert match({"a": nested(50_000, 1)}, wants({"a": nested(50_000, 2)})) is False
    one, other = {"a": []}, {"a": []}
    one["a"].append(one)
    other["a"].append(other)
    assert match(one, wants(other)) is True


def test_what_is_expected_is_left_as_it_was():
    expected = wants(["a", {"b": [1]}])
    for factory in READERS:
        with contextlib.suppress(TypeError):
            factory()({"b": [1]}, expected)
    assert expected == wants(["a", {"b": [1]}])


# --- membership ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "value", "is_member"),
    [
        ("b", "['a', 'b']", True),
        ("c", "['a', 'b']", False),
        (2, "(1, 2)", True),
        ("2", "(1, 2)", False),
        (2, ["1", "2"], True),
        (True, "[1, 2]", False),
        ("a", "a", True),
        ("a", "abc", False),
        ([1], "[[1], [2]]", True),
        (["a"], "['a']", False),
        ({"x": 1}, [{"x": 2}, {"x": 1}], True),
        ("", "['', 'a']", True),
    ],
)
def test_membership(output, value, is_member):
    assert make_membership_evaluator()(output, wants(value)) is is_member


# --- contains ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "value", "is_in"),
    [
        ("The capital is Paris.", "Paris", True),
        ("The capital is paris.", "Paris", False),
        ("It is 42.", "42", True),
        ("It is 42.", 42, True),
        ("It is 2.5", 2.5, True),
        ("a b", "['b', 'zzz']", True),
        ("a b", "['zzz', 'b']", False),
        ("anything", "['']", False),
        (["a", "b"], "b", True),
        (("a", "b"), "b", True),
        ({"a", "b"}, "b", True),
        (frozenset("ab"), "b", True),
        (["ab"], "b", False),
        ([1, 2], "2", True),
        ([1, 2], "['2']", True),
        ([True], "1", False),
        ([[1, 2]], "[[1, 2]]", True),
        ({"b": 1}, "b", True),
        ({"a": "b"}, "b", False),
        ([], "b", False),
        ("", "b", False),
        (12345, "234", True),
        (0.25, ".25", True),
        (np.array(["a", "b"]), "b", True),
        (np.float64(0.25), ".25", True),
        ([""], "['']", True),
    ],
)
def test_contains(output, value, is_in):
    assert make_contains_evaluator()(output, wants(value)) is is_in


@pytest.mark.parametrize(
    ("output", "value"),
    [(True, "a"), (NAN, "a"), (b"abc", "b"), (object(), "a"), (10**5_000, "1"), ("text", {"a": 1}), ("True", True)],
    ids=name_of,
)
def test_contains_looks_for_text_and_numbers_alone(output, value):
    """What has no one spelling is an error, not a score."""
    with pytest.raises(TypeError, match="must be text or a number, not a"):
        make_contains_evaluator()(output, wants(value))


# --- regex ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "pattern", "is_found"),
    [
        ("Order 1234", r"\d{4}", True),
        ("Order 123", r"^\d{4}$", False),
        ("a|b", r"a\|b", True),
        ("xbx", "[abc]", True),
        ("[abc]", "[xyz]", False),
        ("a", "['a']", True),
        ("['a']", "['a', 'b']", True),
        ("b", "['a', 'b']", False),
        ("PARIS", "(?i)paris", True),
        ("(a)", r"\(a\)", True),
        ("ab", "(a)(b)", True),
        ("7", "[1-9]", True),
        ("0", "[1-9]", False),
        (1234, r"^\d{4}$", True),
        ("42", 42, True),
        ("", "^$", True),
        ("anything", "['']", False),
        ("a\nb", "^b", False),
    ],
)
def test_regex(output, pattern, is_found):
    assert make_regex_evaluator()(output, wants(pattern)) is is_found


@pytest.mark.parametrize("pattern", ["(", "*a", "[z-a]", "a{99999999999999999999}", "(?:" * 50_000, "(?P<a", r"\g"])
def test_a_bad_pattern_is_re_error(pattern):
    with pytest.raises(re.error):
        make_regex_evaluator()("text", wants(pattern))


@pytest.mark.parametrize(
    ("output", "pattern"), [({"a": 1}, "a"), (["a"], "a"), (b"a", "a"), (True, "T"), ("a", {"a": 1}), ("a", [["a"]])]
)
def test_a_pattern_and_what_it_is_matched_with_are_text_or_numbers(output, pattern):
    with pytest.raises(TypeError, match="must be text or a number, not a"):
        make_regex_evaluator()(output, wants(pattern))


# --- numeric tolerance ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "value", "tolerances", "is_close"),
    [
        (3.14, "3.14", {}, True),
        ("3.14", 3.14, {}, True),
        (" 3.14\n", "[3.14, 7]", {}, True),
        (3.1400001, 3.14, {}, True),
        (3.15, 3.14, {}, False),
        (3.15, 3.14, {"atol": 0.02}, True),
        (110, 100, {"rtol": 0.1}, True),
        (111, 100, {"rtol": 0.1}, False),
        (100, 110, {"atol": 0, "rtol": 0.1}, True),
        (-1, 1, {"atol": 2}, True),
        (0, 0, {"atol": 0}, True),
        ("1e3", 1000, {}, True),
        ("about 3", 3, {}, False),
        ("1,000", 1000, {}, False),
        ("", 0, {}, False),
        (True, 1, {}, False),
        (1, True, {}, False),
        ("True", 1, {}, False),
        ([3], 3, {}, False),
        ({"v": 3}, 3, {}, False),
        (3, "three", {}, False),
        (NAN, 3, {}, False),
        ("nan", "nan", {}, False),
        (INF, 3, {"rtol": 1.0}, False),
        (3, INF, {"rtol": 1.0}, False),
        (INF, "inf", {}, True),
        (-INF, "inf", {}, False),
        (9007199254740993, 9007199254740992, {}, False),
        ("9007199254740993", "9007199254740993", {}, True),
        ("9007199254740993", "9007199254740992", {}, False),
        (10**400, 10**400, {}, True),
        (10**400 + 1, 10**400, {"atol": 1}, True),
        (10**400, 10**399, {"rtol": 0.5}, False),
        (10**400, 2 * 10**400, {"rtol": 0.5}, True),
        (10**400, 1.0, {}, False),
        (1e308, -1e308, {"rtol": 1.9}, False),
        (1e308, -1e308, {"rtol": 2.0}, True),
        (np.float32(3), 3, {}, True),
        (np.int64(3), "3", {}, True),
    ],
    ids=name_of,
)
def test_numeric_tolerance(output, value, tolerances, is_close):
    assert make_numeric_tolerance_evaluator(**tolerances)(output, wants(value)) is is_close


@pytest.mark.parametrize("tolerances", [{"atol": -1}, {"rtol": -0.1}, {"atol": NAN}, {"rtol": INF}])
def test_a_tolerance_is_finite_and_not_negative(tolerances):
    """With an infinite one everything would pass, with the others nothing."""
    with pytest.raises(ValueError, match=f"invalid {next(iter(tolerances))} "):
        make_numeric_tolerance_evaluator(**tolerances)


# --- top k ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "value", "size", "score"),
    [
        (["a", "b", "c"], "a", 20, 1.0),
        (["a", "b", "c"], "b", 20, 0.95),
        (["a", "b", "c", "d"], "d", 4, 0.25),
        (["a", "b", "c", "d"], "d", 3, 0.0),
        (["a", "b", "c"], "zzz", 20, 0.0),
        (["a", "b"], "['a', 'b']", 2, 0.75),
        (["a", "b"], "['b', 'zzz']", 2, 0.25),
        (["a", "a"], "a", 2, 1.0),
        (["b", "a", "a"], "a", 3, 1 - 1 / 3),
        ([1, 2], "2", 2, 0.5),
        ([2, "2"], "2", 2, 1.0),
        ([True, 1], "1", 2, 0.5),
        (("a", "b"), "b", 2, 0.5),
        ([{"id": 1}, {"id": 2}], [{"id": 2}], 2, 0.5),
        ([[1], [2]], "[[2]]", 2, 0.5),
        ([], "a", 3, 0.0),
        ([*range(9)], "8", 4, 0.0),
        ("abc", "['a', 'b']", 3, 0.0),
        ("doc-1", "doc-1", 3, 1.0),
        (7, "7", 3, 1.0),
        (np.array(["a", "b"]), "b", 2, 0.5),
        (["a"], "a", 10**400, 1.0),
    ],
    ids=name_of,
)
def test_top_k(output, value, size, score):
    """The mean over the expected items of 1 - position / K; what is not among the first K is 0."""
    said = make_top_k_evaluator(K=size)(output, wants(value))
    assert said == pytest.approx(score)
    assert type(said) is float


def test_k_is_20_unless_it_is_given():
    output = [*range(19), "last", "late"]
    assert make_top_k_evaluator()(output, wants("last")) == pytest.approx(0.05)
    assert make_top_k_evaluator()(output, wants("late")) == 0.0
    assert make_top_k_evaluator(40)(output, wants("late")) == 0.5


@pytest.mark.parametrize("size", [0, -1])
def test_k_is_at_least_1(size):
    with pytest.raises(ValueError, match=f"K must be at least 1, not {size}"):
        make_top_k_evaluator(K=size)


def test_k_is_a_whole_number():
    with pytest.raises(TypeError):
        make_top_k_evaluator(K=2.5)


@pytest.mark.parametrize("output", [{"docs": ["a"]}, {"a"}, b"a", True, object()])
def test_a_ranking_is_a_list(output):
    """What has no order is an error, not a score of 0."""
    with pytest.raises(TypeError, match="a ranking must be a list, best first, not a "):
        make_top_k_evaluator()(output, wants("a"))


# --- json match ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "value", "keys", "score"),
    [
        ('{"a": 1, "b": "x"}', '{"a": 1, "b": "x"}', None, 1.0),
        ({"a": 1, "b": "x"}, '{"a": 1, "b": "x"}', None, 1.0),
        ('{"a": 1}', {"a": 1}, None, 1.0),
        ({"a": 1}, {"a": 1, "b": 2}, None, 0.5),
        ({"a": 1, "extra": 2}, {"a": 1}, None, 1.0),
        ({"a": 1, "b": 3, "c": 4}, {"a": 1, "b": 2, "c": 4}, None, 2 / 3),
        ({"a": 1, "b": 3}, {"a": 1, "b": 2}, ["a"], 1.0),
        ({"a": 1, "b": 3}, {"a": 1, "b": 2}, ["b"], 0.0),
        ({"a": 1}, {"a": 1}, ["a", "missing on both"], 0.5),
        ({"a": 1}, {"a": 1}, ["a", "a"], 1.0),
        ({"a": 1}, {"a": 1}, iter(["a"]), 1.0),
        ({"a": 1.0}, {"a": 1}, None, 1.0),
        ({"a": True}, {"a": 1}, None, 0.0),
        ({"a": "1"}, {"a": 1}, None, 0.0),
        ({"a": None}, {"a": None}, None, 1.0),
        ({}, {"a": None}, None, 0.0),
        ({"a": {"b": [1, {"c": 2}]}}, '{"a": {"b": [1, {"c": 2}]}}', None, 1.0),
        ({"a": {"b": [1, {"c": 3}]}}, '{"a": {"b": [1, {"c": 2}]}}', None, 0.0),
        ({"a": 1}, "{'a': 1}", None, 1.0),
        ("{'a': 1}", '{"a": 1}', None, 0.0),  # what a model writes has to be JSON
        ({"a": 1}, "[{'a': 1}, {'a': 2}]", None, 1.0),
        ('  {"a": 1}\n', '{"a": 1}', None, 1.0),
        ('```json\n{"a": 1}\n```', '{"a": 1}', None, 0.0),
        ("[1]", '{"a": 1}', None, 0.0),
        ([("a", 1)], '{"a": 1}', None, 0.0),
        (7, '{"a": 1}', None, 0.0),
        ({"a": 1}, "a", None, 0.0),
        ({"a": 1}, {}, None, 0.0),
        ({"a": 1}, {}, ["a"], 0.0),
        ('{"a": NaN}', '{"a": NaN}', None, 0.0),
        ({"a": np.int64(1)}, {"a": 1}, None, 1.0),
        ('{"a": Infinity}', {"a": INF}, None, 0.0),
        ({"a": 1}, [1, {"a": 1}], None, 0.0),
    ],
)
def test_json_match(output, value, keys, score):
    """The share of keys whose values are equal in both."""
    said = make_json_match_evaluator(keys)(output, wants(value))
    assert said == pytest.approx(score)
    assert type(said) is float


def test_one_evaluator_compares_the_same_keys_each_time():
    """Also when they came out of an iterator."""
    match = make_json_match_evaluator(iter(["a"]))
    assert [match({"a": n}, wants({"a": 1, "b": 2})) for n in (1, 2, 1)] == [1.0, 0.0, 1.0]


def test_some_key_is_compared():
    with pytest.raises(ValueError, match="`keys` is empty"):
        make_json_match_evaluator([])


def test_keys_are_several_texts():
    """`"name"` would be four keys of one letter."""
    with pytest.raises(TypeError, match=r"write \['name'\]"):
        make_json_match_evaluator("name")


# --- schema --------------------------------------------------------------------------------------------

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "tags": {"$ref": "#/definitions/tags"}},
    "required": ["name"],
    "definitions": {"tags": {"type": "array", "items": {"type": "string"}}},
}


class Person(pydantic.BaseModel):
    name: str


@pytest.mark.parametrize(
    ("output", "is_valid"),
    [
        ('{"name": "Ada"}', True),
        ({"name": "Ada"}, True),
        ({"name": "Ada", "tags": ["a"]}, True),
        ({"name": "Ada", "tags": ("a",)}, True),
        ({"name": "Ada", "tags": [1]}, False),
        ({"name": 1}, False),
        ("{}", False),
        ("Ada", False),
        ('"Ada"', False),
        ("", False),
        (None, False),
        ("null", False),
        ({"name": NAN}, False),
        ('{"name": "Ada", "more": NaN}', False),
        ({"name": "Ada", "more": {1, 2}}, True),
        ({"name": "Ada", "more": object()}, False),
        (Person(name="Ada"), True),
        ("[" * 100_000, False),
        ('{"name": "Ada", "more": 1e999}', False),
    ],
)
def test_schema(output, is_valid):
    evaluator = make_schema_evaluator(PERSON)
    assert evaluator(output, {}) is is_valid
    assert evaluator(output) is is_valid


def test_a_text_that_is_no_json_is_not_valid_by_a_schema_that_asks_little():
    """A schema without a type holds for every value; an answer in prose is none."""
    assert make_schema_evaluator({"required": ["name"]})("I cannot answer that.") is False


@pytest.mark.parametrize(
    ("dialect", "is_valid"),
    [
        (None, True),  # draft 7 knows no `dependentRequired`
        ("http://json-schema.org/draft-07/schema#", True),
        ("http://json-schema.org/draft-07/schema", True),
        ("https://json-schema.org/draft/2019-09/schema", False),
        ("https://json-schema.org/draft/2020-12/schema", False),
    ],
)
def test_the_dialect_is_the_schemas_own_and_draft_7_without_one(dialect, is_valid):
    schema = {"dependentRequired": {"a": ["b"]}} | ({"$schema": dialect} if dialect else {})
    assert make_schema_evaluator(schema)({"a": 1}) is is_valid


def test_no_output_is_not_valid_by_any_schema():
    assert make_schema_evaluator({})(None) is False
    assert make_schema_evaluator({"type": "null"})(None, {}) is False


@pytest.mark.parametrize("keyword", ["minimum", "minItems", "pattern", "type"])
def test_an_invalid_schema_fails_at_the_factory(keyword):
    with pytest.raises(jsonschema.SchemaError):
        make_schema_evaluator({keyword: "[nonsense"})


@pytest.mark.parametrize("schema", [True, False])
def test_a_schema_may_be_a_bool(schema):
    """Everything is valid by the one, and nothing by the other."""
    assert make_schema_evaluator(schema)({"a": 1}) is schema


@pytest.mark.parametrize("schema", [1, "{}", None, [PERSON]])
def test_a_schema_is_a_mapping(schema):
    with pytest.raises(TypeError, match="a schema must be a mapping"):
        make_schema_evaluator(schema)


def test_an_unknown_dialect_is_refused():
    with pytest.raises(ValueError, match=r"unknown schema dialect.*draft-99"):
        make_schema_evaluator({"$schema": "https://json-schema.org/draft-99/schema"})


REMOTE = "https://example.org/person.json"


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": REMOTE},
        {"properties": {"a": {"items": [{"$ref": REMOTE}]}}},
        {"definitions": {"unused": {"$ref": REMOTE}}},
        {"anyOf": [{"not": {"$ref": "other.json#/definitions/a"}}]},
        {"properties": {"a": {"$ref": "#/definitions/missing"}}},
        {"$id": "https://example.org/root.json", "properties": {"a": {"$ref": "person.json"}}},
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "$dynamicRef": REMOTE},
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "prefixItems": [{"$ref": "#missing"}]},
        {"$schema": "http://json-schema.org/draft-04/schema#", "items": {"$ref": REMOTE}},
    ],
)
def test_a_reference_that_leads_out_of_the_schema_fails_at_the_factory(schema, monkeypatch):
    """Nothing is fetched, and nobody waits for the output that needs it."""

    def refuse(*_, **__):
        raise AssertionError("it was fetched")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("socket.socket.connect", refuse)
    with pytest.raises(ValueError, match=r"refers to '.*', which it does not contain, and nothing is fetched"):
        make_schema_evaluator(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://json-schema.org/draft-07/schema#"},
        {"definitions": {"a": {"$id": "#here", "type": "object"}}, "$ref": "#here"},
        {
            "$id": "https://example.org/root.json",
            "definitions": {"a": {"$id": "person.json", "type": "object"}},
            "allOf": [{"$ref": "person.json"}],
        },
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$defs": {"a": {"$anchor": "here", "type": "object"}},
            "$ref": "#here",
        },
        {
            "$id": "https://example.org/root.json",
            "definitions": {
                "a": {"$id": "folder/a.json", "items": {"$ref": "b.json"}},
                "b": {"$id": "folder/b.json"},
            },
            "type": "object",
        },
        {"const": {"type": 1}, "not": False},
        {"properties": {"$ref": {"type": "string"}}, "type": "object"},
    ],
)
def test_references_within_the_schema_and_to_meta_schemas_hold(schema):
    evaluator = make_schema_evaluator(schema)
    assert evaluator({"type": 1}) is (schema.get("$ref") != "http://json-schema.org/draft-07/schema#")
    assert evaluator([1]) is False


def test_a_recursive_schema_takes_outputs_of_any_depth():
    """What is nested too deeply to be checked is not valid."""
    evaluator = make_schema_evaluator({"properties": {"a": {"$ref": "#"}}, "type": "object"})
    deep: dict[str, Any] = {}
    for _ in range(20):
        deep = {"a": deep}
    assert evaluator(deep) is True
    for _ in range(100_000):
        deep = {"a": deep}
    assert evaluator(deep) is False
    while deep:  # Python itself would take it apart by recursion
        deep = deep.pop("a")


def test_a_schema_that_is_changed_later_stays_as_it_was():
    schema = {"type": "object", "required": ["a"]}
    evaluator = make_schema_evaluator(schema)
    schema["required"].append("b")
    assert evaluator({"a": 1}) is True


@pytest.mark.parametrize(("number", "is_valid"), [(10**400, False), (1e308, True), (0.25, False)], ids=name_of)
def test_numbers_beyond_arithmetic_are_not_valid(number, is_valid):
    """A whole number too large to be divided by 0.5 cannot be checked."""
    assert make_schema_evaluator({"multipleOf": 0.5})(number) is is_valid


def test_without_jsonschema_the_factory_says_what_to_install(monkeypatch):
    """And only the factory: the module can be imported."""
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    monkeypatch.setitem(sys.modules, "jsonschema.validators", None)
    with pytest.raises(ImportError, match=re.escape("pip install 'evalwire[schema]'")):
        make_schema_evaluator(PERSON)


def test_the_schema_evaluator_is_bound_by_name():
    callee = bind_evaluator("ev", make_schema_evaluator(PERSON), path=Path())
    assert callee.positional == ("output", "expected")
    assert callee.function.__name__ == "schema_valid"


# --- llm judge -----------------------------------------------------------------------------------------


class Grade(pydantic.BaseModel):
    score: float
    reason: str = ""


class PlainModel:
    """A model that cannot wait: its runnable has `invoke` alone."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.schemas: list[Any] = []
        self.prompts: list[str] = []

    def with_structured_output(self, schema):
        self.schemas.append(schema)
        return SimpleNamespace(invoke=self.invoke)

    def invoke(self, prompt):
        self.prompts.append(prompt)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class WaitingModel(PlainModel):
    """The same model with both methods."""

    def with_structured_output(self, schema):
        self.schemas.append(schema)
        return SimpleNamespace(invoke=None, ainvoke=self.ainvoke)

    async def ainvoke(self, prompt):
        await asyncio.sleep(0)
        return self.invoke(prompt)


def ask(evaluator: Any, output: Any = "Paris", expected: Any = None) -> Any:
    """What a judge says, waited for if need be."""
    said = evaluator(output, wants("Paris") if expected is None else expected)
    return asyncio.run(said) if inspect.isawaitable(said) else said


PROMPT = "Said: {output}. Expected: {expected_output}."


@pytest.mark.parametrize("kind", [PlainModel, WaitingModel])
@pytest.mark.parametrize(
    ("template", "output", "expected", "prompt"),
    [
        (PROMPT, "Rome", wants("Paris"), "Said: Rome. Expected: Paris."),
        (PROMPT, None, {}, "Said: . Expected: ."),
        (PROMPT, "", wants(None), "Said: . Expected: ."),
        (PROMPT, 0, wants(False), "Said: 0. Expected: False."),
        (PROMPT, ["a"], wants("['a', 'b']"), "Said: ['a']. Expected: a."),
        ("{output[text]} {expected_output[0]:>3}", {"text": "a"}, wants(["b"]), "a   b"),
        ('Answer {{"score": 1}} for {output!r}', "x", {}, "Answer {\"score\": 1} for 'x'"),
        ("no fields", "x", {}, "no fields"),
    ],
)
def test_the_prompt(kind, template, output, expected, prompt):
    """The template with the output as it is and the first expected item; None is the empty text."""
    model = kind({"score": 1})
    ask(make_llm_judge_evaluator(model, template, Grade), output, expected)
    assert model.prompts == [prompt]


def test_the_prompt_has_the_column_that_key_names():
    model = PlainModel({"score": 1})
    judge = make_llm_judge_evaluator(model, PROMPT, Grade, key="answer")
    judge("Rome", {"answer": "Paris", "expected_output": "no"})
    assert model.prompts == ["Said: Rome. Expected: Paris."]


def test_the_structure_is_asked_for_once():
    model = PlainModel({"score": 1})
    judge = make_llm_judge_evaluator(model, PROMPT, Grade)
    ask(judge)
    ask(judge)
    assert model.schemas == [Grade]


@pytest.mark.parametrize("template", ["{question}", "{}", "{0}", '{"score": 1}', "{output.x} {inputs[0]}"])
def test_a_template_with_another_field_is_refused_before_anything_runs(template):
    with pytest.raises(ValueError, match="Double the braces"):
        make_llm_judge_evaluator(PlainModel({}), template, Grade)


@pytest.mark.parametrize("template", ["{output", "output}"])
def test_a_lone_brace_is_refused_before_anything_runs(template):
    with pytest.raises(ValueError, match=r"'[{}]'"):
        make_llm_judge_evaluator(PlainModel({}), template, Grade)


def test_a_model_without_structured_output_is_refused():
    with pytest.raises(ImportError, match="a object has no with_structured_output"):
        make_llm_judge_evaluator(object(), PROMPT, Grade)


@pytest.mark.parametrize("word", ["raise", "ignore", "", None, "Silent"])
def test_on_error_is_one_of_two_words(word):
    with pytest.raises(ValueError, match="invalid on_error"):
        make_llm_judge_evaluator(PlainModel({}), PROMPT, Grade, on_error=word, error_callback=print)


def test_reraise_needs_the_callback():
    with pytest.raises(ValueError, match="needs an error_callback"):
        make_llm_judge_evaluator(PlainModel({}), PROMPT, Grade, on_error="reraise")


BROKEN = [
    (RuntimeError("no quota"), RuntimeError),
    ({"other": 1}, KeyError),
    (Grade(score=1), AttributeError),
    (None, ValueError),
]


@pytest.mark.parametrize("kind", [PlainModel, WaitingModel])
@pytest.mark.parametrize(("answer", "error"), BROKEN)
def test_silent_is_none_and_tells_the_callback(kind, answer, error):
    """Without a callback, too. None is no score: evalwire counts it as a failure of the evaluator."""
    seen: list[Exception] = []
    for callback in (None, seen.append):
        judge = make_llm_judge_evaluator(kind(answer), PROMPT, Grade, result_key="verdict", error_callback=callback)
        assert ask(judge) is None
    assert [type(one) for one in seen] == [error]


@pytest.mark.parametrize("kind", [PlainModel, WaitingModel])
@pytest.mark.parametrize(("answer", "error"), BROKEN)
def test_reraise_tells_the_callback_and_raises(kind, answer, error):
    seen: list[Exception] = []
    judge = make_llm_judge_evaluator(
        kind(answer), PROMPT, Grade, result_key="verdict", on_error="reraise", error_callback=seen.append
    )
    with pytest.raises(error) as caught:
        ask(judge)
    assert seen == [caught.value]


def test_what_the_callback_raises_is_raised():
    def callback(error):
        raise SystemError("the callback") from error

    judge = make_llm_judge_evaluator(PlainModel(None), PROMPT, Grade, error_callback=callback)
    with pytest.raises(SystemError, match="the callback"):
        ask(judge)


def test_a_judge_that_is_cancelled_is_no_error_of_the_model():
    """Its time limit ends it, and nobody is told that the model failed."""
    seen: list[Exception] = []

    class Slow:
        def with_structured_output(self, schema):
            return self

        async def ainvoke(self, prompt):
            await asyncio.sleep(60)

    judge = make_llm_judge_evaluator(Slow(), PROMPT, Grade, error_callback=seen.append)

    async def main():
        async with asyncio.timeout(0.01):
            await judge("a", {})

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert seen == []


# --- compositions --------------------------------------------------------------------------------------


class Log:
    """Evaluators that note that they were asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def plain(self, name: str, returned: Any) -> Any:
        def member(output, expected):
            self.asked.append(name)
            return returned

        member.__name__ = name
        return member

    def waiting(self, name: str, returned: Any) -> Any:
        async def member(output, expected):
            await asyncio.sleep(0)
            self.asked.append(name)
            return returned

        member.__name__ = name
        return member


def score_of(composed: Any, *args: Any, **kwargs: Any) -> Any:
    said = composed(*(args or ("out", {})), **kwargs)
    return asyncio.run(said) if inspect.isawaitable(said) else said


PASSING = [
    True,
    1,
    0.01,
    2,
    (1.0, "good"),
    (True, "good", "why"),
    {"score": 1},
    {"score": 0.5, "label": "bad"},
    np.True_,
    np.float32(0.5),
]
NOT_PASSING = [
    False,
    0,
    0.0,
    -1,
    (0.0, "good"),
    (0, "good", "why"),
    {"score": 0, "label": "good"},
    {"score": False},
    np.False_,
]


@pytest.mark.parametrize("kind", ["plain", "waiting"])
@pytest.mark.parametrize("returned", PASSING + NOT_PASSING, ids=repr)
def test_members_pass_by_their_score(kind, returned):
    """A tuple or a dict is not true because it is there; what counts is a score above 0."""
    passes = any(returned is one for one in PASSING)
    member = getattr(Log(), kind)("member", returned)
    assert score_of(make_all_pass_evaluator([member])) is passes
    assert score_of(make_any_pass_evaluator([member])) is passes


@pytest.mark.parametrize("kinds", [("plain",) * 3, ("waiting",) * 3, ("plain", "waiting", "plain")])
@pytest.mark.parametrize(
    ("returned", "all_pass", "all_asked", "any_pass", "any_asked"),
    [
        ((1, 1, 1), True, "abc", True, "a"),
        ((1, 0, 1), False, "ab", True, "a"),
        ((0, 0, 1), False, "a", True, "abc"),
        ((0, 0, 0), False, "a", False, "abc"),
    ],
)
def test_all_and_any_stop_where_they_are_decided(kinds, returned, all_pass, all_asked, any_pass, any_asked):
    for make, says, asked in (
        (make_all_pass_evaluator, all_pass, all_asked),
        (make_any_pass_evaluator, any_pass, any_asked),
    ):
        log = Log()
        members = [getattr(log, kind)(name, one) for kind, name, one in zip(kinds, "abc", returned, strict=True)]
        assert score_of(make(members)) is says
        assert "".join(log.asked) == asked


@pytest.mark.parametrize(
    ("pairs", "score"),
    [
        ([(1, 1)], 1.0),
        ([(1, 1), (0, 3)], 0.25),
        ([(True, 2), (False, 2)], 0.5),
        ([((0.5, "half"), 0.3), ({"score": 1}, 0.7)], 0.85),
        ([(1, 0.1), (1, 0.2), (1, 0.7)], 1.0),
        ([(1, 0.1)] * 10, 1.0),
        ([(1, 0), (0.5, 1)], 0.5),
        ([(-1, 1), (3, 1)], 1.0),
        ([(1e308, 1e308), (1e308, 1e308)], 1e308),
        ([(1, 5e-324), (0, 5e-324)], 0.5),
    ],
)
@pytest.mark.parametrize("kind", ["plain", "waiting"])
def test_the_weighted_mean(kind, pairs, score):
    """Exact: full scores are 1.0, whatever the weights."""
    said = score_of(make_weighted_evaluator([(getattr(Log(), kind)("m", one), weight) for one, weight in pairs]))
    assert said == pytest.approx(score, rel=1e-15)
    assert type(said) is float


@pytest.mark.parametrize("kind", ["plain", "waiting"])
@pytest.mark.parametrize(
    ("returned", "all_pass", "any_pass", "mean"),
    [
        ((NOT_APPLICABLE, 1, 1), True, True, 1.0),
        ((1, NOT_APPLICABLE, {"score": 0}), False, True, 0.25),
        (({"score": NOT_APPLICABLE, "reason": "r"}, 0, NOT_APPLICABLE), False, False, 0.0),
        ((NOT_APPLICABLE,) * 3, NOT_APPLICABLE, NOT_APPLICABLE, NOT_APPLICABLE),
    ],
)
def test_a_member_that_is_not_applicable_is_left_out(kind, returned, all_pass, any_pass, mean):
    """With its weight; where none applies, the whole does not."""
    members = [getattr(Log(), kind)("m", one) for one in returned]
    assert score_of(make_all_pass_evaluator(members)) is all_pass
    assert score_of(make_any_pass_evaluator(members)) is any_pass
    assert score_of(make_weighted_evaluator(zip(members, (1, 2, 3), strict=True))) == mean


def test_members_of_which_only_one_without_weight_applies_are_not_applicable():
    pairs = [(lambda output: 1, 0), (lambda output: NOT_APPLICABLE, 1)]
    assert make_weighted_evaluator(pairs)("a", {}) is NOT_APPLICABLE


def test_full_scores_are_exactly_full():
    """A gate at 1.0 must not fail for a rounding."""
    weights = [0.1, 0.2, 0.3, 0.7, 1 / 3, 1e-9, 123.456]
    assert make_weighted_evaluator([(lambda output, expected: True, one) for one in weights])("a", {}) == 1.0


@pytest.mark.parametrize("make", [make_all_pass_evaluator, make_any_pass_evaluator, make_weighted_evaluator])
def test_something_has_to_judge(make):
    with pytest.raises(ValueError, match="the list of evaluators is empty"):
        make([])


@pytest.mark.parametrize("weights", [[-1, 2], [NAN], [INF], [0, 0], [0.0]])
def test_weights_are_finite_not_negative_and_not_all_0(weights):
    with pytest.raises(ValueError, match="weight"):
        make_weighted_evaluator([(lambda output: 1, weight) for weight in weights])


NO_SCORE = [
    (None, ValueError, "returned None"),
    ("good", ValueError, "label 'good' without a score"),
    ({"label": "good"}, ValueError, "label 'good' without a score"),
    ((None, "good"), ValueError, "label 'good' without a score"),
    ({}, ValueError, "neither `score` nor `label`"),
    (NAN, ValueError, "nan"),
    (INF, ValueError, "inf"),
    (10**400, ValueError, "too large"),
    ([], ValueError, "empty list"),
    ([{"name": "a", "score": 1}, {"name": "b", "score": 0}], ValueError, "2 results"),
    (object(), TypeError, "cannot return a object"),
    ({1, 2}, TypeError, "cannot return a set"),
    ((1, 2, 3, 4), ValueError, "4 items"),
]


@pytest.mark.parametrize("kind", ["plain", "waiting"])
@pytest.mark.parametrize(("returned", "error", "message"), NO_SCORE, ids=name_of)
def test_a_member_without_a_score_is_an_error_that_names_it(kind, returned, error, message):
    """Neither a pass nor a fail; None, which a silent judge returns, included."""
    for make in (
        make_all_pass_evaluator,
        make_any_pass_evaluator,
        lambda members: make_weighted_evaluator([(members[0], 1)]),
    ):
        with pytest.raises(error, match=rf"(?s)`culprit`.*{re.escape(message)}"):
            score_of(make([getattr(Log(), kind)("culprit", returned)]))


def test_one_result_in_a_list_is_a_result():
    assert make_all_pass_evaluator([lambda output: [{"score": 1}]])("a", {}) is True


def test_what_a_member_raises_is_raised():
    def member(output):
        raise LookupError("as it was")

    with pytest.raises(LookupError, match="as it was"):
        make_any_pass_evaluator([member, lambda output: 1])("a", {})


def test_compositions_of_plain_functions_are_plain_functions():
    """Scripts of 0.6 call them."""
    for make in (make_all_pass_evaluator, make_any_pass_evaluator):
        composed = make([make_exact_match_evaluator(), make_contains_evaluator()])
        assert not inspect.iscoroutinefunction(composed)
        assert composed("a", wants("a")) is True
        assert composed(output="b", expected=wants("a")) is False
    weighted = make_weighted_evaluator([(make_exact_match_evaluator(), 3), (make_contains_evaluator(), 1)])
    assert weighted("ab", wants("a")) == 0.25
    assert weighted.__name__ == "weighted"
    assert weighted.__doc__


async def _waits(output, expected):
    return 1


@functools.wraps(_waits)
def _wrapped(*args):
    return _waits(*args)


class _Waits:
    async def __call__(self, output):
        return output == "a"


@pytest.mark.parametrize("member", [_waits, _wrapped, functools.partial(_waits, expected=1), _Waits()])
def test_compositions_with_an_async_member_are_async(member):
    """However the coroutine is wrapped."""
    composed = make_all_pass_evaluator([make_contains_evaluator(), member])
    assert inspect.iscoroutinefunction(composed)
    assert bind_evaluator("ev", composed, path=Path()).on_loop
    assert score_of(composed, "a", wants("a")) is True


@pytest.mark.parametrize("make", [make_all_pass_evaluator, make_any_pass_evaluator])
def test_an_awaitable_from_a_plain_function_is_no_pass(make, recwarn):
    """It would be true whatever it comes to; beside an async member it is awaited."""
    fails = lambda output, expected: _fails(output)  # noqa: E731
    with pytest.raises(TypeError, match=r"plain function that returned an awaitable\. Define it with `async def`"):
        make([fails])("a", {})
    assert score_of(make([fails, _fails])) is False
    assert [str(one.message) for one in recwarn] == []


async def _fails(output):
    return 0


def test_a_plain_member_beside_an_async_one_leaves_the_loop_free():
    """And sees the context of its call."""
    threads = []
    loop_goes_on = threading.Event()

    def blocks(output):
        threads.append(threading.get_ident())
        return loop_goes_on.wait(30)

    composed = make_all_pass_evaluator([blocks, _waits])

    async def main():
        task = asyncio.ensure_future(composed("a", {}))
        while not threads:
            await asyncio.sleep(0.01)
        loop_goes_on.set()
        return await task

    assert asyncio.run(main()) is True
    assert threads != [threading.get_ident()]


def test_members_get_what_the_engine_binds():
    """By the names of their parameters, each its own; a single one of another name gets the output."""
    seen: dict[str, Any] = {}

    def all_of_it(input, output, expected, reference, metadata, example, trace_id):
        seen.update(locals())
        return 1

    composed = make_all_pass_evaluator(
        [all_of_it, lambda answer: answer == "out", lambda metadata, output: metadata["m"], lambda *, expected: True]
    )
    values = {
        "input": {"q": 1},
        "output": "out",
        "expected": wants("a"),
        "reference": wants("r"),
        "metadata": {"m": 1},
        "example": object(),
        "trace_id": None,
    }
    callee = bind_evaluator("ev", composed, path=Path())
    args = [values[name] for name in callee.positional]
    kwargs = {parameter: values[name] for parameter, name in callee.keywords.items()}
    assert composed(*args, **kwargs) is True
    seen.pop("seen", None)
    assert seen == values


def test_a_value_that_a_script_does_not_give_has_its_default_or_is_asked_for():
    def needs(output, input):
        return input["q"] == 1

    def may_use(output, expected, metadata="none given"):
        return metadata == "none given"

    assert make_all_pass_evaluator([may_use])("a", {}) is True
    assert make_all_pass_evaluator([may_use])("a", {}, metadata={}) is False
    assert make_all_pass_evaluator([needs])("a", {}, input={"q": 1}) is True
    with pytest.raises(TypeError, match=r"`needs` needs `input`\. Pass it by keyword: input="):
        make_all_pass_evaluator([needs])("a", {})


def test_reference_is_what_is_expected():
    assert make_all_pass_evaluator([lambda output, reference: reference == wants(1)])("a", wants(1)) is True


def _decorated(function):
    """Without functools.wraps."""

    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize(
    "member",
    [
        lambda o, e: (o, e) == ("a", wants(1)),
        lambda out, expected: (out, expected) == ("a", wants(1)),
        lambda output, exp: (output, exp) == ("a", wants(1)),
        lambda o, e, /: (o, e) == ("a", wants(1)),
        lambda o, e, threshold=3: (o, e, threshold) == ("a", wants(1), 3),
        _decorated(lambda output, expected: (output, expected) == ("a", wants(1))),
        lambda **values: values == {"output": "a", "expected": wants(1), "reference": wants(1)},
    ],
)
def test_members_that_scripts_call_by_position_work(member):
    """0.6 called them with output and expected, whatever the parameters are called."""
    assert make_all_pass_evaluator([member])("a", wants(1)) is True
    assert score_of(make_all_pass_evaluator([member, _waits]), "a", wants(1)) is True


@pytest.mark.parametrize(
    "member",
    [
        lambda o, e, x: 1,
        lambda: 1,
        lambda metadata, o: 1,
        lambda o, *, e: 1,
        0.5,
        None,
        "text",
    ],
    ids=["three", "none", "in another's place", "by keyword", "number", "None", "text"],
)
def test_a_member_that_cannot_be_called_is_found_at_the_factory(member):
    with pytest.raises(TypeError, match="evaluator 2, `"):
        make_all_pass_evaluator([lambda output: 1, member])


def test_compositions_nest():
    inner = make_any_pass_evaluator([make_exact_match_evaluator(), make_contains_evaluator()])
    judge = make_llm_judge_evaluator(PlainModel({"score": 0.5}), PROMPT, Grade)
    assert make_all_pass_evaluator([inner, inner])("ab", wants("a")) is True
    composed = make_weighted_evaluator([(inner, 1), (judge, 1), (make_all_pass_evaluator([judge]), 2)])
    assert score_of(composed, "ab", wants("a")) == pytest.approx(0.875)


def test_a_silent_judge_without_an_answer_is_no_pass_and_no_fail():
    """Its None stops the composition."""
    judge = make_llm_judge_evaluator(PlainModel(RuntimeError("no quota")), PROMPT, Grade)
    for make in (make_all_pass_evaluator, make_any_pass_evaluator):
        with pytest.raises(ValueError, match="`llm_judge`: the evaluator returned None"):
            make([judge])("a", {})


def test_objects_with_an_evaluate_method_are_members():
    """As the Phoenix client makes them."""

    class Judge:
        def evaluate(self, *, output=None, **values):
            return {"score": float(output == "a" and set(values) == {"expected", "reference"})}

    class OfAll:
        def evaluate(self, given, input_mapping=None):
            return float(set(given) == {"output", "expected", "reference"})

    class Waiting:
        async def async_evaluate(self, *, output=None, **_):
            return {"score": float(output == "a")}

    assert make_all_pass_evaluator([Judge(), OfAll()])("a", {}) is True
    assert score_of(make_all_pass_evaluator([Judge(), Waiting()]), "a", {}) is True
