"""The list of recorded experiments, at 80 columns and as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from evalwire.model import HistoryEntry, ModelUsage, Price, ScoreMean
from evalwire.reports.runs_text import ListedExperiment, as_json, as_text

SCORES = tuple(
    ScoreMean(name=name, mean=mean, count=60, is_rate=True) for name, mean in (("exact", 0.917), ("known", 1.0))
)


def listed(number: int, experiment: str = "search", **changes: object) -> ListedExperiment:
    fields = {"branch": "main", "commit": "0123456789abcdef", "outcome": "passed", "scores": SCORES}
    entry = HistoryEntry(
        experiment_id=f"RXhwZXJpbWVudDo{number}",
        time=datetime(2026, 11, 29, 17, number, tzinfo=UTC),
        **{**fields, **changes},
    )
    return ListedExperiment(
        experiment=experiment, recorded_name=f"eval_{number}", url=f"http://p/{number}", entry=entry
    )


def test_an_experiment_is_a_line_and_its_scores_are_below():
    text = as_text([listed(12, is_dirty=True), listed(11, outcome="gate_failed")], {}, width=80, cut_off=["search"])
    assert text.splitlines() == [
        "search: the newest 2 recorded experiments",
        "time (UTC)        branch    commit     outcome      ID",
        "2026-11-29 17:12  main      01234567*  passed       RXhwZXJpbWVudDo12",
        "                  exact 91.7%  known 100.0%".replace(" 9", "\xa09").replace(" 1", "\xa01"),
        "2026-11-29 17:11  main      01234567   gate failed  RXhwZXJpbWVudDo11",
        "                  exact 91.7%  known 100.0%".replace(" 9", "\xa09").replace(" 1", "\xa01"),
        "* with changes that the commit does not have",
    ]


def test_a_line_fits_into_80_columns_whatever_the_names():
    many = tuple(ScoreMean(name=f"evaluator_number_{n}", mean=0.5, count=1) for n in range(9))
    entries = [listed(10, branch="feature/" + "x" * 90, scores=many), listed(11, outcome="infrastructure")]
    lines = as_text(entries, {}, width=80).splitlines()
    assert max(map(len, lines)) <= 80
    assert "feature/xxxxxxx…" in lines[2]
    assert lines[3].startswith(" " * 18 + "evaluator_number_0")


def test_each_directory_has_a_group_and_unknown_facts_are_dashes():
    unknown = listed(10, "router", branch=None, commit=None, outcome="", scores=())
    lines = as_text([listed(11), unknown], {}, width=80).splitlines()
    assert lines[0] == "router: 1 recorded experiment"
    assert lines[2] == "2026-11-29 17:10  -         -          not finished  RXhwZXJpbWVudDo10"
    assert lines[4] == "search: 1 recorded experiment"


def test_the_cost_is_from_the_spans_or_the_prices():
    usage = (ModelUsage(model="m", calls=1, prompt_tokens=1_000_000, unpriced=1, unpriced_prompt_tokens=1_000_000),)
    priced = {"m": Price(input=2.5, output=10.0)}
    assert "2.50\xa0USD\n" in as_text([listed(10, usage=usage)], priced, width=80)
    assert "0.00\xa0USD\xa0or\xa0more" in as_text([listed(10, usage=usage)], {}, width=80)
    assert json.loads(as_json([listed(10, usage=usage)], priced))[0]["cost_usd"] == 2.5


def test_the_date_of_known_prices_is_said_once_at_the_end():
    usage = (ModelUsage(model="gpt-4o-mini", calls=1, unpriced=1, unpriced_prompt_tokens=1_000_000),)
    text = as_text([listed(10, usage=usage), listed(11, "router", usage=usage)], {}, width=80)
    assert text.count("0.15\xa0USD\n") == 2
    assert text.count("prices of") == 1
    assert text.splitlines()[-1].startswith("Costs are at the prices of 20")
    assert "prices of" not in as_text([listed(10, usage=usage)], {"gpt-4o-mini": Price(input=1, output=1)}, width=80)


def test_the_json_has_all_of_it():
    (found,) = json.loads(as_json([listed(10, is_dirty=True)], {}))
    assert found == {
        "experiment": "search",
        "experiment_id": "RXhwZXJpbWVudDo10",
        "recorded_name": "eval_10",
        "url": "http://p/10",
        "time": "2026-11-29T17:10:00+00:00",
        "branch": "main",
        "commit": "0123456789abcdef",
        "dirty": True,
        "outcome": "passed",
        "part": None,
        "scored": False,
        "scores": {
            "exact": {"mean": 0.917, "n": 60, "is_rate": True},
            "known": {"mean": 1.0, "n": 60, "is_rate": True},
        },
        "cost_usd": None,
    }


def test_texts_of_users_are_on_their_line():
    text = as_text([listed(10, "se\narch\x1b[31m", branch="a\nb", commit="c\td", outcome="x\ny")], {}, width=80)
    assert "\x1b" not in text
    assert len(text.splitlines()) == 4
