"""Row `recording`: rate of recording in a real Phoenix, compared with a bare loop of requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.contest import Contender
from benchmarks.table import Line, Target

if TYPE_CHECKING:
    from benchmarks.bench import Bench

ROW = "recording"
EXAMPLES = 500
CONNECTIONS = (1, 2, 4, 8)
CONCURRENCY = 10  # evalwire's default
EVALUATORS = 2  # as in contenders/_phoenix.py


def measure(bench: Bench) -> list[Line]:
    """Record the same work with evalwire and with bare loops, both with spans, and with a loop without spans.

    evalwire sends the span of an evaluator only if it holds something, as the contender with a judge checks.
    """
    examples = bench.examples(EXAMPLES)
    measured = f"{examples} x {EVALUATORS} evaluators, task of 0 s, recorded with spans"
    url = bench.phoenix()
    contenders = [
        evalwire("evalwire", url, examples, concurrency=CONCURRENCY),
        evalwire("judge", url, examples, concurrency=CONCURRENCY, evaluators=["judge", "match"]),
        *(reference(f"{count} connections", url, examples, connections=count) for count in CONNECTIONS),
        reference("without spans", url, examples, connections=4, spans=False),
    ]
    outcomes = bench.contest(ROW, contenders, repetitions=3)
    rates = {
        name: None if (seconds := outcome.median("seconds")) is None else examples / seconds
        for name, outcome in outcomes.items()
    }
    bare = {count: rate for count in CONNECTIONS if (rate := rates[f"{count} connections"])}
    best = max(bare, key=lambda count: bare[count], default=None)
    by_count = ", ".join(f"{count}: {rate:.1f}" for count, rate in bare.items())
    return [
        Line(
            row=ROW,
            measured=measured,
            unit="/s",
            ours=rates["evalwire"],
            other=f"bare loop with spans, {best} connections",
            theirs=bare[best] if best else None,
            target=Target(relation="at least", ratio=1.2),
            note=outcomes["evalwire"].problem or f"examples per second by connections: {by_count}",
        ),
        Line(
            row=ROW,
            measured=measured,
            unit="/s",
            ours=rates["judge"],
            other="the same, with a judge whose spans are sent",
            theirs=rates["evalwire"],
            note=outcomes["judge"].problem,
        ),
        Line(
            row=ROW,
            measured=measured,
            unit="/s",
            ours=rates["evalwire"],
            other="bare loop without spans, 4 connections",
            theirs=rates["without spans"],
            note=outcomes["without spans"].problem or "less work, for information only",
        ),
    ]


def evalwire(
    name: str, url: str, examples: int, *, concurrency: int, task_seconds: float = 0.0, **arguments: Any
) -> Contender:
    """Return the `ExperimentRunner` of evalwire as a recording contender."""
    evaluators = arguments.get("evaluators", range(EVALUATORS))
    judged = examples if "judge" in evaluators else 0
    return Contender(
        name=name,
        script="recording_evalwire.py",
        arguments={
            "url": url,
            "examples": examples,
            "concurrency": concurrency,
            "task_seconds": task_seconds,
            **arguments,
        },
        expects={**all_of(examples), "evaluations": examples * len(evaluators), "evaluator_traces": judged},
    )


def reference(name: str, url: str, examples: int, *, connections: int, spans: bool = True) -> Contender:
    """Return a bare loop of client requests as a contender."""
    return Contender(
        name=name,
        script="recording_reference.py",
        arguments={"url": url, "examples": examples, "connections": connections, "spans": spans},
        expects=all_of(examples, spans=spans),
    )


def all_of(examples: int, *, spans: bool = True) -> dict[str, int]:
    """Return the expected numbers of records in Phoenix."""
    return {"runs": examples, "evaluations": examples * EVALUATORS, "task_spans": examples if spans else 0}
