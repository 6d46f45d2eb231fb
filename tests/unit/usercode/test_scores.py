"""What a task's return becomes as JSON, and an evaluator's as scores and labels."""

from __future__ import annotations

import copy
import dataclasses
import enum
import pickle
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pydantic
import pytest

import evalwire
from evalwire.model.json_conversion import to_json
from evalwire.usercode.scores import NOT_APPLICABLE, EvaluatorScore, parse_scores

# --- outputs -------------------------------------------------------------------------------------------


class Color(enum.StrEnum):
    RED = "red"


class OldColor(str, enum.Enum):  # noqa: UP042 - what users have
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Shape(enum.Enum):
    ROUND = "round"


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Hit:
    title: str
    scores: tuple[float, ...]
    color: Color = Color.RED


class Answer(pydantic.BaseModel):
    text: str
    when: datetime
    hits: list[float] = []


MOMENT = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (2.5, 2.5),
        ("text é", "text é"),
        ({"a": [1, {"b": (2, 3)}]}, {"a": [1, {"b": [2, 3]}]}),
        ((1, "two"), [1, "two"]),
        (Point(1, 2), [1, 2]),
        (MappingProxyType({"a": 1}), {"a": 1}),
        ({1: "one", Level.HIGH: "three", Color.RED: "r"}, {"1": "one", "3": "three", "red": "r"}),
        (Hit("a", (0.5, 1.0)), {"title": "a", "scores": [0.5, 1.0], "color": "red"}),
        ([Hit("a", ())], [{"title": "a", "scores": [], "color": "red"}]),
        (Answer(text="a", when=MOMENT, hits=[1.0]), {"text": "a", "when": "2024-05-06T07:08:09Z", "hits": [1.0]}),
        (
            {"answer": Answer(text="a", when=MOMENT)},
            {"answer": {"text": "a", "when": "2024-05-06T07:08:09Z", "hits": []}},
        ),
        (MOMENT, "2024-05-06T07:08:09+00:00"),
        (date(2024, 5, 6), "2024-05-06"),
        (Color.RED, "red"),
        (OldColor.RED, "red"),
        (Level.HIGH, 3),
        (np.float32(0.5), 0.5),
        (np.float64(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array(1.5), 1.5),
        ({"v": np.array([0.5])}, {"v": [0.5]}),
    ],
)
def test_outputs_become_json_without_loss(value, expected):
    """What has a JSON form is converted to plain JSON types, however deeply it is nested."""
    converted = to_json(value)
    assert converted == expected
    assert type(converted) is type(expected)


@pytest.mark.parametrize(
    "value",
    [
        object(),
        b"\xff",
        Hit,
        1 + 2j,
        iter([1]),
        lambda: 1,
        np.array([object()]),
        {(1, 2): "tuple key"},
        {None: "none key"},
        {1.5: "float key"},
    ],
)
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: {"deep": [value]}])
def test_outputs_without_a_json_form_are_refused(value, wrap):
    """What has no JSON form is an error that says so, never an empty object in Phoenix."""
    with pytest.raises(TypeError):
        to_json(wrap(value))


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        float("-inf"),
        np.float64("nan"),
        np.float32("inf"),
        np.array([1.0, float("nan")]),
        2**64,
        -(2**63) - 1,
        pytest.param(10**5000, id="more digits than Python writes"),
        "a\0b",
        {"a\0": 1},
        "\ud800",
        {"\ud800": 1},
        Hit("a", (float("nan"),)),
        Answer(text="a", when=MOMENT, hits=[float("inf")]),
    ],
)
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: {"deep": [value]}])
def test_outputs_that_json_cannot_hold_are_refused(value, wrap):
    """NaN, infinities, integers that Phoenix cannot store and invalid Unicode are errors, wherever they are."""
    with pytest.raises(ValueError, match=r"."):
        to_json(wrap(value))


def nested(levels):
    return 1 if levels == 0 else [nested(levels - 1)]


