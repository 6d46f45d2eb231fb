"""Row `memory`: memory per example while its result is kept, with the dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.contest import Contender
from benchmarks.table import AHEAD, Line, Target

if TYPE_CHECKING:
    from benchmarks.bench import Bench

ROW = "memory"
EXAMPLES, MANY = 10_000, 100_000
LIMIT_KB = 4.0  # 2.1 KB of it are the texts of the input and of the output


def measure(bench: Bench) -> list[Line]:
    """Run tasks that return a kilobyte each, as a dry run, and measure the growth of the process."""
    few, many = bench.examples(EXAMPLES), bench.examples(MANY)
    found = {
        count: bench.contest(f"{ROW}: {count}", [_contender(count)], repetitions=repetitions)["evalwire"]
        for count, repetitions in ((few, 3), (many, 1))
    }
    peak = found[few].median("peak_growth_kb")
    return [
        Line(
            row=ROW,
            measured=f"{few:,} examples with 1 KB in and out: growth per example",
            unit="KB",
            ours=found[few].median("growth_kb"),
            other="limit",
            theirs=LIMIT_KB,
            target=AHEAD,
            note=found[few].problem,
        ),
        Line(
            row=ROW,
            measured=f"{many:,} examples with 1 KB in and out: growth per example at the peak",
            unit="KB",
            ours=found[many].median("peak_growth_kb"),
            other=f"the same with {few:,}",
            theirs=peak,
            target=Target(relation="at most", ratio=1.05),
            note=found[many].problem,
        ),
    ]


def _contender(examples: int) -> Contender:
    return Contender(
        name="evalwire",
        script="memory_evalwire.py",
        arguments={"examples": examples, "concurrency": 50},
        expects={"scored": examples},
    )
