"""Speed-up of a job that is split across containers: `python -m benchmarks.scaling`.

Start a Phoenix in a container, and run an experiment in 1, 2, 4 and 8 containers of the image, each with a shard. The
tasks sleep, so that the processors are not the limit.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from benchmarks import machine

IMAGE = "evalwire:scaling"
TASK = """\
import asyncio


async def task(example):
    await asyncio.sleep({seconds})
    return example.input["q"]
"""
EVALUATOR = "def same(output, input):\n    return output == input['q']\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The figures for a number of containers.

    Attributes:
        containers: the number of parallel containers, each with a shard.
        wall_seconds: time from the start of the first container to the end of the last.
        ideal_seconds: time for the tasks alone: examples x seconds / examples in flight.
        lost: the number of examples without a run or without its evaluation.
        duplicates: the number of examples with several runs or evaluations.
        verdict: the exit code of the gate over all shards.
    """

    containers: int
    wall_seconds: float
    ideal_seconds: float
    lost: int
    duplicates: int
    verdict: int

    @property
    def efficiency(self) -> float:
        """Return the ratio of the ideal time to the wall time."""
        return self.ideal_seconds / self.wall_seconds


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table; return 0 unless records were lost or duplicated."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--examples", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=2.0, help="duration of each task, in seconds (default: 2)")
    parser.add_argument(
        "--task-concurrency", type=int, default=10, help="examples in flight per container (default: 10)"
    )
    parser.add_argument("--containers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    options = parser.parse_args(argv)
    said = machine.facts()
    with _engine() as engine, tempfile.TemporaryDirectory() as directory:
        dataset = _upload(engine.url, options.examples)
        _write_project(Path(directory), dataset, seconds=options.seconds)
        measured = []
        for containers in options.containers:
            print(f"{containers} containers ...", file=sys.stderr)
            ideal = options.examples * options.seconds / (options.task_concurrency * containers)
            limits = {"containers": containers, "task_concurrency": options.task_concurrency}
            measured.append(_measure(engine, Path(directory), dataset, **limits, ideal=ideal))
    print(_table(measured))
    print(
        f"\n{options.examples} examples, tasks of {options.seconds:g} s, --task-concurrency {options.task_concurrency} "
        f"in each container, one evaluator, Phoenix on SQLite; {machine.sentence(said)}"
    )
    if options.json:
        values = {**said, "measured": [{**asdict(entry), "efficiency": entry.efficiency} for entry in measured]}
        options.json.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    return int(any(entry.lost or entry.duplicates or entry.verdict for entry in measured))


def _table(measured: Sequence[Measured]) -> str:
    rows = ["| containers | wall time | ideal | efficiency | lost | recorded twice |", "|---|---|---|---|---|---|"]
    rows += [
        f"| {entry.containers} | {entry.wall_seconds:.1f} s | {entry.ideal_seconds:.1f} s | {entry.efficiency:.0%} "
        f"| {entry.lost} | {entry.duplicates} |"
        for entry in measured
    ]
    return "\n".join(rows)


# --- containers ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Engine:
    """The network of the containers, and the address of Phoenix from outside."""

    network: str
    url: str


def _docker(*arguments: str, check: bool = True, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    command = ["docker", *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, cwd=machine.ROOT)
    if check and finished.returncode:
        sys.exit(f"{' '.join(command)}: exit {finished.returncode}\n{finished.stdout}{finished.stderr}")
    return finished


@contextlib.contextmanager
def _engine() -> Iterator[Engine]:
    """Build the image, and start a Phoenix in a separate network; remove both afterwards."""
    _docker("build", "-q", "-t", IMAGE, ".")
    compose = (machine.ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    phoenix = next(line.split("image:")[1].strip() for line in compose.splitlines() if "image: arizephoenix" in line)
    network = f"evalwire-scaling-{uuid.uuid4().hex[:8]}"
    _docker("network", "create", network)
    try:
        place = ("--network", network, "--network-alias", "phoenix", "-p", "127.0.0.1::6006", "--name", network)
        _docker("run", "-d", *place, "-e", "PHOENIX_TELEMETRY_ENABLED=false", phoenix)
        port = _docker("port", network, "6006/tcp").stdout.split(":")[-1].strip()
        url = f"http://127.0.0.1:{port}"
        _wait_for(url)
        yield Engine(network, url)
    finally:
        _docker("rm", "-fv", network, check=False)
        _docker("network", "rm", network, check=False)


def _wait_for(url: str, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/readyz", timeout=2).is_success:
                return
        time.sleep(0.5)
    sys.exit(f"Phoenix at {url} is not ready after {seconds:.0f} s")


def _upload(url: str, examples: int) -> str:
    name = f"scaling_{uuid.uuid4().hex[:8]}"
    numbers = range(examples)
    body = {
        "name": name,
        "inputs": [{"q": f"question {number}"} for number in numbers],
        "outputs": [{} for _ in numbers],
    }
    httpx.post(f"{url}/v1/datasets/upload", params={"sync": True}, json=body, timeout=120).raise_for_status()
    return name


def _write_project(directory: Path, name: str, *, seconds: float) -> None:
    experiment = directory / name
    experiment.mkdir()
    (experiment / "task.py").write_text(TASK.format(seconds=seconds))
    (experiment / "same.py").write_text(EVALUATOR)
    for path in (directory, experiment):
        path.chmod(0o755)


def _measure(
    engine: Engine, directory: Path, dataset: str, *, containers: int, task_concurrency: int, ideal: float
) -> Measured:
    key = uuid.uuid4().hex
    before = set(_experiments(engine.url, dataset))
    project = ("--network", engine.network, "-v", f"{directory}:/work/experiments:ro")
    variables = ("PHOENIX_ENDPOINT=http://phoenix:6006", f"EVALWIRE_RUN_KEY={key}")
    limit = f"EVALWIRE_TASK_CONCURRENCY={task_concurrency}"
    options = (*project, *(word for variable in (*variables, limit) for word in ("-e", variable)))
    began = time.monotonic()
    started = [
        _docker("run", "-d", *options, IMAGE, "run", "--shard", f"{number}/{containers}").stdout.strip()
        for number in range(1, containers + 1)
    ]
    try:
        codes = _docker("wait", *started, timeout=3600).stdout.split()
        wall = time.monotonic() - began
        if set(codes) != {"0"}:
            sys.exit("\n".join(_docker("logs", container).stderr[-2000:] for container in started))
    finally:
        _docker("rm", "-f", *started, check=False)
    gate = _docker("run", "--rm", *options, IMAGE, "gate", "--shards", str(containers), check=False)
    (experiment,) = set(_experiments(engine.url, dataset)) - before
    lost, duplicates = _count(engine.url, dataset, experiment)
    return Measured(
        containers=containers,
        wall_seconds=wall,
        ideal_seconds=ideal,
        lost=lost,
        duplicates=duplicates,
        verdict=gate.returncode,
    )


# --- results in Phoenix ---------------------------------------------------------------------------------


def _get(url: str, path: str) -> list[dict]:
    answer = httpx.get(f"{url}/v1/{path}", timeout=120)
    answer.raise_for_status()
    document = answer.json()
    return document if isinstance(document, list) else document["data"]


def _experiments(url: str, dataset: str) -> list[str]:
    (found,) = _get(url, f"datasets?name={dataset}")
    return [item["id"] for item in _get(url, f"datasets/{found['id']}/experiments?limit=200")]


def _count(url: str, dataset: str, experiment: str) -> tuple[int, int]:
    """Return the numbers of examples with missing and with duplicate records."""
    (found,) = _get(url, f"datasets?name={dataset}")
    runs = Counter()
    for run in _get(url, f"experiments/{experiment}/json"):
        runs[run["example_id"]] += 1
        if len(run["annotations"]) != 1:
            runs[run["example_id"]] += 1 if run["annotations"] else -1
    expected = int(found["example_count"])
    lost = expected - sum(count > 0 for count in runs.values())
    return lost, sum(count > 1 for count in runs.values())


if __name__ == "__main__":
    sys.exit(main())
