"""The trend of an evaluation over earlier experiments: in the page, in the comment and on the screen."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from reporting import BEGAN, boolean, evaluation, red_report, result, run

from evalwire import reports
from evalwire.model import History, HistoryEntry, Interval, ScoreMean
from evalwire.reports import html, markdown
from evalwire.reports.console import render
from evalwire.reports.trend import Trend, console_lines, sparkline, trends


def entry(number: int, *scores: ScoreMean, **changes: object) -> HistoryEntry:
    fields = {"branch": "main", "commit": f"{number:040x}", "outcome": "passed"}
    return HistoryEntry(
        experiment_id=f"ID{number}", time=BEGAN + timedelta(days=number), scores=scores, **{**fields, **changes}
    )


def rate(mean: float, name: str = "exact_match") -> ScoreMean:
    interval = Interval(low=max(0.0, mean - 0.1), high=min(1.0, mean + 0.1), method="Wilson")
    return ScoreMean(name=name, mean=mean, count=60, interval=interval, is_rate=True)


def number(mean: float, name: str = "top_k") -> ScoreMean:
    return ScoreMean(name=name, mean=mean, count=60)


def with_history(*entries: HistoryEntry, branch: str = "main"):
    runs = [
        run(n, evaluations=(boolean("exact_match", passed=n > 3, kind="bool"), evaluation("top_k", 0.1 * n)))
        for n in range(10)
    ]
    history = History(experiment="doc_search", branch=branch, entries=entries)
    ran = result("doc_search", runs, evaluators=("exact_match", "top_k"))
    return red_report(results=(ran,), gates=(), baselines=(), history=(history,))


GOOD = [entry(n, rate(0.9 - n / 100), number(0.45)) for n in range(4)]


def test_a_trend_has_the_earlier_means_and_then_this_run():
    report = with_history(*GOOD, entry(5, rate(0.3), outcome="gate_failed"))
    exact, top = trends(report, report.results[0])
    assert [score.mean for score in exact.scores] == pytest.approx([0.9, 0.89, 0.88, 0.87, 0.3, 0.6])
    assert (len(top.earlier), top.current.mean) == (4, pytest.approx(0.45))
    assert exact.values == "60.0% (earlier 30.0% to 90.0%)"
    assert top.values == "0.450 (earlier 0.450)"


def test_without_a_history_or_without_means_there_is_no_trend():
    for report in (red_report(), with_history(), with_history(entry(1), entry(2, rate(0.5, "another")))):
        assert trends(report, report.results[0]) == []
        assert list(console_lines(report)) == []
        assert "History" not in markdown.render(report)
        assert "<h3>History</h3>" not in "".join(html.pieces(report))


def test_a_pass_rate_is_not_in_a_trend_of_numbers():
    report = with_history(entry(1, replace(rate(0.5), is_rate=False)), entry(2, rate(0.7)))
    (found,) = trends(report, report.results[0])
    assert [score.mean for score in found.scores] == [0.7, 0.6]


@pytest.mark.parametrize(
    ("values", "least", "bars"),
    [
        ([0.0, 0.5, 1.0], 0.0, "▁▅█"),
        ([0.5, 0.5], 0.0, "▅▅"),
        ([0.90, 0.91], 0.2, "▄▅"),
        ([0.90, 0.91], 0.0, "▁█"),
        ([-1.7e308, 1.7e308], 0.0, "▁█"),
        ([3.0], 0.0, "▅"),
    ],
)
def test_bars_span_the_values_and_at_least_the_interval(values, least, bars):
    assert sparkline(values, least_span=least) == bars


def test_the_screen_has_a_line_for_each_evaluator_within_80_columns():
    long_names = [entry(n, rate(0.5), number(0.45), rate(0.5, "x" * 90)) for n in range(30)]
    report = with_history(*long_names)
    text = render(report, width=80)
    shown = text[text.index("history of doc_search") :].splitlines()[:3]
    assert shown[0] == "history of doc_search: 30 earlier runs on main, then this run"
    assert re.fullmatch(r"  exact_match  [▁-█]{24}  60\.0% \(earlier 50\.0%\)", shown[1])
    assert re.fullmatch(r"  top_k        [▁-█]{24}  0\.450 \(earlier 0\.450\)", shown[2])
    assert max(map(len, shown)) <= 80


def test_the_comment_has_a_list_of_sparklines():
    text = markdown.render(with_history(*GOOD))
    assert (
        "<summary>History</summary>\n\n`doc_search`: 4 earlier runs on `main`, then this run\n\n- `exact_match` "
        in text
    )
    assert re.search(r"^- `exact_match` [▁-█]{5} 60\.0% \(earlier 87\.0% to 90\.0%\)$", text, re.MULTILINE)


def test_the_page_draws_each_mean_with_a_band_and_marks_this_run():
    report = with_history(*GOOD, entry(5, rate(0.3), outcome="gate_failed", is_dirty=True))
    page = "".join(html.pieces(report))
    assert page.count('class="band"') == 2
    assert page.count('class="earlier"') == 8
    assert page.count('class="earlier failed"') == 1
    assert page.count('class="current"') == 2
    title = "2026-11-25 09:30 UTC main 00000000*: 30.0% (95% interval 20.0% to 40.0%), gate failed"
    assert f"<title>{title}</title>" in page
    assert "this run 60.0%" in page
    assert "5 earlier runs on main" in page


@pytest.mark.parametrize("values", [(0.0, 1e308, -1e308), (0.5, 0.5, 0.5), (1e-320, 0.0, 0.0), (5e-324, 1e308, 0.1)])
def test_means_of_any_size_are_drawn_or_said_to_be_too_far_apart(values):
    report = with_history(*(entry(n, number(value)) for n, value in enumerate(values)))
    page = "".join(html.pieces(report))
    assert "nan" not in page
    assert "History" in page
    assert list(console_lines(report))


def test_texts_of_users_and_branches_are_inert_in_each_format():
    hostile = "<script>alert(1)</script>\x1b[31m|`::error::x`"
    runs = [run(n, evaluations=(evaluation(hostile, 0.5),)) for n in range(2)]
    history = History(
        experiment="doc_search", branch=hostile, entries=(entry(1, number(0.4, hostile), commit=hostile),)
    )
    ran = result("doc_search", runs, evaluators=(hostile,))
    report = red_report(results=(ran,), gates=(), baselines=(), history=(history,))
    page, comment = "".join(html.pieces(report)), markdown.render(report)
    assert "<script>alert" not in page
    assert "\x1b" not in page + comment + render(report)
    assert "- ``<script>alert(1)</script>" in comment


def test_a_history_survives_results_json():
    report = with_history(*GOOD)
    text = "".join(reports.pieces(report, "json"))
    assert reports.read_results(text).history == report.history
    older = re.sub(r',\n  "history": \[.*?\n  \]', "", text, count=1, flags=re.DOTALL)
    assert reports.read_results(older).history == ()


def test_means_and_intervals_at_the_end_of_the_floats_have_a_sparkline():
    wide = ScoreMean(name="x", mean=9e307, count=7, interval=Interval(low=-1.7e308, high=1.7e308, method="t"))
    assert len(Trend(branch="main", earlier=(), current=wide).sparkline) == 1
