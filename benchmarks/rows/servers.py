"""Row `servers`: rate of recording in Phoenix on SQLite, and on PostgreSQL with several processes of Phoenix."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from benchmarks import postgres
from benchmarks.balancer import balanced
from benchmarks.contest import Unmeasured
from benchmarks.rows.recording import CONCURRENCY, EVALUATORS, evalwire, reference
from benchmarks.table import Line, Target

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.contest import Outcome

ROW = "servers"
EXAMPLES = 500
PROCESSES = (1, 2, 4)
CONNECTIONS = 4
SQLITE, ALONE = "1 process on SQLite", "1 process on PostgreSQL"


def measure(bench: Bench) -> list[Line]:
    """Record the same work on SQLite and on PostgreSQL, there with 1, 2 and 4 processes of Phoenix."""
    examples = bench.examples(EXAMPLES)
    with contextlib.ExitStack() as stack:
        try:
            database = stack.enter_context(postgres.database(durable=True))
        except postgres.NotInstalledError as error:
            raise Unmeasured(str(error)) from None
        urls = [stack.enter_context(postgres.phoenix(database)) for _ in range(max(PROCESSES))]
        ways = {SQLITE: bench.phoenix(), ALONE: urls[0]}
        for count in PROCESSES[1:]:
            ways[f"{count} processes on PostgreSQL"] = stack.enter_context(balanced(urls[:count]))
        outcomes = bench.contest(
            ROW,
            [
                *(evalwire(way, url, examples, concurrency=CONCURRENCY) for way, url in ways.items()),
                reference("bare", ways[ALONE], examples, connections=CONNECTIONS),
            ],
            repetitions=3,
        )
    rates = {name: _rate(outcome, examples) for name, outcome in outcomes.items()}
    measured = f"{examples} x {EVALUATORS} evaluators, task of 0 s, recorded with spans"
    lines = [
        Line(
            row=ROW,
            measured=f"{measured}: {way}",
            unit="/s",
            ours=rates[way],
            other=SQLITE,
            theirs=rates[SQLITE],
            note=outcomes[way].problem,
        )
        for way in ways
        if way != SQLITE
    ]
    lines.append(
        Line(
            row=ROW,
            measured=f"{measured}: {ALONE}",
            unit="/s",
            ours=rates[ALONE],
            other=f"bare loop with spans, {CONNECTIONS} connections",
            theirs=rates["bare"],
            target=Target(relation="at least", ratio=1.2),
            note=outcomes["bare"].problem,
        )
    )
    return lines


def _rate(outcome: Outcome, examples: int) -> float | None:
    seconds = outcome.median("seconds")
    return None if seconds is None else examples / seconds
