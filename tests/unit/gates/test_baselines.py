"""Which recorded experiment a run is compared with; whole runs are in test_gating.py."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from evalwire.gates.baselines import (
    BaselineChoice,
    BaselineQuery,
    branches_for,
    choose_baseline,
    choose_history,
    covered_share,
    find_base_branch,
    is_of_base_branch,
    on_branches,
)

SUBJECT = BaselineQuery(experiment="search", dataset_name="set", branches=["main"], experiment_ids=set())
OWN_METADATA = {"experiment": "search", "outcome": "passed", "repetitions": 1}


def recorded(number: int, *, facts: dict[str, Any] | None = None, missing: int = 0, **metadata: Any) -> dict[str, Any]:
    own = {key: value for key, value in {**OWN_METADATA, **(facts or {})}.items() if value is not None}
    return {
        "id": f"E{number}",
        "name": f"eval_set_{number}",
        "created_at": f"2026-01-{number:02}T00:00:00+00:00",
        "missing_run_count": missing,
        "metadata": {"branch": "main", "evalwire": own, **metadata},
    }


def chosen(*records: dict[str, Any], **changes: Any) -> str | None:
    found, why = choose_baseline(records, replace(SUBJECT, **changes))
    assert (found is None) is bool(why)
    return found["id"] if found else None


def why_none(*records: dict[str, Any], **changes: Any) -> str:
    found, why = choose_baseline(records, replace(SUBJECT, **changes))
    assert found is None
    return why


# --- what is asked for ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("auto", "auto", ""),
        (" none ", "none", ""),
        ("branch:release/1.0", "branch", "release/1.0"),
        ("tag:a:b", "tag", "a:b"),
        ("file:last week/results.json", "file", "last week/results.json"),
        ("RXhwZXJpbWVudDox", "id", "RXhwZXJpbWVudDox"),
    ],
)
def test_a_choice_is_read_and_written_back(text, kind, value):
    choice = BaselineChoice.parse(text)
    assert (choice.kind, choice.value) == (kind, value)
    assert str(choice) == text.strip()


@pytest.mark.parametrize("text", ["", "  ", "auto:", "none:x", "branch:", "tag:", "file:", "sha:1", ":x", "two words"])
def test_what_is_no_choice_is_an_error_that_lists_them(text):
    known = "expected auto, none, branch:NAME, tag:NAME, file:PATH or an experiment ID"
    with pytest.raises(ValueError, match=f"^{known}$"):
        BaselineChoice.parse(text)


@pytest.mark.parametrize(
    ("asked", "ci", "setting", "branches"),
    [
        ("branch:old", {"branch": "topic", "base_branch": "main"}, "next", ["old"]),
        ("auto", {"branch": "topic", "base_branch": "dev"}, "next", ["next"]),
        ("auto", {"branch": "topic", "base_branch": "dev"}, None, ["dev"]),
        ("auto", {"branch": "topic"}, None, ["main"]),
        ("auto", {}, None, ["main", None]),
        ("auto", {"base_branch": "dev"}, None, ["dev", None]),
    ],
)
def test_the_branches_of_a_baseline(asked, ci, setting, branches):
    """The one that is asked for, else the setting, else CI's, else `main`; without any branch, another such run."""
    assert branches_for(BaselineChoice.parse(asked), ci, find_base_branch(ci, setting)) == branches


# --- what is chosen ------------------------------------------------------------------------------------


def test_the_newest_on_the_branch_is_chosen():
    found, why = choose_baseline([recorded(2), recorded(1)], SUBJECT)
    assert (found["id"], why) == ("E2", "")


@pytest.mark.parametrize("target", ["main", "develop", None])
def test_a_pull_request_of_a_forks_main_is_no_baseline_of_main(target):
    """Whatever it wants to be merged into; a run of the branch itself that came before it is."""
    fork = recorded(2, pull_request=7, base_branch=target)
    assert chosen(fork, recorded(1)) == "E1"
    assert "ran in a fork" in why_none(fork)
    assert "ran in a fork" in why_none(
        {**fork, "metadata": {**fork["metadata"], "branch": "dev"}}, branches=["dev"], base_branch="dev"
    )


def test_a_pull_requests_branch_that_is_named_is_a_baseline():
    topic = recorded(2, branch="topic", pull_request=7, base_branch="main")
    assert chosen(topic, branches=["topic"]) == "E2"


def test_the_jobs_own_experiments_are_passed_over():
    assert chosen(recorded(3), recorded(2), recorded(1), experiment_ids={"E3", "E2"}) == "E1"


def test_only_what_was_created_earlier_counts():
    """An experiment that was created at the same moment is not earlier."""
    assert chosen(recorded(3), recorded(2), recorded(1), before=datetime(2026, 1, 2, tzinfo=UTC)) == "E1"


