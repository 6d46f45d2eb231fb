"""The summary on the page of a GitHub workflow run: added, never replacing, and never a reason to fail."""

from __future__ import annotations

import io
import json

import pytest
import reporting

from evalwire.jobs import Console, ReportWriter
from evalwire.jobs.crash import report_crash
from evalwire.masking import Mask
from evalwire.settings import load_settings

REPORT = reporting.red_report()
MEBIBYTE = 1024 * 1024


@pytest.fixture
def write(tmp_path):
    """Write the report of a job; its exit code and the warnings."""

    def run(summary, **settings):
        err = io.StringIO()
        console = Console(out=io.StringIO(), err=err, mask=Mask([]))
        environ = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
        loaded = load_settings({"report_dir": str(tmp_path / "reports")}, settings, directory=tmp_path)
        return ReportWriter(loaded, environ, console).write(REPORT), err.getvalue()

    return run


def test_the_summary_is_added_to_what_the_step_wrote_before(write, tmp_path):
    summary = tmp_path / "summary"
    summary.write_text("# of the step")
    assert write(summary)[0] == REPORT.exit_code
    once = (tmp_path / "reports/summary.md").read_text().rstrip()
    assert summary.read_text() == f"# of the step\n{once}\n"
    write(summary)
    assert summary.read_text().count(once) == 2


def test_the_action_publishes_it_alone(write, tmp_path):
    write(tmp_path / "summary", EVALWIRE_GITHUB_FILES=str(tmp_path / "files"))
    assert not (tmp_path / "summary").exists()


@pytest.mark.parametrize("name", ["missing/summary", "."])
def test_a_file_that_cannot_be_written_is_a_warning(write, tmp_path, name):
    code, warned = write(tmp_path / name)
    assert code == REPORT.exit_code
    assert "evalwire: cannot write the summary to GITHUB_STEP_SUMMARY (" in warned
    assert json.loads((tmp_path / "reports/results.json").read_text())["unwritten"] == []


def test_a_full_page_is_left_as_it_is(write, tmp_path):
    """GitHub rejects the page of a step with more than 1 MiB, also what was there before."""
    summary = tmp_path / "summary"
    summary.write_bytes(b"x" * (MEBIBYTE - 100))
    code, warned = write(summary)
    assert (code, summary.stat().st_size) == (REPORT.exit_code, MEBIBYTE - 100)
    assert "was not added to GITHUB_STEP_SUMMARY" in warned


def test_the_process_around_a_crashed_job_adds_it(tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    place = {"started_at": "2026-11-20T09:30:00+00:00", "directory": str(tmp_path), "journal": None, "shard": None}
    report_crash(json.dumps({**place, "github_files": None}), 139)
    assert (tmp_path / "summary").read_text().startswith("## ")
    report_crash(json.dumps({**place, "github_files": str(tmp_path / "files")}), 140)
    assert (tmp_path / "summary").read_text().count("## ") == 1
