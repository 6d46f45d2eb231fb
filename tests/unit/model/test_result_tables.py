"""What a notebook shows of results: a short text, a table, and a data frame with a row for each run."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest
from hostile import CORPUS
from reporting import boolean, evaluation, failure, red_report, result, run

from evalwire.model import ExperimentResults
from evalwire.model.gates import GateResult
from evalwire.reports.export import csv_pieces


def gate(**fields: Any) -> GateResult:
    given = {"rule": "min", "threshold": 0.9, "status": "failed", "is_red": True, "text": "e is 0.5", "source": "gates"}
    return GateResult(experiment="a", **{**given, **fields})


def cells(html: str) -> list[list[str]]:
    return [re.findall(r"<t[hd]>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", html)]


def test_a_repr_is_a_line_with_runs_and_scores():
    search, router = red_report().results
    assert repr(search) == "<ExperimentResult doc_search: 12 of 12 runs, exact_match 58.3%, top_k 0.675>"
    assert repr(router) == "<ExperimentResult support_router: 6 of 6 runs, 2 failed, routed 66.7%, tone ->"
    assert repr(ExperimentResults([search])) == f"[{search!r}]"
    unopened = result("a", [], evaluators=("e",), opened=None, failure=failure(stage="open", message="hunter2" * 9_000))
    assert len(repr(unopened)) < 400
    assert "hunter2" not in repr(unopened)


def test_a_table_has_a_row_for_each_score_and_the_failed_gates():
    results = ExperimentResults(
        red_report().results, gates=[gate(text="e is <b>"), gate(source="default"), gate(is_red=False)]
    )
    html = results._repr_html_()
    assert cells(html) == [
        ["experiment", "evaluator", "score", "scored runs", "failed runs"],
        ["doc_search", "exact_match", "58.3%", "12 of 12", "0 of 12"],
        ["doc_search", "top_k", "0.675", "12 of 12", "0 of 12"],
        ["support_router", "routed", "66.7%", "5 of 6", "2 of 6"],
        ["support_router", "tone", "-", "4 of 6", "2 of 6"],
    ]
    assert html.endswith("<p>1 of 2 gates failed</p><ul><li>a: e is &lt;b&gt;</li></ul>")
    assert cells(results[0]._repr_html_()) == cells(html)[:3]


def test_an_experiment_that_did_not_start_has_a_row_with_the_reason():
    broken = result("a", [], evaluators=(), opened=None, failure=failure(type="ImportError", message="hunter2"))
    [_, row] = cells(broken._repr_html_())
    assert row == ["a", "ImportError (/work/experiments/support_router/task.py:12)", "-", "-", "0 of 0"]


def test_a_table_of_many_scores_says_how_many_it_leaves_out():
    many = result("a", [run(1, evaluations=tuple(evaluation(f"e{n}", 0.5) for n in range(80)))], evaluators=())
    assert cells(many._repr_html_())[-1][0] == "and 30 more"


def test_names_are_inert_on_the_page():
    for name, text in CORPUS:
        odd = result(text, [run(1, evaluations=(evaluation(text, 1.0),))], evaluators=(text,))
        html = odd._repr_html_()
        allowed = r"</?(?:table|thead|tbody|tr|th|td)>"
        assert "<" not in re.sub(allowed, "", html), name
        assert html.isprintable()
        assert repr(odd).isprintable()


def test_a_data_frame_has_a_row_for_each_run_with_the_columns_of_an_export():
    results = ExperimentResults(red_report().results)
    frame = results.to_dataframe()
    names = sorted({"exact_match", "top_k", "routed", "tone"})
    header = next(csv_pieces({}, names, [])).strip().split(",")
    assert list(frame.columns) == ["experiment", *header]
    assert len(frame) == 18
    first = frame.iloc[0]
    assert (first["example_id"], first["output"], first["score.exact_match"]) == ("q0", ["doc 1"], 0.0)
    assert first["label.exact_match"] == "False"
    failed = frame[frame["error"].notna()].iloc[0]
    assert (failed["example_id"], failed["experiment"]) == ("q21", "support_router")
    assert failed["error"].startswith("KeyError: 'answer'")
    assert frame["error.tone"].dropna().tolist()[0].startswith("ValueError: no tone")
    alone = results[0].to_dataframe()
    assert len(alone) == 12
    assert "score.routed" not in alone
    assert next(iter(ExperimentResults().to_dataframe().columns)) == "experiment"


def test_a_bool_counts_in_a_mean_of_the_data_frame():
    made = result("a", [run(n, evaluations=(boolean("e", passed=n > 1),)) for n in range(4)], evaluators=("e",))
    assert made.to_dataframe()["score.e"].mean() == 0.5


def test_without_pandas_the_error_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        red_report().results[0].to_dataframe()