def test_more_levels_than_phoenix_stores_are_refused():
    """A structure that holds itself has no end of them."""
    assert to_json(nested(250)) == nested(250)
    own = []
    own.append(own)
    for value in (nested(251), own, {"a": nested(250)}):
        with pytest.raises(ValueError, match="more than 250 levels"):
            to_json(value)


@pytest.mark.parametrize("value", [-(2**63), 2**64 - 1])
def test_the_integers_of_64_bits_are_kept(value):
    assert to_json({"n": value}) == {"n": value}


def test_keys_that_would_fall_together_are_refused():
    """Two keys with one JSON spelling would lose a value, so they are an error."""
    with pytest.raises((TypeError, ValueError)):
        to_json({1: "number", "1": "text"})


# --- what evaluators return ----------------------------------------------------------------------------


class ScoreLike:
    """The shape of a phoenix-evals Score."""

    def __init__(self, **fields):
        self.name = self.score = self.label = self.explanation = self.metadata = None
        vars(self).update(fields)


@pytest.mark.parametrize(
    ("returned", "score", "label", "explanation"),
    [
        (True, 1.0, "True", None),
        (False, 0.0, "False", None),
        (np.bool_(True), 1.0, "True", None),
        (np.bool_(False), 0.0, "False", None),
        (1, 1.0, None, None),
        (0, 0.0, None, None),
        (0.25, 0.25, None, None),
        (-3.5, -3.5, None, None),
        (np.float32(0.5), 0.5, None, None),
        (np.float64(0.5), 0.5, None, None),
        (np.int64(2), 2.0, None, None),
        (np.array(0.5), 0.5, None, None),
        ("good", None, "good", None),
        (np.str_("good"), None, "good", None),
        ((0.5, "good"), 0.5, "good", None),
        ((0.5, "good", "because"), 0.5, "good", "because"),
        ((0.5, None), 0.5, None, None),
        ((None, "good", None), None, "good", None),
        ((np.float32(0.5), "good"), 0.5, "good", None),
        ((True, "good"), 1.0, "good", None),
        ((1, 3), 1.0, "3", None),
        ((0.5, True), 0.5, "True", None),
        ((0.5, Level.HIGH, 7), 0.5, "3", "7"),
        (("0.5", "a"), 0.5, "a", None),
        (("1e-2", None), 0.01, None, None),
        ({"score": 0.5}, 0.5, None, None),
        ({"label": "good"}, None, "good", None),
        ({"score": np.int64(1), "label": "good", "explanation": "because"}, 1.0, "good", "because"),
        ({"score": 0.5, "label": None, "other": object()}, 0.5, None, None),
        ({"name": "own", "score": 0.5}, 0.5, None, None),
        ([{"score": 0.5}], 0.5, None, None),
        ([{"name": "own", "score": 0.5}], 0.5, None, None),
        (ScoreLike(score=0.5, label="good"), 0.5, "good", None),
        ([ScoreLike(name="own", score=0.5, explanation="because")], 0.5, None, "because"),
    ],
)
def test_accepted_returns(returned, score, label, explanation):
    """Each accepted form becomes one evaluation under the file's name, with a plain float and text."""
    [verdict] = parse_scores(returned, name="ev")
    assert (verdict.name, verdict.score, verdict.label, verdict.explanation) == ("ev", score, label, explanation)
    assert type(verdict.score) in (float, type(None))
    assert type(verdict.label) in (str, type(None))


@pytest.mark.parametrize(("make", "collect"), [(dict, list), (ScoreLike, list), (ScoreLike, tuple)])
def test_several_results_go_by_their_own_names(make, collect):
    """A list of dicts or scores becomes one evaluation for each, under its own name."""
    returned = collect([make(name="a", score=0.5), make(name="b", label="good")])
    assert parse_scores(returned, name="ev") == [
        EvaluatorScore(name="a", kind="number", score=0.5),
        EvaluatorScore(name="b", kind="label", label="good"),
    ]


