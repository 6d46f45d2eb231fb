"""Early verdicts as values: their extent, their JSON, and the random order of the examples."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import fields
from typing import Any

import pytest

from evalwire.model import GateDecision, Stopping, StoppingRules, random_order

FAILED = GateDecision(gate="s min", status="failed", threshold=0.9, basis="maximize", text="because", p_value=0.25)
OPEN = GateDecision(gate="s max_drop", status=None, threshold=0.0)
STOPPING = Stopping(
    seen=140, of=500, rounds=2, of_rounds=5, beyond=7, beyond_failed=3, risk=0.02, decisions=(OPEN, FAILED)
)
RULES = StoppingRules(risk=0.05, min_examples=7, errors="all", on_failed="finish", limits=3, drops=2)


@pytest.mark.parametrize(("kind", "value"), [(Stopping, STOPPING), (StoppingRules, RULES)])
def test_the_json_has_all_fields_and_is_read_with_other_entries(kind, value):
    stored = json.loads(json.dumps(value.to_json()))
    assert set(stored) == {field.name for field in fields(kind)} - {"runs_beyond"}, "the runs are recorded themselves"
    assert kind.from_json({**stored, "added_later": 1}) == value


@pytest.mark.parametrize(("kind", "value"), [(Stopping, STOPPING), (StoppingRules, RULES)])
def test_json_of_another_version_or_of_another_tool_is_no_early_verdict(kind, value):
    """The job then runs or is compared as a whole. An entry that is missing has no default: its meaning is not known."""
    stored = value.to_json()
    for left_out in stored:
        assert kind.from_json({key: one for key, one in stored.items() if key != left_out}) is None
    for other in (None, "seen", ["seen"], 3, {}):
        assert kind.from_json(other) is None


@pytest.mark.parametrize(
    "changes", [{"seen": "many"}, {"of": None}, {"decisions": [{"gate": "s min"}]}, {"decisions": 3}, {"risk": "small"}]
)
def test_json_of_other_types_is_no_early_verdict(changes):
    assert Stopping.from_json({**STOPPING.to_json(), **changes}) is None


def test_entries_of_a_later_version_do_not_make_a_part_a_whole_run():
    """An unreadable early verdict would be a run of all its examples, and a baseline."""
    stored = STOPPING.to_json()
    newer = {**stored, "decisions": [{**decision, "colour": "blue"} for decision in stored["decisions"]]}
    assert Stopping.from_json(newer) == STOPPING
    assert (STOPPING.made, STOPPING.not_needed, STOPPING.is_early) == (287, 2_213, True)


def extent(**changes: Any) -> Stopping:
    return Stopping(**{"seen": 1_500, "of": 1_500, **changes})


def test_a_part_is_of_examples_or_of_repetitions():
    assert extent(seen=1_400).extent == "1,400 of 1,500 examples"
    assert extent(rounds=1, of_rounds=5).extent == "1 of 5 repetitions"
    assert [
        extent(**part).is_early for part in ({}, {"seen": 1_499}, {"of_rounds": 2}, {"rounds": 2, "of_rounds": 2})
    ] == [
        False,
        True,
        True,
        False,
    ]


def test_runs_that_were_not_made_are_those_of_all_repetitions_without_the_runs_in_flight():
    assert extent(seen=1_400, beyond=10).not_needed == 90
    assert extent(rounds=2, of_rounds=5, beyond=10).not_needed == 3 * 1_500 - 10
    assert extent().not_needed == 0


def test_a_decision_is_found_by_the_name_of_its_gate():
    assert STOPPING.decision("s min") is FAILED
    assert STOPPING.decision("s max_drop") is OPEN
    assert STOPPING.decision("min") is None


def test_the_order_is_by_the_digests_of_the_key_and_the_ids():
    """A resumed experiment has the same order, by whichever version; so the digests themselves are written here."""
    ids = [f"q{n}" for n in range(50)]
    expected = sorted(range(50), key=lambda n: hashlib.sha256(f"a key\0q{n}".encode()).hexdigest())
    assert random_order("a key", ids) == expected
    assert random_order("a key", ids) != random_order("another key", ids)
    assert random_order("a key", []) == []


def test_each_example_is_as_often_first():
    firsts = Counter(random_order(f"key {n}", ["a", "b", "c"])[0] for n in range(900))
    assert set(firsts) == {0, 1, 2}
    assert min(firsts.values()) > 250


def test_rules_without_settings_are_those_of_the_documentation():
    assert StoppingRules().to_json() == {
        "risk": 0.01,
        "min_examples": 30,
        "errors": "seen",
        "on_failed": "stop",
        "limits": 1,
        "drops": 1,
    }
