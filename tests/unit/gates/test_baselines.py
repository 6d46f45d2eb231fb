"""Which recorded experiment a run is compared with; whole runs are in test_gating.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from evalwire.gates.baselines import BaselineQuery, choose_baseline

SUBJECT = BaselineQuery(
    experiment="search", dataset_name="set", evaluators=None, branches=["main"], experiment_ids=set()
)


def recorded(number: int, **metadata: Any) -> dict[str, Any]:
    facts = {"experiment": "search", "outcome": "passed", "repetitions": 1}
    return {
        "id": f"E{number}",
        "name": f"eval_set_{number}",
        "created_at": "2026-01-01T00:00:00+00:00",
        "missing_run_count": 0,
        "metadata": {"branch": "main", "evalwire": facts, **metadata},
    }


def test_the_newest_on_the_branch_is_chosen():
    found, why = choose_baseline([recorded(2), recorded(1)], SUBJECT)
    assert (found["id"], why) == ("E2", "")


def test_a_forks_branch_of_the_same_name_is_another():
    """A pull request from `main` of a fork to `main` has not been merged; within one repository there is none."""
    fork = recorded(2, pull_request="7", base_branch="main")
    assert choose_baseline([fork, recorded(1)], SUBJECT)[0]["id"] == "E1"
    found, why = choose_baseline([fork], SUBJECT)
    assert found is None
    assert "is of a fork, whose branch has the same name" in why
    on_the_branch = recorded(3, branch="change", pull_request="7", base_branch="main")
    assert choose_baseline([on_the_branch], replace(SUBJECT, branches=["change"]))[0]["id"] == "E3"
