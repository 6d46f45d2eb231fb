"""The examples that a partial run selects."""

from __future__ import annotations

import pytest
from reporting import example

from evalwire.model import ExampleSelection

EXAMPLES = [
    example(1, id="refund-1", input={"user_query": "Where is my Straße?", "tags": ["a", {"deep": 12}]}),
    example(2, id="q2", input={"user_query": "I want a REFUND"}),
    example(3, id="q3", input={"refund": "no"}),
    example(4, id="q4", input={}),
]


def ids(selection: ExampleSelection, examples=EXAMPLES, experiment="search"):
    return [each.id for each in selection.choose(examples, experiment=experiment)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("refund", ["refund-1", "q2"]),  # not the name of a field
        ("STRASSE", ["refund-1"]),
        ("12", ["refund-1"]),
        ("Q3", ["q3"]),
        ("rgf0YXNldEV4YW1wbGU64", ["q4"]),
        ("nothing like it", []),
    ],
)
def test_text_is_found_in_ids_and_values_of_the_input_in_any_case(text, found):
    assert ids(ExampleSelection(text=text)) == found


def test_ids_are_those_of_the_author_or_of_phoenix_and_conditions_narrow_each_other():
    assert ids(ExampleSelection(ids=("q3", EXAMPLES[0].node_id))) == ["refund-1", "q3"]
    assert ids(ExampleSelection(ids=("q3", "q2"), text="refund")) == ["q2"]


def test_failing_examples_are_selected_by_experiment():
    selection = ExampleSelection(failing={"search": ("q4", "gone"), "router": None})
    assert ids(selection) == ["q4"]
    assert ids(selection, experiment="router") == [each.id for each in EXAMPLES]
    assert ids(selection, experiment="other") == []


def test_a_sample_is_the_same_in_any_order_and_differs_by_seed():
    many = [example(n) for n in range(200)]
    chosen = ids(ExampleSelection(sample=20), many)
    assert len(chosen) == 20
    assert chosen == [each.id for each in many if each.id in chosen]  # in the order of the dataset
    assert set(ids(ExampleSelection(sample=20), many[::-1])) == set(chosen)
    assert set(ids(ExampleSelection(sample=20, seed=1), many)) != set(chosen)
    grown = ids(ExampleSelection(sample=20), [*many, *(example(n) for n in range(200, 210))])
    assert len(set(grown) & set(chosen)) >= 15
    assert ids(ExampleSelection(sample=500), many) == [each.id for each in many]


def test_a_sample_is_taken_from_what_the_other_conditions_leave():
    assert len(ids(ExampleSelection(text="refund", sample=1))) == 1
    assert ids(ExampleSelection(text="q4", sample=3)) == ["q4"]


@pytest.mark.parametrize(
    "selection",
    [
        ExampleSelection(text="a b"),
        ExampleSelection(ids=("x", "y"), sample=3, seed=7),
        ExampleSelection(failing={"a": ("1", "2"), "b": None}),
    ],
)
def test_a_selection_is_read_as_it_was_written(selection):
    assert ExampleSelection.from_json(selection.to_json()) == selection
    assert ExampleSelection.from_json(None) is None


@pytest.mark.parametrize("value", [3, {"ids": 4}, {"seed": []}, {"failing": [1]}])
def test_an_invalid_description_is_an_error(value):
    with pytest.raises(ValueError, match="does not describe"):
        ExampleSelection.from_json(value)


def test_only_the_own_failing_examples_are_recorded_with_an_experiment():
    selection = ExampleSelection(failing={"a": ("1",), "b": None})
    assert selection.to_json("a") == {"failing": {"a": ["1"]}}
    assert selection.to_json("c") == {"failing": {"c": []}}


def test_the_flags_are_shown_as_a_shell_accepts_them():
    selection = ExampleSelection(text="it's; rm", ids=("a b",), failing={}, sample=2, seed=9)
    assert str(selection) == "-k 'it'\"'\"'s; rm' --example 'a b' --failing --sample 2 --seed 9"
    assert str(ExampleSelection(ids=("a", "b", "c", "d"))) == "--example for 4 IDs"
