"""`evalwire gate` on an experiment and its baseline: processor time of the command, and of only reading the records."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from _contender import arguments, child_seconds, report
from _stand_in import BASELINE, CURRENT, stand_in

NUMBERS, BOOLS = 5, 3
PAGE = 200  # runs, as in evalwire


def read(url: str, experiment: str) -> None:
    """Request and parse the records of an experiment, without any other work."""
    with httpx.Client(base_url=f"{url}/v1") as client:
        cursor: str | None = None
        while True:
            parameters = {"limit": PAGE, **({"cursor": cursor} if cursor else {})}
            page = client.get(f"experiments/{experiment}/runs", params=parameters).json()
            cursor = page["next_cursor"]
            if not cursor:
                break
        for path in (
            f"experiments/{experiment}",
            f"experiments/{experiment}/json",
            "datasets/D",
            "datasets/D/examples",
        ):
            json.loads(client.get(path).content)


def main() -> None:
    """Apply eight drop gates, and print the processor time without the time of reading."""
    given = arguments()
    names = [f"number_{n}" for n in range(NUMBERS)] + [f"bool_{n}" for n in range(BOOLS)]
    sizes = {"examples": given["examples"], "repetitions": given["repetitions"], "numbers": NUMBERS, "bools": BOOLS}
    command = [sys.executable, "-m", "evalwire", "gate", "--experiment", CURRENT, "--baseline", BASELINE]
    gates = [part for name in names for part in ("--gate", f"{name} drop <= 0.02")]
    with stand_in(**sizes) as url, TemporaryDirectory() as directory:
        Path(directory, "experiments").mkdir()
        environment = {**os.environ, "PHOENIX_ENDPOINT": url}
        before = child_seconds()
        done = subprocess.run(
            [*command, *gates], cwd=directory, env=environment, capture_output=True, text=True, check=False
        )
        took = child_seconds() - before
        began = time.process_time()
        for experiment in (BASELINE, CURRENT):
            read(url, experiment)
        reading = time.process_time() - began
    if done.returncode:
        sys.exit(done.stderr or done.stdout)
    gates_passed = f"{len(names)} gates passed" in done.stdout
    report("evalwire", seconds=took, reading=reading, own=took - reading, is_applied=gates_passed)


main()
