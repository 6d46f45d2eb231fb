"""Row `short job`: the start of a command or a script that records one example in a running Phoenix."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contest import Unmeasured, clean_environment
from benchmarks.machine import ROOT
from benchmarks.table import AHEAD, Line

if TYPE_CHECKING:
    from benchmarks.bench import Bench

ROW = "short job"
RUNS = 5
LIMIT_SECONDS = 0.7
LIMIT_SCRIPT_SECONDS = 1.0
DATASET = "bench-short-job"
IMAGE = "evalwire-benchmark"

_TASK = "async def task(example):\n    return example.input['n']\n"
_EVALUATOR = "def match(output, expected):\n    return output == expected['n']\n"
_SCRIPT = "from evalwire.runner import ExperimentRunner\n\nassert ExperimentRunner('experiments').run()[0].passed\n"
_IN_IMAGE = (
    "import subprocess, sys, time\n"
    "for turn in range(int(sys.argv[1])):\n"
    "    began = time.perf_counter()\n"
    "    subprocess.run(['evalwire', 'run'], check=True, capture_output=True)\n"
    "    print(time.perf_counter() - began)\n"
)


def measure(bench: Bench) -> list[Line]:
    """Run the command in an environment with and without bytecode, and in the image, and run a script."""
    url = bench.phoenix()
    runs = max(RUNS, bench.repetitions(RUNS))
    _upload(url)
    with tempfile.TemporaryDirectory() as directory:
        project = Path(directory)
        experiment = project / "experiments" / DATASET
        experiment.mkdir(parents=True)
        (experiment / "task.py").write_text(_TASK, encoding="utf-8")
        (experiment / "match.py").write_text(_EVALUATOR, encoding="utf-8")
        (project / "script.py").write_text(_SCRIPT, encoding="utf-8")

        def command(name: str, *, compiled: bool) -> list[float]:
            python = bench.environments.python(name, str(ROOT), compiled=compiled)
            return _seconds([str(python.with_name("evalwire")), "run"], project, url, runs)

        ways: dict[str, tuple[float, Callable[[], list[float]]]] = {
            "`evalwire run`, environment with bytecode, as by pip": (
                LIMIT_SECONDS,
                lambda: command("evalwire", compiled=True),
            ),
            "`evalwire run`, environment without bytecode, as by uv, from the second run on": (
                LIMIT_SECONDS,
                lambda: command("evalwire-by-uv", compiled=False),
            ),
            "`evalwire run`, in the image": (LIMIT_SECONDS, lambda: _seconds_in_image(project, url, runs)),
            "script with `ExperimentRunner`, next to Phoenix's server": (
                LIMIT_SCRIPT_SECONDS,
                lambda: _seconds([sys.executable, "script.py"], project, url, runs, PYTHONPATH=str(ROOT / "app")),
            ),
        }
        return [_line(bench, measured, limit, find) for measured, (limit, find) in ways.items()]


def _line(bench: Bench, measured: str, limit: float, find: Callable[[], list[float]]) -> Line:
    problem = ""
    try:
        bench.raw[f"{ROW}: {measured}"] = seconds = find()
        print(f"  {measured}: {[round(each, 2) for each in seconds]}", file=sys.stderr)
    except Unmeasured as error:
        seconds, problem = [], str(error)
    return Line(
        row=ROW,
        measured=measured,
        unit="s",
        ours=statistics.median(seconds) if seconds else None,
        other="limit",
        theirs=limit,
        target=AHEAD,
        note=problem,
    )


def _upload(url: str) -> None:
    from evalwire.phoenix import connect  # noqa: PLC0415 - only the rows that record need it

    client = connect(base_url=url)
    client.datasets.create_dataset(name=DATASET, examples=[{"input": {"n": 1}, "output": {"n": 1}}])


def _environment(url: str, **extra: str) -> dict[str, str]:
    environment = clean_environment(PHOENIX_ENDPOINT=url)
    environment.pop("PYTHONPATH")
    return {**environment, **extra}


def _seconds(command: Sequence[str], project: Path, url: str, runs: int, **extra: str) -> list[float]:
    """Run a command several times after a first run, which writes the bytecode; return the seconds of each."""
    found = []
    for _ in range(1 + runs):
        began = time.perf_counter()
        done = subprocess.run(
            command, cwd=project, env=_environment(url, **extra), capture_output=True, text=True, check=False
        )
        found.append(time.perf_counter() - began)
        _check(done)
    return found[1:]


def _seconds_in_image(project: Path, url: str, runs: int) -> list[float]:
    """Run the command several times in a container of the image; return the seconds without the container's start."""
    docker = shutil.which("docker")
    if docker is None:
        raise Unmeasured("there is no `docker`")
    build = [docker, "build", "--quiet", "--tag", IMAGE, str(ROOT)]
    _check(subprocess.run(build, capture_output=True, text=True, check=False))
    container = [docker, "run", "--rm", "--network", "host", "--volume", f"{project}:/work", "--workdir", "/work"]
    options = ["--env", f"PHOENIX_ENDPOINT={url}", "--user", "0", "--entrypoint", "python", IMAGE]
    repeat = [*container, *options, "-c", _IN_IMAGE, str(1 + runs)]
    done = subprocess.run(repeat, capture_output=True, text=True, check=False)
    _check(done)
    return [float(line) for line in done.stdout.split()][1:]


def _check(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        raise Unmeasured(f"exit code {done.returncode}: {(done.stderr or done.stdout)[-200:]}")
