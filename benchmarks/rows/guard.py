"""Row `guard`: the engine and the recording in a small form, which every change measures with `--guard`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.rows import engine, recording
from benchmarks.table import Line, Target

if TYPE_CHECKING:
    from benchmarks.bench import Bench

ROW = "guard"
TASKS = 500
EXAMPLES = 200  # with fewer examples, the start of the job counts more than the recording
CONNECTIONS = 4


def measure(bench: Bench) -> list[Line]:
    """Run tasks that wait in this environment, and record plain examples and compare with a bare loop."""
    url = bench.phoenix()
    outcomes = bench.contest(
        ROW,
        [
            engine.contender("evalwire", TASKS),
            recording.evalwire("recorded", url, EXAMPLES, concurrency=recording.CONCURRENCY),
            recording.reference("bare", url, EXAMPLES, connections=CONNECTIONS),
        ],
        repetitions=1,
    )
    return [
        Line(
            row=ROW,
            measured=f"{TASKS} x 50 ms, {engine.CONCURRENCY} in parallel",
            unit="s",
            ours=outcomes["evalwire"].median("seconds"),
            other="ideal",
            theirs=TASKS / engine.CONCURRENCY * engine.SLEEP_SECONDS,
            target=Target(relation="at most", ratio=1.1),
            note=outcomes["evalwire"].problem,
        ),
        Line(
            row=ROW,
            measured=f"{EXAMPLES} x {recording.EVALUATORS} evaluators, recorded",
            unit="s",
            ours=outcomes["recorded"].median("seconds"),
            other=f"bare loop with spans, {CONNECTIONS} connections",
            theirs=outcomes["bare"].median("seconds"),
            target=Target(relation="at most", ratio=1.0),
            note=outcomes["recorded"].problem or outcomes["bare"].problem,
        ),
    ]
