"""Row `rivals`: the work of `together`, by others who run experiments against a Phoenix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.contest import Contender, Unmeasured
from benchmarks.rows.recording import EVALUATORS, all_of, evalwire
from benchmarks.rows.together import CONCURRENCY, TASK_SECONDS
from benchmarks.table import AHEAD, Line

if TYPE_CHECKING:
    from benchmarks.bench import Bench

ROW = "rivals"
EXAMPLES = 200
EXAMPLES_SEQUENTIAL = 50  # evalwire 0.6 runs one after the other


def measure(bench: Bench) -> list[Line]:
    """Run evalwire beside the Phoenix client's own runner, then beside evalwire 0.6."""
    url = bench.phoenix()
    return [_beside_the_client(bench, url), _beside_the_predecessor(bench, url)]


def _beside_the_client(bench: Bench, url: str) -> Line:
    examples = bench.examples(EXAMPLES)
    rival = _rival("recording_phoenix_client.py", url, examples)
    return _beside(bench, url, rival, examples, title="run_experiment of phoenix-client")


def _beside_the_predecessor(bench: Bench, url: str) -> Line:
    examples, title = bench.examples(EXAMPLES_SEQUENTIAL), "runner of evalwire"
    try:
        # its server is left out: the newest one that it allows does not import with today's libraries
        python = bench.environments.python("evalwire-0.6", "evalwire==0.6.*", without=["arize-phoenix"])
    except Unmeasured as problem:
        return Line(
            row=ROW,
            measured=_work(examples),
            unit="s",
            ours=None,
            beside=title,
            theirs=None,
            target=AHEAD,
            note=str(problem),
        )
    rival = _rival("recording_evalwire_06.py", url, examples, python=python, checkout=False)
    return _beside(bench, url, rival, examples, title=title)


def _rival(script: str, url: str, examples: int, **where: Any) -> Contender:
    return Contender(
        name="rival",
        script=script,
        arguments={"url": url, "examples": examples, "concurrency": CONCURRENCY, "task_seconds": TASK_SECONDS},
        expects=all_of(examples),
        **where,
    )


def _beside(bench: Bench, url: str, rival: Contender, examples: int, *, title: str) -> Line:
    ours = evalwire("evalwire", url, examples, concurrency=CONCURRENCY, task_seconds=TASK_SECONDS)
    outcomes = bench.contest(f"{ROW}: {title}", [ours, rival], repetitions=3)
    mine, theirs = outcomes["evalwire"], outcomes["rival"]
    return Line(
        row=ROW,
        measured=_work(examples),
        unit="s",
        ours=mine.median("seconds"),
        beside=f"{title} {theirs.version}".strip(),
        theirs=theirs.median("seconds"),
        target=AHEAD,
        note=mine.problem or theirs.problem or f"fewer examples than `together` has, for both: {examples}",
    )


def _work(examples: int) -> str:
    return f"{examples} x 200 ms, {CONCURRENCY} at once, {EVALUATORS} evaluators, recorded with spans"
