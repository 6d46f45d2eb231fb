"""Row `reports`: processor time, bytes and memory to write all report files of a job."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

from benchmarks.contest import Contender
from benchmarks.table import AHEAD, Line, Target

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.contest import Outcome

ROW = "reports"
EXAMPLES, MANY = 10_000, 100_000
LIMIT_MS, LIMIT_MB = 0.15, 71.0
FLOOR = "json.dumps of each run, and zlib at level 1"
FORMATS = ("json", "junit", "markdown", "html", "metrics", "codequality", "console")


def measure(bench: Bench) -> list[Line]:
    """Write the files of passed examples, of compared examples, and of many passed examples; read the latter."""
    with tempfile.TemporaryDirectory() as directory:
        passed = _outcome(bench, "passed", directory, bench.examples(EXAMPLES), repetitions=7)
        compared = _outcome(bench, "compared", directory, bench.examples(EXAMPLES), repetitions=3)
        many = _outcome(bench, "passed", directory, bench.examples(MANY), repetitions=1)
        read = _outcome(bench, "passed", directory, bench.examples(MANY), repetitions=1, is_read=True)
    examples = f"{bench.examples(EXAMPLES):,} passed examples of 1 KB"
    lines = [_against_limits(passed, examples)]
    lines += [_against_floor(passed, f"{examples}: {format_}", format_) for format_ in ("total", *FORMATS)]
    texts = f"{bench.examples(EXAMPLES):,} examples of 3 x 1 KB, and 1 KB of the baseline"
    lines.append(_against_floor(compared, texts, "total"))
    lines += [_size(passed, examples), _size(compared, texts)]
    few = passed.median("peak_kb")
    lines += [
        Line(
            row=ROW,
            measured=f"{bench.examples(MANY):,} passed examples of 1 KB: peak memory per example, {what}",
            unit="KB",
            ours=outcome.median("peak_kb"),
            other=f"the same with {bench.examples(EXAMPLES):,}",
            theirs=few,
            target=Target(relation="at most", ratio=1.05),
            note=outcome.problem,
        )
        for outcome, what in ((many, "written"), (read, "read"))
    ]
    return lines


def _outcome(
    bench: Bench, report: str, directory: str, examples: int, *, repetitions: int, is_read: bool = False
) -> Outcome:
    contender = Contender(
        name="evalwire",
        script="reports_evalwire.py",
        arguments={"report": report, "directory": directory, "examples": examples, "is_read": is_read},
        expects={"runs": examples},
    )
    row = f"{ROW}, {report} {examples}{', read' if is_read else ''}"
    return bench.contest(row, [contender], repetitions=repetitions)["evalwire"]


def _against_limits(outcome: Outcome, examples: str) -> Line:
    return Line(
        row=ROW,
        measured=f"{examples}: all formats, processor time per example",
        unit="ms",
        ours=outcome.median("total_ms"),
        other="limit",
        theirs=LIMIT_MS,
        target=AHEAD,
        note=outcome.problem,
    )


def _against_floor(outcome: Outcome, measured: str, format_: str) -> Line:
    return Line(
        row=ROW,
        measured=measured,
        unit="ms",
        ours=outcome.median(f"{format_}_ms"),
        other=FLOOR,
        theirs=outcome.median("floor_ms"),
        note=outcome.problem,
    )


def _size(outcome: Outcome, measured: str) -> Line:
    sizes = [f"{format_} {outcome.median(f'{format_}_mb') or 0.0:.1f}" for format_ in ("json", "junit", "html")]
    return Line(
        row=ROW,
        measured=f"{measured}: all files",
        unit="MB",
        ours=outcome.median("megabytes"),
        other="limit",
        theirs=LIMIT_MB,
        target=AHEAD,
        note=outcome.problem or ", ".join(sizes),
    )
