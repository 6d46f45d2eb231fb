"""The outcome of a job is decided from whose its failures are, not from what their exceptions are called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reporting import boolean, failure, result, run

from evalwire.jobs.outcome import decide_outcome, record_outcomes
from evalwire.model import FACTS_KEY, GateResult, own_metadata


@pytest.mark.parametrize(
    ("kinds", "outcome"),
    [
        (["user"], "errors"),
        (["phoenix"], "infrastructure"),
        (["phoenix", "user"], "errors"),
        (["evalwire"], "errors"),
        (["phoenix", "evalwire"], "errors"),
    ],
)
def test_outcome_follows_the_kinds_of_the_failures(kinds, outcome):
    runs = [run(number, failure=failure(kind=kind, type="PhoenixError")) for number, kind in enumerate(kinds, start=1)]
    assert decide_outcome([result("a", runs, evaluators=("e",))], gates=()) == outcome


def gate(experiment, **changes):
    fields = {"rule": "min", "threshold": 0.5, "status": "passed", "is_red": False, "text": "it passed", **changes}
    return GateResult(experiment=experiment, **fields)


def passing(name="a", **changes):
    return result(name, [run(1, evaluations=(boolean("e", passed=True),))], evaluators=("e",), **changes)


def failing(name="a", *, kind="user"):
    return result(name, [run(1, failure=failure(kind=kind))], evaluators=("e",))


def red(experiment="a", **changes):
    return gate(experiment, status="failed", is_red=True, **changes)


def tolerated(experiment="a"):
    return gate(experiment, rule="max_error_rate", threshold=1.0, value=1.0)


@pytest.mark.parametrize(
    ("results", "gates", "outcome"),
    [
        ([passing()], [], "passed"),
        ([passing(), passing("b")], [gate("a"), gate("b")], "passed"),
        ([passing()], [red()], "gate_failed"),
        ([passing(), passing("b")], [gate("a"), red("b")], "gate_failed"),
        ([passing()], [red("not among them")], "gate_failed"),
        ([failing()], [], "errors"),
        ([failing()], [red()], "errors"),
        ([failing()], [tolerated()], "passed"),
        ([failing()], [tolerated(), red()], "gate_failed"),
        ([failing()], [tolerated("b")], "errors"),
        ([failing()], [red(rule="max_error_rate")], "errors"),
        ([passing(), failing("b", kind="phoenix")], [], "infrastructure"),
        ([failing(), passing("b")], [tolerated(), red("b")], "gate_failed"),
        ([passing(), failing("b", kind="phoenix")], [red()], "infrastructure"),
        ([], [], "nothing_to_run"),
        ([], [gate("a")], "nothing_to_run"),
    ],
)
def test_outcome_is_passed_only_where_everything_was(results, gates, outcome):
    assert decide_outcome(results, gates) == outcome
    assert decide_outcome(results, gates, interrupted=True) == "interrupted"


def test_an_experiment_that_is_not_complete_is_an_error_though_errors_are_tolerated():
    stopped = result("a", [run(1, failure=failure())], evaluators=("e",), example_count=2)
    assert decide_outcome([stopped], [tolerated()]) == "errors"


class Noted(dict):
    def note_end(self, experiment_id, metadata):
        self[experiment_id] = metadata


def test_each_experiment_in_phoenix_is_told_its_own_outcome():
    """Red gates of others do not count, and one that was never opened has no place for it."""
    noted = Noted()
    without_id = result("d", [], evaluators=("e",), opened=None)
    record_outcomes(noted, [passing(), passing("b"), failing("c"), without_id], [red("b"), gate("a")])
    assert {id_: own_metadata(metadata)["outcome"] for id_, metadata in noted.items()} == {
        "EXP-a": "passed",
        "EXP-b": "gate_failed",
        "EXP-c": "errors",
    }
    assert noted["EXP-a"].keys() >= {FACTS_KEY, *passing().experiment_metadata}
    assert own_metadata(noted["EXP-a"])["examples"] == 1


STATUSES = ("passed", "failed", "inconclusive", "no baseline")
RULES = ("min", "max_drop", "max_error_rate", "max_cost_usd", "min_llm_calls")


@pytest.mark.hypothesis
@given(
    st.lists(st.tuples(st.sampled_from(RULES), st.sampled_from(STATUSES)), max_size=4),
    st.lists(st.sampled_from(["user", "phoenix", "evalwire", None]), max_size=3),
    st.booleans(),
    st.booleans(),
)
def test_budget_never_makes_a_job_pass(gates, kinds, is_partial, is_missing):
    """Whatever gates and runs there are, a job that its budget ended exits 1."""
    own = [gate("a", rule=rule, status=status, is_red=status == "failed", value=0.5) for rule, status in gates]
    runs = [run(n, failure=failure(kind=kind) if kind else None) for n, kind in enumerate(kinds, start=1)]
    ended = result(
        "a",
        runs,
        evaluators=("e",),
        failure=failure(kind="budget", type="OutOfBudget"),
        example_count=len(runs) + is_missing,
    )
    outcome = decide_outcome([ended, passing("b")], own, is_partial=is_partial)
    assert outcome in ("out_of_budget", "gate_failed", "errors", "infrastructure")
    if not any(kinds):
        assert outcome == ("gate_failed" if any(each.is_red for each in own) else "out_of_budget")
