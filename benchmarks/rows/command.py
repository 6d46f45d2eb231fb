"""Row `command`: the whole command as a dry run with its reports, without its start, which the row `start` measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.contest import Contender
from benchmarks.rows.engine import CONCURRENCY, SLEEP_SECONDS
from benchmarks.table import AHEAD, Line, Target

if TYPE_CHECKING:
    from benchmarks.bench import Bench

ROW = "command"
EXAMPLES = 2000
PLAIN = ("match",)
ASYNC = ("first_async", "second_async", "third_async", "fourth_async")
LIMITS_MS = {"with a plain evaluator": (PLAIN, 0.4), "with four async evaluators": (ASYNC, 0.5)}


def measure(bench: Bench) -> list[Line]:
    """Run the command on many examples and on one, and compare the difference with the ideal and with limits."""
    examples = bench.examples(EXAMPLES)
    outcomes = bench.contest(
        ROW,
        [
            _contender("waiting", examples, PLAIN, waits=True),
            *(_contender(name, examples, evaluators, waits=False) for name, (evaluators, _) in LIMITS_MS.items()),
        ],
        repetitions=3,
    )
    waiting = outcomes["waiting"]
    lines = [
        Line(
            row=ROW,
            measured=f"{examples:,} x 50 ms, {CONCURRENCY} in parallel, without the time of 1 example",
            unit="s",
            ours=waiting.median("seconds"),
            other="ideal",
            theirs=examples / CONCURRENCY * SLEEP_SECONDS,
            target=Target(relation="at most", ratio=1.2),
            note=waiting.problem or f"1 example: {waiting.median('single'):.2f} s",
        )
    ]
    for name, (_, limit) in LIMITS_MS.items():
        seconds = outcomes[name].median("seconds")
        lines.append(
            Line(
                row=ROW,
                measured=f"{examples:,} x 0 ms, {name}: time of an example",
                unit="ms",
                ours=None if seconds is None else 1000 * seconds / examples,
                other="limit",
                theirs=limit,
                target=AHEAD,
                note=outcomes[name].problem,
            )
        )
    return lines


def _contender(name: str, examples: int, evaluators: tuple[str, ...], *, waits: bool) -> Contender:
    return Contender(
        name=name,
        script="command_evalwire.py",
        arguments={"examples": examples, "concurrency": CONCURRENCY, "waits": waits, "evaluators": list(evaluators)},
    )