def test_results_without_names_are_numbered_as_phoenix_does():
    """Whatever is beside them; with one result, the evaluator's name is enough."""
    one, other = {"score": 0.5}, {"label": "good"}
    assert [score.name for score in parse_scores([one, other], name="ev")] == ["ev-1", "ev-2"]
    assert [score.name for score in parse_scores([{"name": "a", **one}, other], name="ev")] == ["a", "ev-2"]
    assert [score.name for score in parse_scores((ScoreLike(score=1), ScoreLike(score=0)), name="ev")] == [
        "ev-1",
        "ev-2",
    ]
    assert [score.name for score in parse_scores([one], name="ev")] == ["ev"]


def test_phoenix_evals_scores_are_accepted(evals):
    """Real phoenix-evals scores are accepted, alone and in a list."""
    one = evals.Score(name="a", score=1, label="good", explanation="because", metadata={"k": (1,)})
    expected = EvaluatorScore(
        name="ev", kind="number", score=1.0, label="good", explanation="because", metadata={"k": [1]}
    )
    assert parse_scores(one, name="ev") == [expected]
    two = parse_scores([one, evals.Score(name="b", score=0.0)], name="ev")
    assert [(verdict.name, verdict.score) for verdict in two] == [("a", 1.0), ("b", 0.0)]


@pytest.mark.parametrize(
    ("returned", "kind"),
    [
        (True, "bool"),
        (np.bool_(False), "bool"),
        (np.array(True), "bool"),
        ((True, "because it is there"), "bool"),
        ((np.bool_(True), "good", "because"), "bool"),
        ({"score": False}, "bool"),
        ({"score": np.bool_(True), "label": "pass", "metadata": {"k": 1}}, "bool"),
        ([{"name": "own", "score": True}], "bool"),
        (ScoreLike(score=True, label="good"), "bool"),
        (ScoreLike(score=1.0, label="True"), "bool"),  # what Phoenix's decorators make of a bare bool
        ({"score": 0.0, "label": "False"}, "bool"),
        (1.0, "number"),
        (0, "number"),
        (np.float64(1.0), "number"),
        ((1.0, "pass"), "number"),
        ({"score": 0.0, "label": "True"}, "number"),
        ({"score": 1}, "number"),
        ("True", "label"),
        ({"label": True}, "label"),
        ((None, "good"), "label"),
    ],
)
def test_the_kind_is_that_of_the_type_that_was_returned(returned, kind):
    """Whatever stands beside it; floats that happen to be 0 and 1 are numbers."""
    [verdict] = parse_scores(returned, name="ev")
    assert verdict.kind == kind


@pytest.mark.parametrize(
    ("returned", "label", "explanation"),
    [
        (NOT_APPLICABLE, "not applicable", None),
        ([NOT_APPLICABLE], "not applicable", None),
        ({"score": NOT_APPLICABLE}, "not applicable", None),
        ({"score": NOT_APPLICABLE, "reason": "no source was asked for"}, "not applicable", "no source was asked for"),
        ((NOT_APPLICABLE, "no sources"), "no sources", None),
        ((NOT_APPLICABLE, None, "because"), "not applicable", "because"),
        (ScoreLike(score=NOT_APPLICABLE), "not applicable", None),
    ],
)
def test_not_applicable_has_no_score_and_says_so(returned, label, explanation):
    [verdict] = parse_scores(returned, name="ev")
    assert verdict == EvaluatorScore(name="ev", kind="not_applicable", label=label, explanation=explanation)


def test_one_of_several_results_may_not_be_applicable():
    returned = [{"name": "a", "score": NOT_APPLICABLE}, {"name": "b", "score": True}]
    assert [(one.name, one.kind) for one in parse_scores(returned, name="ev")] == [
        ("a", "not_applicable"),
        ("b", "bool"),
    ]


def test_not_applicable_is_neither_true_nor_false():
    """In `all([...])` it would be a pass."""
    with pytest.raises(TypeError, match="neither true nor false"):
        all([NOT_APPLICABLE])
    assert copy.deepcopy(NOT_APPLICABLE) is NOT_APPLICABLE
    assert pickle.loads(pickle.dumps(NOT_APPLICABLE)) is NOT_APPLICABLE
    assert evalwire.NOT_APPLICABLE is NOT_APPLICABLE


