"""Row `together`: running and recording at the same time, beside the slower of the two alone."""

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
    """Run tasks that take a while and record them; and record as many without them."""
    examples = bench.examples(EXAMPLES)
    measured = f"{examples} x 200 ms, {CONCURRENCY} at once, {EVALUATORS} evaluators, recorded with spans"
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
            beside="the larger of the tasks alone and a bare loop's recording alone",
            theirs=None if bare is None else max(tasks_alone, bare),
            target=Target(relation="at most", ratio=1.15),
            note=outcomes["together"].problem or outcomes["bare"].problem or f"tasks alone: {tasks_alone:.2f} s",
        ),
        Line(
            row=ROW,
            measured=measured,
            unit="s",
            ours=ours,
            beside="evalwire's recording alone",
            theirs=alone,
            note=outcomes["alone"].problem,
        ),
    ]
