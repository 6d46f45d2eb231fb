"""Row `together`: running and recording at the same time, compared with the slower of both alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.rows.recording import EVALUATORS, evalwire, reference
from benchmarks.table import Line, Target

if TYPE_CHECKING:
    from benchmarks.bench import Bench

ROW = "together"
EXAMPLES = 500
CONCURRENCY = 50
TASK_SECONDS = 0.2
CONNECTIONS = 4


def measure(bench: Bench) -> list[Line]:
    """Run and record tasks that take a while, and record the same number of runs without tasks."""
    examples = bench.examples(EXAMPLES)
    measured = f"{examples} x 200 ms, {CONCURRENCY} in parallel, {EVALUATORS} evaluators, recorded with spans"
    url = bench.phoenix()
    outcomes = bench.contest(
        ROW,
        [
            evalwire("together", url, examples, concurrency=CONCURRENCY, task_seconds=TASK_SECONDS),
            evalwire("alone", url, examples, concurrency=CONCURRENCY),
            reference("bare", url, examples, connections=CONNECTIONS),
        ],
        repetitions=3,
    )
    tasks_alone = examples / CONCURRENCY * TASK_SECONDS
    ours, bare, alone = (outcomes[name].median("seconds") for name in ("together", "bare", "alone"))
    return [
        Line(
            row=ROW,
            measured=measured,
            unit="s",
            ours=ours,
            other="the slower of tasks alone and recording in a bare loop",
            theirs=None if bare is None else max(tasks_alone, bare),
            target=Target(relation="at most", ratio=1.15),
            note=outcomes["together"].problem or outcomes["bare"].problem or f"tasks alone: {tasks_alone:.2f} s",
        ),
        Line(
            row=ROW,
            measured=measured,
            unit="s",
            ours=ours,
            other="recording by evalwire alone",
            theirs=alone,
            note=outcomes["alone"].problem,
        ),
    ]
