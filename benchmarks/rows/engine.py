"""Row `engine`: many short async tasks in parallel without recording, compared with the ideal and with libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.contest import Contender, Unmeasured
from benchmarks.machine import ROOT
from benchmarks.table import AHEAD, Line, Target

if TYPE_CHECKING:
    from benchmarks.bench import Bench

ROW = "engine"
EXAMPLES = 2000
CONCURRENCY = 50
SLEEP_SECONDS = 0.05  # as in contenders/_contender.py
LIMIT_MB = 90.0

PEERS = {
    "langfuse": "langfuse>=5,<6",
    "pydantic-evals": "pydantic-evals",
    "braintrust": "braintrust",
    "langsmith": "langsmith",
    "inspect-ai": "inspect-ai",
    "phoenix-client": "arize-phoenix-client",
}


def measure(bench: Bench) -> list[Line]:
    """Run evalwire and each library, in separate environments and processes."""
    examples = bench.examples(EXAMPLES)
    mine, alone = evalwire(bench, examples)
    contenders, missing = [mine], {}
    for name, requirement in PEERS.items():
        try:
            python = bench.environments.python(name, requirement)
        except Unmeasured as problem:
            missing[name] = str(problem)
        else:
            contenders.append(contender(name, examples, python=python, checkout=False))
    outcomes = bench.contest(ROW, contenders, repetitions=3)
    ours = outcomes["evalwire"]
    seconds = ours.median("seconds")
    work = f"{examples:,} x 50 ms, {CONCURRENCY} in parallel"
    lines = [
        Line(
            row=ROW,
            measured=work,
            unit="s",
            ours=seconds,
            other="ideal",
            theirs=examples / CONCURRENCY * SLEEP_SECONDS,
            target=Target(relation="at most", ratio=1.1),
            note=ours.problem,
        ),
        Line(
            row=ROW,
            measured="peak memory of that process",
            unit="MB",
            ours=ours.median("peak_mb"),
            other="limit",
            theirs=LIMIT_MB,
            target=AHEAD,
            note=ours.problem or alone,
        ),
    ]
    for name in PEERS:
        outcome = outcomes.get(name)
        peak = outcome.median("peak_mb") if outcome else None
        lines.append(
            Line(
                row=ROW,
                measured=work,
                unit="s",
                ours=seconds,
                other=f"{name} {outcome.version}".strip() if outcome else name,
                theirs=outcome.median("seconds") if outcome else None,
                target=AHEAD,
                note=missing.get(name) or (outcome and outcome.problem) or f"its peak memory: {peak:.0f} MB",
            )
        )
    return lines


def evalwire(bench: Bench, examples: int, *, waits: bool = True) -> tuple[Contender, str]:
    """Return evalwire installed without extras, as in the image, and a note if this is not possible."""
    try:
        python = bench.environments.python("evalwire", str(ROOT))
        return contender("evalwire", examples, waits=waits, python=python), ""
    except Unmeasured:
        note = "includes optional imports of the Phoenix client, such as pandas"
        return contender("evalwire", examples, waits=waits), note


def contender(name: str, examples: int, *, waits: bool = True, **where: Any) -> Contender:
    """Return the contender of a library; with `waits`, its tasks wait."""
    return Contender(
        name=name,
        script=f"engine_{name.replace('-', '_')}.py",
        arguments={"examples": examples, "concurrency": CONCURRENCY, "waits": waits},
        expects={"scored": examples},
        **where,
    )
