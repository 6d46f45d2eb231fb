"""Row `memory`: memory per example while its result is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.contest import Contender
from benchmarks.table import AHEAD, Line

if TYPE_CHECKING:
    from benchmarks.bench import Bench

ROW = "memory"
EXAMPLES = 10_000
LIMIT_KB = 3.0


def measure(bench: Bench) -> list[Line]:
    """Run tasks that return a kilobyte each, as a dry run, and measure the growth of the process."""
    examples = bench.examples(EXAMPLES)
    contender = Contender(
        name="evalwire",
        script="memory_evalwire.py",
        arguments={"examples": examples, "concurrency": 50},
        expects={"scored": examples},
    )
    outcome = bench.contest(ROW, [contender], repetitions=3)["evalwire"]
    output, peak = outcome.median("output_kb"), outcome.median("peak_growth_kb")
    return [
        Line(
            row=ROW,
            measured=f"{examples:,} examples with 1 KB in and out: growth per example",
            unit="KB",
            ours=outcome.median("growth_kb"),
            other="limit",
            theirs=LIMIT_KB,
            target=AHEAD,
            note=outcome.problem or f"of which the output itself: {output:.2f} KB; at the peak: {peak:.2f} KB",
        )
    ]
