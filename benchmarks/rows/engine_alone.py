"""Row `engine alone`: tasks that do not wait, each with an async evaluator, so only the engine takes time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.contest import Unmeasured
from benchmarks.rows.engine import PEERS, contender, evalwire
from benchmarks.table import AHEAD, Line

if TYPE_CHECKING:
    from benchmarks.bench import Bench

ROW = "engine alone"
EXAMPLES = 10_000
FASTEST = ("braintrust", "pydantic-evals")


def measure(bench: Bench) -> list[Line]:
    """Run evalwire and the two fastest libraries, in separate environments and processes."""
    examples = bench.examples(EXAMPLES)
    mine, note = evalwire(bench, examples, waits=False)
    contenders, missing = [mine], {}
    for name in FASTEST:
        try:
            python = bench.environments.python(name, PEERS[name])
        except Unmeasured as problem:
            missing[name] = str(problem)
        else:
            contenders.append(contender(name, examples, waits=False, python=python, checkout=False))
    outcomes = bench.contest(ROW, contenders, repetitions=3)
    ours = outcomes["evalwire"]
    lines = []
    for name in FASTEST:
        outcome = outcomes.get(name)
        lines.append(
            Line(
                row=ROW,
                measured=f"{examples:,} x 0 ms, an async evaluator",
                unit="s",
                ours=ours.median("seconds"),
                other=f"{name} {outcome.version}".strip() if outcome else name,
                theirs=outcome.median("seconds") if outcome else None,
                target=AHEAD,
                note=missing.get(name) or (outcome and outcome.problem) or ours.problem or note,
            )
        )
    return lines