@pytest.mark.parametrize(
    ("fields", "explanation", "dropped"),
    [
        ({"explanation": "a"}, "a", ()),
        ({"reason": "a"}, "a", ()),
        ({"reasoning": "a"}, "a", ()),
        ({"comment": "a"}, "a", ()),
        ({"comment": "c", "reasoning": "b", "reason": "a"}, "a", ("comment", "reasoning")),
        ({"reason": "b", "explanation": "a"}, "a", ("reason",)),
        ({"reason": "a", "explanation": None}, "a", ()),
        ({"reason": None, "other": None}, None, ()),
        ({"rationale": "a", "confidence": 0.5, 3: 4}, None, ("rationale", "confidence", "3")),
        ({"name": "own", "label": "l", "metadata": {"m": 1}}, None, ()),
    ],
)
def test_the_words_for_an_explanation_are_one_and_other_keys_are_named(fields, explanation, dropped):
    [verdict] = parse_scores({"score": 1, **fields}, name="ev")
    assert (verdict.explanation, verdict.dropped) == (explanation, dropped)


def test_metadata_is_kept_as_json():
    """A dict's metadata is kept, converted to JSON."""
    [verdict] = parse_scores({"score": 1, "metadata": {"at": MOMENT, "v": np.float32(0.5)}}, name="ev")
    assert verdict.metadata == {"at": "2024-05-06T07:08:09+00:00", "v": 0.5}


@pytest.mark.parametrize(
    "returned",
    [
        None,
        float("nan"),
        float("inf"),
        float("-inf"),
        np.float64("nan"),
        np.float32("inf"),
        "",
        "  \n",
        {},
        {"accuracy": 0.5},
        {"score": None, "label": None, "explanation": "because"},
        {"score": float("nan")},
        {"score": float("inf"), "label": "good"},
        {"label": ""},
        [],
        (),
        (0.5,),
        (0.5, "a", "b", "c"),
        (None, None),
        (float("nan"), "good"),
        [None],
        [{}],
        [{"name": "ev-2", "score": 0.5}, {"score": 0.7}],
        [{"name": "a", "score": 0.5}, {"name": "", "score": 0.7}],
        [{"name": "a", "score": 0.5}, {"name": "a", "score": 0.7}],
        [0.5, 0.7],
        ScoreLike(explanation="because"),
        ScoreLike(score=float("nan")),
        [ScoreLike(name="a", score=1), ScoreLike(name="a", score=0)],
    ],
)
def test_returns_that_say_nothing_are_refused(returned):
    """None, NaN, infinities, empty results and results of one name are failures, never scores."""
    with pytest.raises(ValueError, match=r"."):
        parse_scores(returned, name="ev")


@pytest.mark.parametrize(
    "returned",
    [
        object(),
        b"good",
        {1, 2},
        1 + 2j,
        np.array([0.5, 0.5]),
        {"score": "0.5"},
        {"score": [1]},
        {"score": 0.5, "label": 3},
        {"label": ["good"]},
        ("good", 0.5),
        ("0,5", "good"),
        [{"name": "a", "score": 0.5}, {"score": "0.7"}],
        {"score": 0.5, "metadata": {"k": object()}},
        lambda: 1.0,
    ],
)
def test_returns_of_another_kind_are_refused(returned):
    """A score that is no number, a label that is no text, and anything else are failures."""
    with pytest.raises(TypeError):
        parse_scores(returned, name="ev")


def test_duplicates_name_what_is_twice():
    """The message about several results of one name says which name."""
    with pytest.raises(ValueError, match="named twin;"):
        parse_scores([{"name": "twin", "score": 1}, {"name": "twin", "score": 0}], name="ev")


def test_a_dict_without_a_score_names_what_it_has():
    """The message about a dict without score and label says which keys it has."""
    with pytest.raises(ValueError, match="it has: accuracy"):
        parse_scores({"accuracy": 0.5}, name="ev")
