"""A report that cannot be written costs only itself, and what is written tells one truth."""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import reporting

from evalwire import reports
from evalwire.errors import UsageError
from evalwire.jobs import Console, ReportWriter
from evalwire.jobs.report_files import ReportFiles
from evalwire.masking import Mask
from evalwire.model import Report, Shard
from evalwire.reports import load_results
from evalwire.settings import load_settings

GREEN = reporting.red_report(
    outcome="passed",
    exit_code=0,
    results=(
        reporting.result(
            "greeting",
            [reporting.run(1, evaluations=(reporting.boolean("right", passed=True),))],
            evaluators=("right",),
        ),
    ),
    gates=(),
    baselines=(),
    journal=None,
)

FILES = ("results.json", "evalwire.xml", "summary.md", "report.html", "metrics.txt", "gl-code-quality-report.json")


class FullDisk(io.StringIO):
    """A screen that cannot be written."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write(folder: Path, report: Report, *, out: Any = None) -> tuple[int, str, str]:
    """Return the exit code, the screen, and the warnings."""
    out, err = out or io.StringIO(), io.StringIO()
    console = Console(out=out, err=err, mask=Mask([]))
    settings = load_settings({"report_dir": str(folder)}, {}, directory=folder)
    code = ReportWriter(settings, {}, console).write(report)
    return code, out.getvalue(), err.getvalue()


def breaking(monkeypatch: pytest.MonkeyPatch, *formats: str, error: Exception) -> None:
    render = reports.pieces

    def pieces(report: Report, format_: str) -> Iterator[str]:
        for number, piece in enumerate(render(report, format_)):
            if number and format_ in formats:
                raise error
            yield piece
        if format_ in formats:
            raise error

    monkeypatch.setattr(reports, "pieces", pieces)


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), OverflowError("too large"), RecursionError(), KeyError("x")],
)
@pytest.mark.parametrize("format_", ["junit", "markdown", "html"])
def test_a_report_that_cannot_be_written_costs_only_itself(tmp_path, monkeypatch, error, format_):
    name = next(name for name, one in reports.files().items() if one == format_)
    (tmp_path / name).write_text("of an earlier job")
    breaking(monkeypatch, format_, error=error)
    code, screen, warned = write(tmp_path, GREEN)
    assert code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({*FILES} - {name})
    told = load_results(tmp_path / "results.json")
    assert (told.exit_code, told.outcome, len(told.unwritten)) == (1, "errors", 1)
    assert told.unwritten[0].startswith(f"{name}: ")
    assert screen.startswith("FAILED: 1 experiment, 1 example, not written: ")
    assert warned.count(f"{name} cannot be written: ") == 1
    assert f"reports in {tmp_path}/: {', '.join(one for one in FILES if one != name)}" in warned
    if format_ != "markdown":
        assert "FAILED" in (tmp_path / "summary.md").read_text()


def test_of_several_that_fail_the_others_are_there(tmp_path, monkeypatch):
    breaking(monkeypatch, "json", "html", error=OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)))
    code, screen, _ = write(tmp_path, GREEN)
    assert code == 1
    assert {path.name for path in tmp_path.iterdir()} == {*FILES} - {"results.json", "report.html"}
    assert "results.json: " in screen
    assert "report.html: " in screen


def test_a_screen_that_cannot_be_written_is_in_the_files(tmp_path):
    code, _, warned = write(tmp_path, GREEN, out=FullDisk())
    told = json.loads((tmp_path / "results.json").read_text())
    assert (code, told["exit_code"], told["outcome"]) == (1, 1, "errors")
    assert told["unwritten"] == ["the screen: No space left on device"]
    assert "cannot show the result: No space left on device" in warned


def test_a_screen_that_cannot_be_rendered_is_in_the_files(tmp_path, monkeypatch):
    def render(*_: Any, **__: Any) -> str:
        raise OverflowError("too large")

    monkeypatch.setattr(reports.console, "render", render)
    code, _, warned = write(tmp_path, GREEN)
    assert (code, load_results(tmp_path / "results.json").exit_code) == (1, 1)
    assert "cannot show the result: OverflowError: too large" in warned


def test_what_failed_for_another_reason_keeps_its_outcome(tmp_path, monkeypatch):
    breaking(monkeypatch, "html", error=ValueError("x"))
    code, _, _ = write(tmp_path, reporting.red_report(outcome="interrupted", exit_code=130))
    told = load_results(tmp_path / "results.json")
    assert (code, told.exit_code, told.outcome) == (130, 130, "interrupted")


def test_what_can_be_written_is_written_once_and_green(tmp_path):
    code, screen, _ = write(tmp_path, GREEN)
    assert (code, load_results(tmp_path / "results.json").unwritten) == (0, ())
    assert screen.startswith("PASSED: ")


def test_a_dry_run_has_files_of_its_own(tmp_path):
    """What a run has left stays: `gate` and baselines read it."""
    write(tmp_path, GREEN)
    console = Console(out=io.StringIO(), err=io.StringIO(), mask=Mask([]))
    settings = load_settings({"report_dir": str(tmp_path)}, {}, directory=tmp_path)
    dry = ReportWriter(settings, {}, console, is_dry_run=True)
    dry.remove_earlier()
    assert dry.write(reporting.red_report(dry_run=True)) == 1
    assert load_results(tmp_path / "results.json").outcome == "passed"
    assert load_results(tmp_path / "results-dry-run.json").dry_run
    assert {path.name for path in tmp_path.iterdir()} - {*FILES} == {
        "results-dry-run.json",
        "evalwire-dry-run.xml",
        "summary-dry-run.md",
        "report-dry-run.html",
        "metrics-dry-run.txt",
        "gl-code-quality-report-dry-run.json",
    }


@pytest.mark.parametrize(
    ("first", "second", "is_refused"),
    [
        ({}, {}, True),
        ({"is_dry_run": True}, {"is_dry_run": True}, True),
        ({}, {"is_dry_run": True}, False),
        ({"shard": Shard(1, 2)}, {"shard": Shard(2, 2)}, False),
        ({"shard": Shard(1, 2)}, {"shard": Shard(1, 2)}, False),
    ],
)
def test_two_jobs_do_not_share_the_files(tmp_path, first, second, is_refused):
    one, other = (
        ReportFiles(directory=tmp_path, github_files=None, **{"shard": None, **fields}) for fields in (first, second)
    )
    with one.reserved():
        if is_refused:
            with (
                pytest.raises(UsageError, match=r"another job .*\nWait until it ends, or choose another directory"),
                other.reserved(),
            ):
                pass
        else:
            with other.reserved():
                pass
    with other.reserved():
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_does_not_hold_the_files(tmp_path):
    """It may live longer than the job."""
    files = ReportFiles(directory=tmp_path, shard=None, github_files=None)
    read, write_end = os.pipe()
    with files.reserved():
        child = os.fork()
        if child == 0:
            os.read(read, 1)
            os._exit(0)
    with files.reserved():
        pass
    os.write(write_end, b"x")
    os.waitpid(child, 0)
    os.close(read)
    os.close(write_end)