@pytest.mark.parametrize(("begun", "is_earlier"), [("00:00:00.6", False), ("00:00:00.4", True), ("", False)])
def test_a_start_within_the_same_second_decides_which_run_is_earlier(begun, is_earlier):
    """With SQLite, Phoenix's own time has no fractions of seconds."""
    other = recorded(2, facts={"begun": f"2026-01-02T{begun}+00:00"} if begun else {})
    moment = datetime(2026, 1, 2, 0, 0, 0, 500_000 if begun else 0, tzinfo=UTC)
    assert (chosen(other, before=moment) == "E2") is is_earlier


@pytest.mark.parametrize("begun", ["yesterday", "2026-01-09T00:00:00", 7])
def test_a_start_that_is_no_moment_gives_way_to_phoenix_s_own_time(begun):
    assert chosen(recorded(2, facts={"begun": begun}), before=datetime(2026, 1, 3, tzinfo=UTC)) == "E2"


def test_a_run_without_a_branch_is_compared_with_another_such():
    assert chosen(recorded(1, branch=None), branches=["main", None]) == "E1"


def test_records_without_metadata_are_not_evalwires():
    """And there is an end to how many are looked at: behind 5,000 others none is found."""
    foreign = {**recorded(1), "metadata": None}
    assert why_none(foreign) == "none recorded on branch main yet"
    assert chosen(*[foreign] * 4_999, recorded(2)) == "E2"
    assert chosen(*[foreign] * 5_000, recorded(2)) is None


REASONS = [
    (recorded(1, facts={"experiment": "other"}), {}, "belongs to the experiment other"),
    (recorded(1, branch="topic"), {}, "ran on branch topic"),
    (recorded(1, branch=None), {}, "ran on branch (unknown)"),
    (recorded(1, pull_request="7", base_branch="main"), {}, "ran in a fork, on a branch with the same name"),
    (recorded(1, facts={"prefix": "gpt"}), {"prefix": "claude"}, "has the prefix gpt instead of claude"),
    (recorded(1), {"prefix": "claude"}, "has the prefix eval instead of claude"),
    (recorded(1, facts={"mixed": True}), {}, "is mixed: its code or dataset changed before it was resumed"),
    (recorded(1, missing=1), {}, "did not finish"),
    (recorded(1, facts={"outcome": None}), {"is_any_outcome": True}, "did not finish"),
    (recorded(1, facts={"outcome": "errors"}), {}, "has the outcome errors"),
]


@pytest.mark.parametrize(("record", "changes", "reason"), REASONS)
def test_what_is_no_baseline_says_why(record, changes, reason):
    assert why_none(record, **changes) == f"none recorded on branch main yet; eval_set_1 (E1) {reason}"


@pytest.mark.parametrize(
    ("record", "changes"),
    [
        (recorded(1, facts={"split": "dev"}), {}),
        (recorded(1), {"split": "dev"}),
        (recorded(1, facts={"repetitions": 2}), {}),
        (recorded(1, facts={"evaluators": {"a": "1"}}), {}),
        (recorded(1, facts={"prefix": "claude"}), {"prefix": "claude"}),
        (recorded(1), {"prefix": "eval"}),
        ({**recorded(1), "name": "named by hand"}, {"prefix": "eval"}),
        (recorded(1, facts={"outcome": "errors"}), {"is_any_outcome": True}),
        (recorded(1, base_branch="main"), {}),
    ],
)
def test_what_agrees_is_a_baseline(record, changes):
    assert chosen(record, **changes) == "E1"


@pytest.mark.parametrize(
    ("shares", "expected"),
    [({3: 1.0, 2: 1.0}, "E3"), ({3: 0.3, 2: 1.0, 1: 1.0}, "E2"), ({3: 0.3, 2: 0.5, 1: 0.5}, "E2"), ({1: 0.0}, "E1")],
)
def test_the_newest_that_covers_all_is_chosen_else_the_one_that_covers_most(shares, expected):
    """Of several that cover as many, the newest; those behind one that covers all are not asked for."""
    asked = []

    def coverage(record):
        asked.append(record["id"])
        return shares[int(record["id"][1:])]

    found, _ = choose_baseline([recorded(number) for number in shares], SUBJECT, coverage)
    assert found["id"] == expected
    assert asked == [f"E{number}" for number in shares][: len(asked)]
    assert all(shares[int(one[1:])] < 1 for one in asked[:-1])


def test_the_share_that_is_covered_counts_unchanged_examples():
    own = {"a": "1", "b": "1", "c": "1", "d": "1"}
    assert covered_share(own, own) == 1
    assert covered_share(own, {"a": "1", "b": "2", "e": "1"}) == 0.25
    assert covered_share({}, own) == 1


