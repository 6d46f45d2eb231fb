"""The command `evalwire run`, as a dry run, on a dataset of a stand-in for Phoenix; reports are written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from _contender import SLEEP_SECONDS, arguments, report, waits
from _evalwire import experiments, task_of
from _stand_in import DATASET, stand_in


def main() -> None:
    """Run the command on all examples and on one example, and print both durations."""
    given = arguments()
    seconds = SLEEP_SECONDS if waits() else 0
    with (
        stand_in(examples=given["examples"]) as url,
        experiments(DATASET, task=task_of(seconds), evaluators=given["evaluators"]) as folder,
    ):
        environment = {**os.environ, "PHOENIX_ENDPOINT": url}

        def run(examples: int) -> float:
            command = [sys.executable, "-m", "evalwire", "run", "--dry-run", str(examples)]
            command += ["--task-concurrency", str(given["concurrency"])]
            began = time.perf_counter()
            done = subprocess.run(
                command, cwd=folder.parent, env=environment, capture_output=True, text=True, check=False
            )
            took = time.perf_counter() - began
            if done.returncode:
                sys.exit(done.stderr or done.stdout)
            found = json.loads((folder.parent / "test-results" / "results-dry-run.json").read_text())
            if len(found["experiments"][0]["runs"]) != examples:
                sys.exit("results.json has another number of runs")
            return took

        run(1)  # compiles the modules
        single = run(1)
        whole = run(given["examples"])
    report("evalwire", seconds=whole - single, single=single)


main()
