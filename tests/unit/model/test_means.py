"""The means of an experiment in its metadata, and in lists and trends of later runs."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

import pytest
from reporting import boolean, evaluation, result, run

from evalwire.model import (
    FACTS_KEY,
    Interval,
    ScoreMean,
    end_metadata,
    history_entry,
    mean_interval,
    own_metadata,
    score_means,
    wilson_interval,
)

NUMBERS = [run(n, evaluations=(evaluation("top_k", score),)) for n, score in enumerate((0.2, 0.4, 0.9))]


def t_interval(*values: float) -> Interval:
    low, high = mean_interval(values)
    return Interval(low=max(0.0, low), high=min(1.0, high), method="t")


def wilson(passes: int, size: int) -> Interval:
    low, high = wilson_interval(passes, size)
    return Interval(low=low, high=high, method="Wilson")


def test_a_number_has_a_mean_and_an_interval_within_its_range():
    (mean,) = score_means(result("search", NUMBERS, evaluators=("top_k",)))
    assert mean == ScoreMean(name="top_k", mean=0.5, count=3, interval=t_interval(0.2, 0.4, 0.9))
    assert mean.interval.high <= 1


def test_a_bool_has_a_pass_rate_over_all_expected_runs():
    runs = [run(n, evaluations=(boolean("exact", passed=n > 0, kind="bool"),)) for n in range(3)]
    (mean,) = score_means(result("search", runs, evaluators=("exact",), example_count=4))
    assert mean == ScoreMean(name="exact", mean=0.5, count=4, interval=wilson(2, 4), is_rate=True)


def test_repetitions_of_an_example_count_once_in_the_interval():
    runs = [
        run(n, repetition=r, evaluations=(boolean("exact", passed=n * r < 3, kind="bool"),))
        for n in range(4)
        for r in (1, 2)
    ]
    (mean,) = score_means(result("search", runs, evaluators=("exact",), repetitions=2))
    assert mean == ScoreMean(name="exact", mean=5 / 8, count=8, interval=t_interval(1, 1, 0.5, 0), is_rate=True)


def test_labels_alone_have_no_mean_and_equal_scores_no_interval():
    runs = [run(n, evaluations=(evaluation("tone", None, label="curt"), evaluation("length", 7))) for n in range(2)]
    assert score_means(result("search", runs, evaluators=("tone", "length"))) == (
        ScoreMean(name="length", mean=7, count=2),
    )


def recorded(metadata: dict, **changes: object) -> dict:
    created = {"id": "RXhwZXJpbWVudDox", "created_at": "2026-11-20T09:30:00+00:00", "metadata": metadata}
    return {**created, **changes}


def test_what_is_written_at_the_end_is_read_back():
    runs = [
        run(n, evaluations=(evaluation("top_k", n / 10), boolean("exact", passed=True, kind="bool"))) for n in (1, 2)
    ]
    ended = result("search", runs, evaluators=("exact", "top_k"))
    facts = {"begun": "2026-11-20T09:29:00+00:00"}
    start = {"branch": "main", "commit": "abc", "dirty": True, FACTS_KEY: facts}
    metadata = json.loads(json.dumps(end_metadata(start, ended, "gate_failed")))
    entry = history_entry(recorded(metadata))
    assert (entry.branch, entry.commit, entry.is_dirty, entry.outcome) == ("main", "abc", True, "gate_failed")
    assert entry.time == datetime(2026, 11, 20, 9, 29, tzinfo=UTC)
    assert entry.scores == score_means(ended)
    assert entry.score("exact").is_rate
    assert entry.score("other") is None


def test_an_experiment_of_an_earlier_version_or_another_tool_has_no_means():
    for metadata in ({FACTS_KEY: {"outcome": "passed"}}, {}, None, {FACTS_KEY: "text"}):
        assert history_entry(recorded(metadata)).scores == ()


@pytest.mark.parametrize(
    "entry",
    [None, 0.5, [], {}, {"mean": "0.5"}, {"mean": None}, {"mean": math.nan}, {"mean": math.inf}, {"mean": 10**400}],
)
def test_a_mean_that_is_no_number_is_left_out(entry):
    facts = {"means": {"bad": entry, "good": {"mean": 0.5, "n": "many", "low": 0.9, "high": 0.95}}}
    entry = history_entry(recorded({FACTS_KEY: facts, "branch": ["x"], "commit": 7, "dirty": "no"}))
    assert entry.scores == (ScoreMean(name="good", mean=0.5, count=0),), "an interval that misses its mean is none"
    assert (entry.branch, entry.commit, entry.is_dirty) == (None, None, False)


def test_the_means_are_beside_what_was_recorded_before():
    ended = own_metadata(end_metadata({}, result("search", NUMBERS, evaluators=("top_k",)), "passed"))
    assert ended["means"]["top_k"].keys() == {"mean", "n", "is_rate", "low", "high", "method"}
    assert ended["outcome"] == "passed"
