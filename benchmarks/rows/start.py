"""Row `start`: duration of a command without work, compared with a Typer app that does nothing."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contest import SCRIPTS, Unmeasured, clean_environment
from benchmarks.table import Line, Target

if TYPE_CHECKING:
    from benchmarks.bench import Bench

ROW = "start"
RUNS = 15
WARM_UPS = 2  # compile the imported modules


def measure(bench: Bench) -> list[Line]:
    """Run each command in turns in this environment."""
    evalwire = Path(sys.executable).parent / "evalwire"
    if not evalwire.exists():
        raise Unmeasured("the command `evalwire` is not installed here")
    commands = {
        "version": [str(evalwire), "--version"],
        "run": [str(evalwire), "run"],
        "typer": [sys.executable, str(SCRIPTS / "start_typer.py")],
    }
    environment = clean_environment()
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "experiments").mkdir()
        for _ in range(WARM_UPS + max(RUNS, bench.repetitions(RUNS))):
            for name, command in commands.items():
                began = time.perf_counter()
                subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
                seconds[name].append(time.perf_counter() - began)
    bench.raw[ROW] = {name: took[WARM_UPS:] for name, took in seconds.items()}
    medians = {name: statistics.median(took[WARM_UPS:]) for name, took in seconds.items()}
    return [
        Line(
            row=ROW,
            measured=measured,
            unit="s",
            ours=medians[name],
            other="a Typer app that does nothing",
            theirs=medians["typer"],
            target=Target(relation="at most", ratio=ratio),
        )
        for name, measured, ratio in (
            ("version", "evalwire --version", 1.3),
            ("run", "evalwire run, no experiments", 4.0),
        )
    ]
