"""Row `rivals`: the work of `together`, by other runners of experiments in Phoenix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.contest import Contender, Unmeasured
from benchmarks.rows.recording import EVALUATORS, all_of, evalwire
from benchmarks.rows.together import CONCURRENCY, TASK_SECONDS
from benchmarks.table import Line, Target

if TYPE_CHECKING:
    from benchmarks.bench import Bench

ROW = "rivals"
EXAMPLES = 200
TARGET = Target(relation="at most", ratio=0.5)
EXAMPLES_SEQUENTIAL = 50  # evalwire 0.6 runs examples sequentially


def measure(bench: Bench) -> list[Line]:
    """Compare evalwire with the runner of the Phoenix client, and with evalwire 0.6."""
    url = bench.phoenix()
    return [_compare_with_client(bench, url), _compare_with_predecessor(bench, url)]


def _compare_with_client(bench: Bench, url: str) -> Line:
    examples = bench.examples(EXAMPLES)
    rival = _rival("recording_phoenix_client.py", url, examples)
    return _compare(bench, url, rival, examples, title="run_experiment of phoenix-client")


def _compare_with_predecessor(bench: Bench, url: str) -> Line:
    examples, title = bench.examples(EXAMPLES_SEQUENTIAL), "runner of evalwire"
    try:
        # without its server: the newest version that it allows does not work with current libraries
        python = bench.environments.python("evalwire-0.6", "evalwire==0.6.*", without=["arize-phoenix"])
    except Unmeasured as problem:
        return Line(
            row=ROW,
            measured=_work(examples),
            unit="s",
            ours=None,
            other=title,
            theirs=None,
            target=TARGET,
            note=str(problem),
        )
    rival = _rival("recording_evalwire_06.py", url, examples, python=python, checkout=False)
    return _compare(bench, url, rival, examples, title=title)


def _rival(script: str, url: str, examples: int, **where: Any) -> Contender:
    return Contender(
        name="rival",
        script=script,
        arguments={"url": url, "examples": examples, "concurrency": CONCURRENCY, "task_seconds": TASK_SECONDS},
        expects=all_of(examples),
        **where,
    )


def _compare(bench: Bench, url: str, rival: Contender, examples: int, *, title: str) -> Line:
    ours = evalwire("evalwire", url, examples, concurrency=CONCURRENCY, task_seconds=TASK_SECONDS)
    outcomes = bench.contest(f"{ROW}: {title}", [ours, rival], repetitions=3)
    mine, theirs = outcomes["evalwire"], outcomes["rival"]
    return Line(
        row=ROW,
        measured=_work(examples),
        unit="s",
        ours=mine.median("seconds"),
        other=f"{title} {theirs.version}".strip(),
        theirs=theirs.median("seconds"),
        target=TARGET,
        note=mine.problem or theirs.problem or f"both with {examples} examples, fewer than in `together`",
    )


def _work(examples: int) -> str:
    return f"{examples} x 200 ms, {CONCURRENCY} in parallel, {EVALUATORS} evaluators, recorded with spans"
