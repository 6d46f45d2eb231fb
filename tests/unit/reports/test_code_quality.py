"""`gl-code-quality-report.json`: entries that GitLab shows in a merge request, whatever the names are."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hostile import CORPUS
from hypothesis import given
from random_reports import few, hostile, random_reports
from reporting import red_report

from evalwire import reports
from evalwire.model.report import Report

SEVERITIES = ("info", "minor", "major", "critical", "blocker")


def entries(report: Report) -> list[dict[str, Any]]:
    """The entries, each held to what GitLab reads."""
    found: list[dict[str, Any]] = json.loads("".join(reports.pieces(report, "codequality")))
    for entry in found:
        assert entry.keys() == {"description", "check_name", "fingerprint", "severity", "location"}
        assert entry["severity"] in SEVERITIES
        assert entry["location"]["lines"]["begin"] >= 1
        assert entry["location"]["path"]
        assert len(entry["description"].splitlines()) == 1
    prints = [entry["fingerprint"] for entry in found]
    assert len({*prints}) == len(prints)
    return found


def test_failures_and_failed_gates_have_their_lines():
    report = red_report()
    first, *others = report.gates
    first = replace(first, source="evalwire.toml:7: [gates.exact_match] max_drop")
    found = entries(replace(report, gates=(first, *others)))
    places = [(entry["check_name"], entry["location"]["path"], entry["location"]["lines"]["begin"]) for entry in found]
    assert places == [
        ("doc_search: exact_match max_drop", "evalwire.toml", 7),
        ("support_router: max_error_rate", "experiments/support_router/task.py", 1),
        ("support_router: KeyError", "experiments/support_router/task.py", 12),
        ("support_router: ValueError", "experiments/support_router/task.py", 12),
    ]
    assert found[0]["description"].startswith("doc_search: exact_match max_drop: exact_match fell by 45.5 points")


def test_an_entry_keeps_its_fingerprint_when_its_numbers_change():
    """GitLab tells by it what a branch adds and what it mends."""
    report = red_report()
    changed = replace(report, gates=tuple(replace(gate, text="other numbers") for gate in report.gates))
    assert [entry["fingerprint"] for entry in entries(report)] == [entry["fingerprint"] for entry in entries(changed)]


def test_a_passed_job_has_no_entries():
    assert entries(red_report(outcome="passed", exit_code=0, results=(), gates=(), baselines=())) == []


def test_texts_of_users_are_text():
    harmless = len(entries(hostile("x")))
    for name, text in CORPUS:
        assert len(entries(hostile(text, keep=()))) == harmless, name


@few
@given(random_reports())
def test_every_report_is_valid(report):
    entries(report)
