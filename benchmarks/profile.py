"""Profile of the engine's thread in the row `engine alone`: `python -m benchmarks.profile`."""

from __future__ import annotations

import argparse
import collections
import cProfile
import json
import pstats
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contest import SCRIPTS
from benchmarks.rows.engine import CONCURRENCY
from benchmarks.rows.engine_alone import EXAMPLES
from evalwire.engine.event_loop import LoopThread

PARTS = {  # by a part of the file name
    "asyncio": "event loop",
    "selectors": "event loop",
    "evalwire/usercode": "calls of user code: time, copies, failures",
    "evalwire/engine": "engine: pace, budget, retries, results",
    "evalwire/model": "data classes and JSON",
    "evalwire/recording": "recording, which does nothing in a dry run",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the contender with a profiler on the engine's thread, and print its time by part and by function."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--examples", type=int, default=EXAMPLES)
    parser.add_argument("--functions", type=int, default=15, metavar="N", help="number of functions (default: 15)")
    options = parser.parse_args(argv)
    profiles: list[cProfile.Profile] = []
    run = LoopThread._run  # noqa: SLF001 - the only function that encloses the work of the thread

    def profiled(thread: LoopThread) -> None:
        profile = cProfile.Profile()
        profiles.append(profile)
        profile.runcall(run, thread)

    LoopThread._run = profiled  # type: ignore[method-assign] # noqa: SLF001
    sys.path.insert(0, str(SCRIPTS))
    sys.argv = ["", json.dumps({"examples": options.examples, "concurrency": CONCURRENCY, "waits": False})]
    runpy.run_path(str(SCRIPTS / "engine_evalwire.py"), run_name="__main__")
    stats = pstats.Stats(profiles[-1])
    _print_parts(stats)
    stats.sort_stats("tottime").print_stats(options.functions)
    return 0


def _print_parts(stats: pstats.Stats) -> None:
    found: collections.Counter[str] = collections.Counter()
    for (file, _, name), (_, _, own, _, _) in stats.stats.items():  # type: ignore[attr-defined] # typeshed lacks it
        place = f"{'/'.join(Path(file).parts[-3:])} {name}"
        found[next((part for words, part in PARTS.items() if words in place), "other functions")] += own
    total = sum(found.values())
    for part, seconds in found.most_common():
        print(f"{seconds / total:4.0%}  {part}")


if __name__ == "__main__":
    sys.exit(main())
