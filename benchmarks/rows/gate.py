"""Row `gate`: gates on many recorded runs, and the requests of a resumed job and of a merge, from a stand-in.

The stand-in answers from memory, because recording 60,000 runs in a real Phoenix takes 20 minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.contest import Contender
from benchmarks.table import AHEAD, Line, Target

if TYPE_CHECKING:
    from benchmarks.bench import Bench

ROW = "gate"
EXAMPLES = 10_000
REPETITIONS = 3
PAIRS = 50_000
MISSING = 100
SHARDS = 8
LIMIT_SECONDS = 5.0
LIMIT_SIGN_FLIP_SECONDS = 1.0
REQUESTS = Target(relation="at most", ratio=1.2)


def measure(bench: Bench) -> list[Line]:
    """Measure processor time, because gates wait for nothing but Phoenix."""
    return [_gates(bench), _sign_flip(bench), *_requests(bench)]


def _gates(bench: Bench) -> Line:
    examples = bench.examples(EXAMPLES)
    contender = Contender(
        name="evalwire",
        script="gate_evalwire.py",
        arguments={"examples": examples, "repetitions": REPETITIONS},
        expects={"is_applied": True},
    )
    outcome = bench.contest(ROW, [contender], repetitions=3)["evalwire"]
    total, reading = outcome.median("seconds"), outcome.median("reading")
    return Line(
        row=ROW,
        measured=f"{examples:,} x {REPETITIONS} and their baseline, eight drop gates: own processor time",
        unit="s",
        ours=outcome.median("own"),
        other="limit",
        theirs=LIMIT_SECONDS,
        target=AHEAD,
        note=outcome.problem or f"of {total:.2f} s, without {reading:.2f} s for reading the records with httpx alone",
    )


def _sign_flip(bench: Bench) -> Line:
    pairs = bench.examples(PAIRS)
    contender = Contender(
        name="evalwire", script="gate_sign_flip.py", arguments={"pairs": pairs}, expects={"is_near": True}
    )
    outcome = bench.contest(f"{ROW}: sign_flip", [contender], repetitions=3)["evalwire"]
    return Line(
        row=ROW,
        measured=f"sign_flip of {pairs:,} pairs",
        unit="s",
        ours=outcome.median("seconds"),
        other="limit",
        theirs=LIMIT_SIGN_FLIP_SECONDS,
        target=AHEAD,
        note=outcome.problem,
    )


def _requests(bench: Bench) -> list[Line]:
    examples, missing = bench.examples(EXAMPLES), bench.examples(MISSING)
    contender = Contender(
        name="evalwire",
        script="gate_requests.py",
        arguments={"examples": examples, "missing": missing, "shards": SHARDS},
    )
    outcome = bench.contest(f"{ROW}: requests", [contender], repetitions=1)["evalwire"]
    return [
        Line(
            row=ROW,
            measured=measured,
            unit="requests",
            ours=outcome.median(key),
            other="requests that it cannot do without",
            theirs=outcome.median(f"{key}_least"),
            target=REQUESTS,
            note=outcome.problem,
        )
        for key, measured in (
            ("resumed", f"resume of {examples:,} examples, {missing} of them missing"),
            ("merged", f"merge of {SHARDS} shards of {examples // SHARDS:,} examples"),
        )
    ]
