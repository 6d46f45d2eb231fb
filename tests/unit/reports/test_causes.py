"""Failures that differ only in IDs, addresses and numbers are one kind in every report; long texts are cut."""

from __future__ import annotations

import json

import pytest
import reporting
from hypothesis import given
from hypothesis import strategies as st

from evalwire import reports
from evalwire.model import Report
from evalwire.reports.causes import causes_of, pattern

ALIKE = [
    ("request req_011CQa failed", "request req_99xYZ2 failed"),
    ("<Response object at 0x7f01ab>", "<Response object at 0x55e3>"),
    ("no example 3f2504e0-4f89-11d3-9a0c-0305e82c3301", "no example 1b4e28ba-2fa1-11d2-883f-0016d3cca427"),
    ("connect to 10.0.0.7:8443 failed", "connect to 10.0.0.19:8443 failed"),
    ("timed out after 30.0 s", "timed out after 29.7 s"),
    ("trace deadbeefcafe: bad", "trace 0badf00dfeed: bad"),
    ("at 2026-11-29T10:00:00Z", "at 2026-11-29T10:00:01Z"),
    ("'q1'", "'q12'"),
    ("https://api.example.com/runs/81/steps/2 failed", "https://api.example.com/runs/9/steps/4 failed"),
    ("expected -1.5 tokens", "expected +2 tokens"),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_texts_that_differ_in_ids_addresses_and_numbers_are_alike(one, other):
    assert pattern(one) == pattern(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HTTP 429: slow down", "HTTP 500: slow down"),
        ("Error code: 401", "Error code: 403"),
        ("status 400", "status 404"),
        ("'city'", "'country'"),
        ("connection refused", "connection reset"),
    ],
)
def test_texts_that_say_something_else_are_not(one, other):
    assert pattern(one) != pattern(other)


@given(st.text(max_size=300), st.integers(0, 10**12), st.integers(0, 10**12))
def test_a_number_at_the_end_of_any_text_tells_no_kind(text, one, other):
    assert pattern(f"{text} took {one}") == pattern(f"{text} took {other}")


def failed(*messages: str, traceback: str = "") -> Report:
    runs = [
        reporting.run(number, failure=reporting.failure(type="ApiError", message=message, traceback=traceback))
        for number, message in enumerate(messages, start=1)
    ]
    return reporting.red_report(results=(reporting.result("api", runs, evaluators=("e",)),), gates=(), baselines=())


def text_of(report: Report, format_: str) -> str:
    return "".join(reports.pieces(report, format_))


def test_one_kind_is_told_once_in_every_report():
    report = failed(*[f"request req_{number}x{number} timed out" for number in range(1, 8)], "another matter")
    (result,) = report.results
    assert [len(cause.runs) for cause in causes_of(result)] == [7, 1]
    assert text_of(report, "console").count("ApiError: request") == 1
    assert "and 4 more runs" in text_of(report, "console").replace("examples", "runs")
    assert text_of(report, "annotations").count("request req_") == 1
    assert "in 7 of 8 runs" in text_of(report, "annotations")
    assert text_of(report, "markdown").split("### Errors")[1].count("request req") == 1
    assert "7 runs, task:" in text_of(report, "markdown")


def test_long_texts_are_cut_and_are_in_results_json_up_to_a_limit():
    message, traceback = "m" * 15_000, "File one\n" + "t" * 60_000 + "\nthe end of it"
    report = failed(message, traceback=traceback)
    (told,) = json.loads(text_of(report, "json"))["experiments"][0]["runs"]
    assert (told["failure"]["message"], told["failure"]["traceback"]) == (message, traceback)
    for format_, most in (("console", 3_000), ("annotations", 2_000), ("markdown", 10_000), ("junit", 20_000)):
        assert len(text_of(report, format_)) < most, format_
    assert "the end of it" in text_of(report, "html"), "the page has all text of an example"
    assert len(text_of(report, "html")) - len(text_of(failed("m"), "html")) < 100_000, "but only once"
    assert "the end of it" in text_of(report, "junit")
    huge = failed("m" * 10**6, traceback="t" * 10**6 + "\nthe end of it")
    (told,) = json.loads(text_of(huge, "json"))["experiments"][0]["runs"]
    assert len(told["failure"]["message"]) < 21_000
    assert len(told["failure"]["traceback"]) < 101_000
    assert told["failure"]["traceback"].endswith("the end of it")
