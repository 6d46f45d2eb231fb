"""Requests of a resumed job and of a merge of shards, counted by the stand-in for Phoenix."""

from __future__ import annotations

import os
import subprocess
import sys

from _contender import arguments, report
from _evalwire import experiments, task_of
from _stand_in import CURRENT, DATASET, counts_of, stand_in

PAGE = 200  # runs, as in evalwire


def main() -> None:
    """Run both commands, and print their numbers of requests and the numbers that they cannot do without."""
    given = arguments()
    examples, missing, shards = given["examples"], given["missing"], given["shards"]
    resumed = _requests(["resume", "--experiment", CURRENT, "--accept-changes"], examples=examples, missing=missing)
    merged = _requests(["gate", "--shards", str(shards)], examples=examples, facts={"shards": shards})
    reading = 4  # the experiment, the dataset, its examples, the document of runs with evaluations
    end = 1  # the outcome
    report(
        "evalwire",
        resumed=resumed,
        resumed_least=reading + _pages(examples - missing) + 2 * missing + end,  # a run and an evaluation
        merged=merged,
        merged_least=1 + reading + _pages(examples) + end,  # the claim of the pipeline run
    )


def _pages(runs: int) -> int:
    return -(-runs // PAGE)


def _requests(command: list[str], **sizes: object) -> int:
    with stand_in(**sizes) as url, experiments(DATASET, task=task_of(0), evaluators=["number_0"]) as folder:
        whole = [sys.executable, "-m", "evalwire", *command]
        environment = {**os.environ, "PHOENIX_ENDPOINT": url, "EVALWIRE_RUN_KEY": "bench"}
        done = subprocess.run(whole, cwd=folder.parent, env=environment, capture_output=True, text=True, check=False)
        counts = counts_of(url)
    if done.returncode:
        sys.exit(done.stderr or done.stdout)
    return sum(counts.values())


main()
