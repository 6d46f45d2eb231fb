"""What is recorded of an early verdict, as this and other versions write it."""

from __future__ import annotations

import json

import pytest

from evalwire.model import GateDecision, Stopping, StoppingRules

DECISION = GateDecision(
    gate="s max_drop", status="passed", threshold=0.02, basis="maximize", text="look 3", p_value=1.0
)
STOPPING = Stopping(seen=140, of=500, beyond=9, beyond_failed=1, risk=0.01, decisions=(DECISION,))


def recorded(**changes):
    return {**json.loads(json.dumps(STOPPING.to_json())), **changes}


def test_an_early_verdict_is_read_as_it_was_recorded():
    assert Stopping.from_json(recorded()) == STOPPING
    assert (STOPPING.made, STOPPING.not_needed, STOPPING.is_early) == (149, 351, True)


def test_entries_of_a_later_version_do_not_make_a_part_a_whole_run():
    """An unreadable early verdict would be a run of all its examples, and a baseline."""
    newer = recorded(colour="blue", decisions=[{**recorded()["decisions"][0], "colour": "blue"}])
    assert Stopping.from_json(newer) == STOPPING


@pytest.mark.parametrize("value", [None, "x", {}, StoppingRules().to_json(), {"seen": 5}, recorded(decisions=[{}])])
def test_anything_else_is_no_early_verdict(value):
    assert Stopping.from_json(value) is None


def test_rules_are_read_without_other_entries_and_not_from_an_unfinished_list():
    rules = StoppingRules(risk=0.05, min_examples=10, errors="all", on_failed="finish", limits=2, drops=3)
    assert StoppingRules.from_json({**rules.to_json(), "colour": "blue"}) == rules
    assert StoppingRules.from_json({"risk": 0.05}) is None
    assert StoppingRules.from_json(None) is None