@pytest.mark.parametrize(
    ("ci", "is_base"),
    [
        ({"branch": "main"}, True),
        ({"branch": "main", "pull_request": "7"}, False),
        ({"branch": "change"}, False),
        ({}, False),
    ],
)
def test_the_base_branch_is_known(ci, is_base):
    """A pull request from a fork's `main` is not on it."""
    assert is_of_base_branch(ci, "main") is is_base


def test_of_those_that_are_none_the_nearest_is_told():
    """The first of them, where several came as near; and the branches that were looked for."""
    other, ended = recorded(1, facts={"experiment": "other"}), {"outcome": "errors"}
    near, older = recorded(3, facts=ended), recorded(2, facts=ended)
    why = why_none(other, near, older, recorded(4, branch="topic"), branches=["main", None])
    assert why == "none recorded on branch main or without a branch yet; eval_set_3 (E3) has the outcome errors"


def test_a_forks_branch_of_the_same_name_is_another():
    """A pull request from `main` of a fork to `main` has not been merged; within one repository there is none."""
    fork = recorded(2, pull_request="7", base_branch="main")
    assert chosen(fork, recorded(1)) == "E1"
    assert "ran in a fork, on a branch with the same name" in why_none(fork)
    on_the_branch = recorded(3, branch="change", pull_request="7", base_branch="main")
    assert chosen(on_the_branch, branches=["change"]) == "E3"


# --- working copies ------------------------------------------------------------------------------------

DIRTY, CLEAN = {"branch": "main", "dirty": True}, {"branch": "main", "dirty": False}


@pytest.mark.parametrize("local", [DIRTY, CLEAN])
def test_a_job_in_ci_never_takes_the_run_of_a_working_copy_as_its_baseline(local):
    mine, theirs = recorded(2, **local), recorded(1, ci="github")
    assert chosen(mine, theirs, is_ci=True) == "E1"
    assert "was recorded outside of CI" in why_none(mine, is_ci=True)
    assert chosen(mine, theirs) == "E2", "outside of CI, the newest is the baseline"


@pytest.mark.parametrize(
    ("ci", "branches", "fallback", "is_ci"),
    [
        ({"ci": "github", "branch": "topic"}, ["main"], None, True),
        ({"branch": "topic", "dirty": False}, ["main", None], "topic", False),
        ({"branch": "topic", "base_branch": "trunk", "dirty": True}, ["trunk", None], "topic", False),
        ({"commit": "a", "dirty": False}, ["main", None], None, False),
        ({}, ["main", None], None, False),
    ],
)
def test_the_branch_of_a_working_copy_is_the_fallback(ci, branches, fallback, is_ci):
    query = on_branches(SUBJECT, BaselineChoice("auto"), ci, find_base_branch(ci, None))
    assert (query.branches, query.fallback, query.is_ci) == (branches, fallback, is_ci)


def test_a_branch_that_was_named_has_no_fallback():
    query = on_branches(SUBJECT, BaselineChoice("branch", "next"), {"branch": "topic", "dirty": True}, "main")
    assert (query.branches, query.fallback) == (["next"], None)


# --- history -------------------------------------------------------------------------------------------


def history(*records: dict[str, Any], **changes: Any) -> list[str]:
    return [record["id"] for record in choose_history(records, replace(SUBJECT, **changes))]


def test_a_history_has_what_ended_on_the_branch_whatever_the_outcome():
    red, unfinished = recorded(4, facts={"outcome": "gate_failed"}), recorded(3, facts={"outcome": None})
    assert history(red, unfinished, recorded(2, branch="topic"), recorded(1)) == ["E4", "E1"]


def test_a_history_has_the_newest_thirty_that_are_not_the_jobs_own():
    records = [recorded(1) | {"id": f"E{number}"} for number in range(40, 0, -1)]
    assert history(*records, experiment_ids={"E40"}) == [f"E{number}" for number in range(39, 9, -1)]
    assert history(recorded(9), recorded(3), before=datetime(2026, 1, 5, tzinfo=UTC)) == ["E3"]


def test_a_history_leaves_out_other_splits_mixed_runs_and_in_ci_working_copies():
    others = recorded(5, facts={"split": "smoke"}), recorded(4, facts={"mixed": True}), recorded(3, **DIRTY)
    assert history(*others, recorded(1), is_ci=True) == ["E1"]
    assert history(*others, split="smoke") == ["E5"]


def test_a_history_does_not_read_every_experiment_that_was_ever_recorded():
    read = iter([recorded(1, branch="topic")] * 5000)
    assert choose_history(read, SUBJECT) == []
    assert len(list(read)) == 4000
