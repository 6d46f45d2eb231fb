"""`evalwire resume`, with the real program and a real Phoenix: after `kill -9` at any moment, nothing is paid for twice,
nothing is lost, nothing is there twice, and the job ends as it would have ended."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from faults import Fault, FaultyPhoenix, first
from kill_tally import measured, tally

from conftest import EVALWIRE, Project, quiet_environment
from evalwire.phoenix import local
from evalwire.phoenix.connection import connect

pytestmark = pytest.mark.needs_phoenix

SEED = int(os.environ.get("EVALWIRE_TEST_SEED", "20260101"))
REPETITIONS = 2
TASK_CONCURRENCY = 3
EVALUATORS = 2
# Calls at once: each place in flight may hold an example that is with its evaluators, and one less than that are behind.
MOST_IN_FLIGHT = (2 * TASK_CONCURRENCY - 1) * EVALUATORS

# Each call leaves a line in a file beside the experiments, by one write that a kill cannot tear.
NOTE = """
    import os, pathlib
    _FILE = str(pathlib.Path(__file__).resolve().parents[2] / "calls")

    def note(*words):
        descriptor = os.open(_FILE, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.write(descriptor, (" ".join(words) + "\\n").encode())
        os.close(descriptor)
"""
ASYNC_TASK = """
    import asyncio, os, pathlib, time
    from ._note import note

    if os.environ.get("SLOW_IMPORT"):
        (pathlib.Path(__file__).parents[3] / "importing").touch()
        time.sleep(60)

    async def task(example):
        note("alpha", "task", example.input["q"])
        await asyncio.sleep(0.03)
        if example.input["q"] == "bad":
            raise ValueError("this one always fails: ü \\ud800")
        return {"said": example.input["q"].upper(), "of": [1, 2.5, None, "ü\\u2028"]}
"""
PLAIN_TASK = """
    import time
    from ._note import note

    def task(input):
        note("beta", "task", input["q"])
        time.sleep(0.03)
        return input["q"]
"""
EXACT = """
    from ._note import note

    def exact(input, output, expected):
        note({name!r}, "exact", input["q"])
        return output == expected["a"]
"""
GRADED = """
    import asyncio
    from ._note import note

    async def graded(input, output):
        note({name!r}, "graded", input["q"])
        await asyncio.sleep(0.02)
        size = len(str(output))
        return [
            {{"name": "length", "score": size, "label": "long" if size > 20 else "short", "metadata": {{"ü": [size]}}}},
            {{"name": "initial", "label": input["q"][0], "explanation": "its first letter"}},
        ]
"""
QUESTIONS = {
    "alpha": ["ants", "bees", "bad", "crows", "doves"],
    "beta": ["elk", "foxes", "gnus", "hens", "ibex"],
}
RUNS = sum(map(len, QUESTIONS.values())) * REPETITIONS


@pytest.fixture(scope="module")
def datasets(phoenix_url: str) -> dict[str, str]:
    """The datasets of both experiments, by the experiment's folder."""
    client = connect(base_url=phoenix_url)
    names = {}
    for folder, questions in QUESTIONS.items():
        names[folder] = f"{folder}_{uuid.uuid4().hex[:8]}"
        examples = [{"input": {"q": q}, "output": {"a": q if n % 2 else "?"}} for n, q in enumerate(questions)]
        client.datasets.create_dataset(name=names[folder], examples=examples, timeout=60)
    return names


class Killed:
    """A project with two experiments, its journal, and what was called."""

    def __init__(self, directory: Path, phoenix_url: str, datasets: dict[str, str]) -> None:
        directory.mkdir(exist_ok=True)
        self.project = Project(directory, quiet_environment(PHOENIX_ENDPOINT=phoenix_url))
        self.directory = directory
        self.datasets = datasets
        self.prefix = f"kill{uuid.uuid4().hex[:8]}"
        self.client = connect(base_url=phoenix_url)
        self.phases: list[tuple[Counter[str], Counter[str]]] = []  # at each kill: what was called, what is held
        for folder, task in (("alpha", ASYNC_TASK), ("beta", PLAIN_TASK)):
            evaluators = {"exact": EXACT.format(name=folder), "graded": GRADED.format(name=folder)}
            self.project.experiment(folder, task=task, **evaluators, _note=NOTE)
        tables = "".join(f'[experiments.{folder}]\ndataset = "{name}"\n' for folder, name in datasets.items())
        settings = f'[experiments]\ntask_concurrency = {TASK_CONCURRENCY}\nconcurrency = 2\nrepetitions = {REPETITIONS}\nprefix = "{self.prefix}"\n'
        self.project.write({"evalwire.toml": settings + tables})

    @property
    def journals(self) -> list[Path]:
        return sorted((self.directory / "test-results").glob("journal_*.jsonl"))

    def lines(self) -> list[dict[str, Any]]:
        """What the journal holds, a torn last line left out."""
        found = []
        for path in self.journals:
            for line in path.read_bytes().splitlines():
                with contextlib.suppress(ValueError):
                    found.append(json.loads(line))
        return found

    def size(self) -> int:
        """How many lines there are."""
        return sum(path.read_bytes().count(b"\n") for path in self.journals)

    def calls(self) -> Counter[str]:
        """How often each was called: `alpha task ants`."""
        path = self.directory / "calls"
        return Counter(path.read_text().splitlines() if path.exists() else [])

    def held(self) -> Counter[str]:
        """How many results of each the journal holds, repetitions counted, in the words of `calls`."""
        runs = {(e["experiment"], e["example"], e["repetition"]): e for e in self.lines() if e["type"] == "run"}
        said = {
            (e["experiment"], e["example"], e["repetition"], e["evaluator"])
            for e in self.lines()
            if e["type"] == "evaluations"
        }
        question = self.questions()
        return Counter(
            [f"{folder} task {question[example]}" for folder, example, _ in runs]
            + [f"{folder} {evaluator} {question[example]}" for folder, example, _, evaluator in said]
        )

    def questions(self) -> dict[str, str]:
        """Each example's question, by its node id."""
        return {
            example["node_id"]: example["input"]["q"]
            for name in self.datasets.values()
            for example in self.client.datasets.get_dataset(dataset=name, timeout=60).examples
        }

    def kill_when(self, reached: Callable[[], bool], *command: str, **environ: str) -> bool:
        """Start a command and kill it when something is so; False when it had ended before."""
        with (self.directory / "log").open("a") as log:
            process = subprocess.Popen(
                [*EVALWIRE, *command],
                cwd=self.directory,
                env={**self.project.environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 100
        while process.poll() is None and not reached():
            assert time.monotonic() < deadline, (self.directory / "log").read_text()
            time.sleep(0.002)
        process.kill()
        process.wait()
        if process.returncode != -signal.SIGKILL:
            return False
        self.phases.append((self.calls(), self.held()))
        tally(kills=1)
        return True

    def after(self, count: int) -> Callable[[], bool]:
        """Whether so many lines more have been written than there are now."""
        wanted = self.size() + count
        return lambda: self.size() >= wanted

    def resume(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        tally(resumes=1)
        return self.project.run("resume", *arguments, **environ)

    # --- what must hold ------------------------------------------------------------------------------

    def result(self) -> dict[str, Any]:
        return json.loads((self.directory / "test-results/results.json").read_text())

    def assert_nothing_held_was_called_again(self) -> None:
        """From each kill to the next, nothing was called more often than was missing in the journal."""
        ends = [called for called, _ in self.phases[1:]] + [self.calls()]
        again = {}
        for (before, held), after in zip(self.phases, ends, strict=True):
            for what, count in (after - before).items():
                if count > REPETITIONS - held[what]:
                    again[what] = (count, held[what])
        made_again = sum(self.calls().values()) - _calls_of_a_whole_run()
        tally(
            calls_not_made_again=sum(self.phases[-1][1].values()) if self.phases else 0,
            calls_in_flight_at_a_kill_made_again=made_again,
            results_paid_for_twice=len(again),
        )
        assert not again, again
        assert made_again <= len(self.phases) * MOST_IN_FLIGHT, "more than can have been in flight"

    def assert_server_has_all_once(self) -> None:
        """One experiment for each folder, in it one run for each example and repetition, each with its evaluations."""
        question = self.questions()
        lost = 0
        for folder, name in self.datasets.items():
            dataset = self.client.datasets.get_dataset(dataset=name, timeout=60)
            mine = [
                one
                for one in self.client.experiments.list(dataset_id=dataset.id)
                if one["name"].startswith(self.prefix)
            ]
            assert len(mine) == 1, [one["name"] for one in mine]
            runs = runs_of(self.client, mine[0]["id"])
            places = Counter((question[run["dataset_example_id"]], run["repetition_number"]) for run in runs)
            expected = {(q, n) for q in QUESTIONS[folder] for n in range(1, REPETITIONS + 1)}
            lost += len(expected - places.keys())
            assert places == Counter(expected)
            said = annotations_of(self.client, mine[0]["id"])
            for run in runs:
                is_bad = question[run["dataset_example_id"]] == "bad"
                assert bool(run["error"]) == is_bad
                names = sorted(said[run["dataset_example_id"], run["repetition_number"]])
                assert names == ([] if is_bad else ["exact", "initial", "length"])
        tally(losses=lost)


def _calls_of_a_whole_run() -> int:
    """The task of each run, and both evaluators of each that does not fail."""
    return RUNS + 2 * (RUNS - REPETITIONS)


def runs_of(client: Any, experiment_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = client._client.get(
            f"v1/experiments/{experiment_id}/runs", params={"limit": 100, **({"cursor": cursor} if cursor else {})}
        ).json()
        found += page["data"]
        cursor = page.get("next_cursor")
        if not cursor:
            return found


def annotations_of(client: Any, experiment_id: str) -> dict[tuple[str, int], list[str]]:
    found = client._client.get(f"v1/experiments/{experiment_id}/json").json()
    return {(run["example_id"], run["repetition_number"]): [one["name"] for one in run["annotations"]] for run in found}


def normalised(report: dict[str, Any], directory: Path) -> dict[str, Any]:
    """A report without times, ids and its folder; what has to have an id is shown by whether it has."""
    text = json.dumps(report).replace(str(directory), "DIR")
    report = json.loads(text)
    return {
        "outcome": report["outcome"],
        "exit_code": report["exit_code"],
        "dry_run": report["dry_run"],
        "experiments": [
            {
                **{key: experiment[key] for key in _KEPT},
                "has_id": experiment["experiment_id"] is not None,
                "url": experiment["url"].partition("/datasets/")[0],
                "runs": [
                    {
                        **{key: run[key] for key in _KEPT_OF_RUNS},
                        "has_id": run["id"] is not None,
                        "evaluations": [
                            {key: one[key] for key in _KEPT_OF_EVALUATIONS} | {"has_id": one["id"] is not None}
                            for one in run["evaluations"]
                        ],
                    }
                    for run in experiment["runs"]
                ],
            }
            for experiment in report["experiments"]
        ],
    }


_KEPT = (
    *("name", "passed", "dataset", "examples", "repetitions", "expected_runs", "failed", "not_run"),
    *("failure", "problems", "scores"),
)
_KEPT_OF_RUNS = (
    *("example_id", "example_node_id", "repetition", "input", "expected", "output"),
    *("failure", "record_failure", "attempts"),
)
_KEPT_OF_EVALUATIONS = (
    *("name", "evaluator", "score", "label", "explanation", "metadata"),
    *("failure", "attempts"),
)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory, phoenix_url: str, datasets: dict[str, str]) -> dict[str, Any]:
    """The report of an uninterrupted run, normalised."""
    killed = Killed(tmp_path_factory.mktemp("whole"), phoenix_url, datasets)
    done = killed.project.run("run")
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert sum(killed.calls().values()) == _calls_of_a_whole_run()
    killed.assert_server_has_all_once()
    return normalised(killed.result(), killed.directory)


@pytest.fixture
def killed(tmp_path: Path, phoenix_url: str, datasets: dict[str, str]) -> Killed:
    return Killed(tmp_path / "project", phoenix_url, datasets)


def end(killed: Killed, whole_run: dict[str, Any], *arguments: str) -> None:
    """Resume to the end, and hold everything to what an uninterrupted run came to."""
    done = killed.resume(*arguments)
    assert done.returncode == whole_run["exit_code"], (done.stdout, done.stderr)
    killed.assert_nothing_held_was_called_again()
    killed.assert_server_has_all_once()
    assert normalised(killed.result(), killed.directory) == whole_run


def has(killed: Killed, type_: str, count: int = 1) -> Callable[[], bool]:
    """Whether the journal has so many lines of a type."""
    word = f'{{"type": "{type_}"'.encode()
    return lambda: sum(path.read_bytes().count(word) for path in killed.journals) >= count


# --- killed at any moment ------------------------------------------------------------------------------

_LINES = 2 + 2 * 2 + 3 * RUNS - 2 * REPETITIONS  # job, end; create, open; run, two of evaluations
_RANDOM = random.Random(SEED)
SOME_LINES = [_RANDOM.randint(low, low + _LINES // 3 - 6) for low in range(6, _LINES - _LINES // 3, _LINES // 3)]
SOME_SECONDS = [round(_RANDOM.uniform(0.05, 0.6), 3)]


@pytest.mark.slow
@pytest.mark.parametrize("lines", SOME_LINES)
def test_killed_when_the_journal_has_so_many_lines(killed, whole_run, lines):
    assert killed.kill_when(killed.after(lines), "run")
    end(killed, whole_run)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", SOME_SECONDS)
def test_killed_so_long_after_the_first_line(killed, whole_run, seconds):
    first: list[float] = []

    def reached() -> bool:
        if not first and killed.size():
            first.append(time.monotonic())
        return bool(first) and time.monotonic() - first[0] > seconds

    killed.kill_when(reached, "run")
    end(killed, whole_run)


@pytest.mark.parametrize(
    ("type_", "count"),
    [
        pytest.param("create", 1, marks=pytest.mark.slow),
        pytest.param("open", 1, marks=pytest.mark.slow),
        ("evaluations", 2 * (RUNS - REPETITIONS)),
        pytest.param("end", 1, marks=pytest.mark.slow),
    ],
)
def test_killed_at_a_line(killed, whole_run, type_, count):
    """Among them: before the answer to a creation is there, and after everything was said, before the report."""
    killed.kill_when(has(killed, type_, count), "run")
    end(killed, whole_run)


@pytest.mark.parametrize(
    ("seed", "times"), [(SEED, 1), *(pytest.param(SEED + n, 2, marks=pytest.mark.slow) for n in (0, 1))]
)
def test_killed_and_the_resumption_killed_too_and_again(killed, whole_run, seed, times):
    chosen = random.Random(seed)
    assert killed.kill_when(killed.after(chosen.randint(10, _LINES // 3)), "run")
    for _ in range(times):
        killed.kill_when(killed.after(chosen.randint(1, _LINES // 4)), "resume")
    end(killed, whole_run)


@pytest.mark.parametrize("folder", ["alpha"])
def test_killed_when_phoenix_has_created_an_experiment_and_nobody_was_told(killed, whole_run, datasets, folder):
    """The creation is under way at the kill and arrives afterwards; the resumption finds it by its key."""
    upstream = killed.project.environ["PHOENIX_ENDPOINT"]
    slow = lambda method, path: Fault(delay_seconds=1) if method == "POST" and path.endswith("/experiments") else None  # noqa: E731
    with FaultyPhoenix(upstream, slow).serving() as proxy:
        reached = lambda: any(e["type"] == "create" and e["experiment"] == folder for e in killed.lines())  # noqa: E731
        assert killed.kill_when(
            lambda: reached() and proxy.count("POST", "/experiments") >= 2, "run", PHOENIX_ENDPOINT=proxy.url
        )
        assert not [entry for entry in killed.lines() if entry["type"] == "open"]
        dataset = killed.client.datasets.get_dataset(dataset=datasets[folder], timeout=60)
        deadline = time.monotonic() + 20
        while not any(
            one["name"].startswith(killed.prefix) for one in killed.client.experiments.list(dataset_id=dataset.id)
        ):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(0.5)  # the other one's
    end(killed, whole_run)


@pytest.mark.slow
def test_killed_during_an_import_an_older_job_is_not_taken_for_this_one(phoenix_project, make_dataset):
    """The one before ended green; the job that was killed left an empty journal, and is begun anew."""
    task = (
        "import os, pathlib, time\nif os.environ.get('SLOW_IMPORT'):\n    pathlib.Path('importing').touch()\n"
        "    time.sleep(60)\nasync def task(example):\n    return 1\n"
    )
    assert phoenix_project.experiment(make_dataset(2), task=task).run("run").returncode == 0
    process = phoenix_project.start("run", SLOW_IMPORT="1")
    deadline = time.monotonic() + 60
    while not (phoenix_project.directory / "importing").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.communicate()
    tally(kills=1, resumes=1)
    done = phoenix_project.run("resume")
    assert done.returncode == 2, "green for a job that never ran"
    assert "is empty" in done.stderr
    assert "evalwire run" in done.stderr
    assert "Traceback" not in done.stderr
    done = phoenix_project.run("run")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert len([line for line in _journal_lines(phoenix_project) if line["type"] == "run"]) == 2 + 2


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("number", range(60))
def test_killed_at_random_moments(killed, whole_run, number):
    """One to four kills, at any moment of the start, the run, the resumption and the end."""
    chosen = random.Random(SEED * 1000 + number)
    command = "run"
    for _ in range(chosen.randint(1, 4)):
        if chosen.random() < 0.5:
            until = time.monotonic() + chosen.uniform(0.3, 4)
            killed.kill_when(lambda until=until: time.monotonic() > until, command)
        else:
            killed.kill_when(killed.after(chosen.randint(1, _LINES)), command)
        command = "resume" if killed.size() else "run"
    if killed.size():
        end(killed, whole_run)
        return
    done = killed.project.run("run")
    assert done.returncode == whole_run["exit_code"]
    killed.assert_server_has_all_once()


# --- what a resumption finds ---------------------------------------------------------------------------

COUNTED = """
    import os, pathlib
    from ._note import note

    async def task(example):
        note("task", example.input["q"])
        if example.input["q"] in pathlib.Path(os.environ["FAILING"], "failing").read_text().split():
            raise ValueError("it fails")
        return example.input["q"]
"""
JUDGE = """
    import os, pathlib
    from ._note import note

    def judge(input, output):
        note("judge", input["q"])
        if input["q"] in pathlib.Path(os.environ["FAILING"], "unjudged").read_text().split():
            raise KeyError("no word")
        return 1.0
"""
OTHER = "from ._note import note\n\n\ndef other(input, output):\n    note('other', input['q'])\n    return 'fine'\n"


@pytest.fixture
def counted(phoenix_project: Project, make_dataset: Callable[..., str]) -> Project:
    """One experiment with an example for each of a, b, c, d; what fails is named in files that are not the project's."""
    name = make_dataset([{"input": {"q": q}, "output": {}} for q in "abcd"])
    phoenix_project.experiment(name, task=COUNTED, judge=JUDGE, other=OTHER, _note=NOTE)
    phoenix_project.name = name
    folder = phoenix_project.directory.with_name(f"{phoenix_project.directory.name}-failing")
    folder.mkdir()
    phoenix_project.environ["FAILING"] = str(folder)
    fail(phoenix_project)
    return phoenix_project


def fail(project: Project, *, failing: str = "", unjudged: str = "") -> None:
    Path(project.environ["FAILING"], "failing").write_text(failing)
    Path(project.environ["FAILING"], "unjudged").write_text(unjudged)


def called(project: Project) -> Counter[str]:
    """What was called since the last time."""
    path = project.directory / "calls"
    found = Counter(path.read_text().splitlines() if path.exists() else [])
    path.unlink(missing_ok=True)
    return found


def report_of(project: Project) -> dict[str, Any]:
    return json.loads((project.directory / "test-results/results.json").read_text())


def _journal_lines(project: Project) -> list[dict[str, Any]]:
    paths = sorted((project.directory / "test-results").glob("journal_*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_bytes().splitlines()]


def journal_of(project: Project) -> Path:
    (path,) = (project.directory / "test-results").glob("journal_*.jsonl")
    return path


@contextlib.contextmanager
def watched(project: Project) -> Iterator[FaultyPhoenix]:
    """The project's Phoenix behind a proxy that counts."""
    upstream = project.environ["PHOENIX_ENDPOINT"]
    with FaultyPhoenix(upstream).serving() as proxy:
        project.environ["PHOENIX_ENDPOINT"] = proxy.url
        try:
            yield proxy
        finally:
            project.environ["PHOENIX_ENDPOINT"] = upstream


ALL = Counter(f"{what} {q}" for what in ("task", "judge", "other") for q in "abcd")


def test_a_job_that_was_green_is_green_again_without_a_call(counted, client):
    """The same report and exit code; nothing is called, nothing is sent, unless Phoenix has it no more."""
    assert counted.run("run").returncode == 0
    assert called(counted) == ALL
    before = normalised(report_of(counted), counted.directory)
    with watched(counted) as proxy:
        done = counted.run("resume")
        assert done.returncode == 0, (done.stdout, done.stderr)
        assert done.stdout.startswith("PASSED: 1 experiment, 4 examples, none failed")
        assert {method for method, _ in proxy.requests} == {"GET", "PATCH"}, "how it ended is told once more"
    assert called(counted) == Counter()
    after = normalised(report_of(counted), counted.directory)
    for report in (before, after):
        report["experiments"][0].pop("url")  # the proxy's address
    assert after == before
    (entry,) = report_of(counted)["experiments"]
    client.experiments.delete(experiment_id=entry["experiment_id"])
    done = counted.run("resume")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "created again" in done.stderr
    assert called(counted) == Counter()
    (anew,) = client.experiments.list(dataset_id=entry["dataset"]["id"])
    assert anew["successful_run_count"] == 4  # SQLite may give the id again
    assert all(len(names) == 2 for names in annotations_of(client, anew["id"]).values())


def test_a_journal_without_experiments_runs_none(counted):
    """Not all that there are; and a resumption of a job that is through keeps its durations."""
    assert counted.run("run").returncode == 0
    assert called(counted) == ALL
    report = report_of(counted)
    (entry,) = report["experiments"]
    longest = max(run["seconds"] for run in entry["runs"])
    assert counted.run("resume").returncode == 0
    resumed = report_of(counted)
    assert resumed["seconds"] > longest
    assert resumed["experiments"][0]["seconds"] > longest
    (journal,) = counted.directory.glob("test-results/journal_*.jsonl")
    job = json.loads(journal.read_text().splitlines()[0]) | {"experiments": []}
    journal.write_text(json.dumps(job) + "\n")
    done = counted.run("resume")
    assert (done.returncode, called(counted)) == (1, Counter())
    assert "the earlier job has no experiment, so there is nothing to run." in done.stderr
    done = counted.run("run")  # it did not finish
    name = f"test-results/{journal.name}"
    said = f"an earlier job did not finish. To resume it, run `evalwire resume {name}`. evalwire now starts a new job"
    assert done.stderr.splitlines()[0] == said
    assert "an earlier job" not in counted.run("run").stderr


def test_what_failed_is_red_again_and_runs_again_when_that_is_asked_for(counted, client):
    """And what fails again is red again."""
    fail(counted, failing="b c")
    assert counted.run("run").returncode == 1
    called(counted)
    fail(counted, failing="c")
    done = counted.run("resume")
    assert done.returncode == 1
    assert "ValueError: it fails" in done.stdout
    assert called(counted) == Counter()
    done = counted.run("resume", "--retry-failed")
    assert done.returncode == 1
    assert called(counted) == Counter(["task b", "judge b", "other b", "task c"])
    (experiment,) = report_of(counted)["experiments"]
    assert experiment["failed"] == 1
    fail(counted)
    done = counted.run("resume", "--retry-failed")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert called(counted) == Counter(["task c", "judge c", "other c"])
    runs = runs_of(client, experiment["experiment_id"])
    assert sorted((run["output"], run["error"]) for run in runs) == [(q, None) for q in "abcd"]
    assert all(len(names) == 2 for names in annotations_of(client, experiment["experiment_id"]).values())


def test_an_evaluator_that_failed_or_is_new_is_called_without_the_task(counted, client):
    fail(counted, unjudged="a d")
    (counted.experiments / counted.name / "other.py").unlink()
    assert counted.run("run").returncode == 1
    called(counted)
    fail(counted)
    counted.write({f"experiments/{counted.name}/other.py": OTHER})
    assert counted.run("resume", "--accept-changes").returncode == 1
    assert called(counted) == Counter(f"other {q}" for q in "abcd")
    done = counted.run("resume", "--retry-failed")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert called(counted) == Counter(["judge a", "judge d"])
    (experiment,) = report_of(counted)["experiments"]
    assert {score["name"]: (score["mean"], score["count"]) for score in experiment["scores"]} == {
        "judge": (1.0, 4),
        "other": (None, 4),
    }
    names = annotations_of(client, experiment["experiment_id"])
    assert all(sorted(said) == ["judge", "other"] for said in names.values())


@pytest.mark.slow
def test_the_version_of_the_dataset_that_began_is_the_one_that_ends(counted, client, make_dataset):
    """Examples were changed and added meanwhile; the job goes on with those it began with."""
    fail(counted, failing="c")
    counted.run("run")
    called(counted)
    (before,) = report_of(counted)["experiments"]
    make_dataset([{"input": {"q": q}, "output": {}} for q in "aXcdef"], name=counted.name)
    fail(counted)
    done = counted.run("resume", "--retry-failed")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert called(counted) == Counter(["task c", "judge c", "other c"])
    (after,) = report_of(counted)["experiments"]
    assert after["dataset"] == before["dataset"]
    assert after["examples"] == 4


@pytest.mark.slow
def test_an_experiment_that_never_began_is_run(counted, make_dataset):
    """Stopped by the first failure: the second experiment has no line in the journal. `--name` selects among both."""
    second = make_dataset(2)
    fail(counted, failing="a")
    counted.experiment(f"z_{second}")
    counted.experiment("later")  # the job did not have it
    counted.write({"evalwire.toml": f'[experiments.z_{second}]\ndataset = "{second}"\n'})
    names = ("--name", counted.name, "--name", f"z_{second}")
    assert counted.run("run", *names, "--fail-fast", "--task-concurrency", "1").returncode == 1
    assert called(counted) == Counter(["task a"])
    fail(counted)
    done = counted.run("resume", "--name", "later")
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "no experiment 'later'" in done.stderr
    done = counted.run("resume", "--name", f"z_{second}")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert done.stdout.startswith("PASSED: 1 experiment, 2 examples, none failed")
    assert called(counted) == Counter()
    done = counted.run("resume", "--retry-failed")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert called(counted) == ALL
    assert done.stdout.startswith("PASSED: 2 experiments, 6 examples, none failed")


def test_what_the_grace_period_cut_off_is_run(counted):
    """A signal ends a slow task; that is no failure of the task, and the resumption calls it again."""
    slow = COUNTED.replace(
        "        return example", "        import asyncio\n        await asyncio.sleep(SECONDS)\n        return example"
    )
    path = counted.experiments / counted.name / "task.py"
    counted.write(
        {str(path.relative_to(counted.directory)): slow.replace("SECONDS", "0 if example.input['q'] == 'a' else 60")}
    )
    process = counted.start("run", EVALWIRE_GRACE_SECONDS="0.5")
    deadline = time.monotonic() + 60
    while sum(line["type"] == "evaluations" for line in _journal_lines_or_none(counted)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert {what for what in called(counted) if what.startswith("task")} == {f"task {q}" for q in "abcd"}
    counted.write({str(path.relative_to(counted.directory)): slow.replace("SECONDS", "0")})
    done = counted.run("resume", "--accept-changes")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert called(counted) == ALL - Counter(["task a", "judge a", "other a"])


def _journal_lines_or_none(project: Project) -> list[dict[str, Any]]:
    with contextlib.suppress(ValueError, OSError):
        return _journal_lines(project)
    return []


def test_what_phoenix_did_not_take_is_sent(counted):
    """Phoenix goes away after the experiment was created; every output is in the journal and none is paid for again."""
    refuse = lambda method, path: Fault(status=503) if method == "POST" and path.endswith("/runs") else None  # noqa: E731
    upstream = counted.environ["PHOENIX_ENDPOINT"]
    with FaultyPhoenix(upstream, refuse).serving() as proxy:
        done = counted.run("run", PHOENIX_ENDPOINT=proxy.url, EVALWIRE_RECORD_TIMEOUT_SECONDS="1")
    assert done.returncode == 1
    assert report_of(counted)["outcome"] == "infrastructure"
    paid = called(counted)
    done = counted.run("resume")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert paid + called(counted) == ALL


# --- `resume --experiment ID` --------------------------------------------------------------------------


@pytest.fixture
def half_done(counted: Project, client: Any) -> str:
    """An experiment of somebody's: a is recorded, b failed, c and d never ran; nothing was judged."""
    dataset = client.datasets.get_dataset(dataset=counted.name, timeout=60)
    experiment = client.experiments.create(
        dataset_id=dataset.id, dataset_version_id=dataset.version_id, experiment_name="somebody's"
    )
    by_question = {example["input"]["q"]: example["node_id"] for example in dataset.examples}
    now = datetime.now(UTC)
    for q, error in (("a", None), ("b", "ValueError: it failed then")):
        client.experiments.log_run(
            experiment_id=experiment["id"],
            dataset_example_id=by_question[q],
            output=None if error else "recorded then",
            error=error,
            start_time=now,
            end_time=now,
        )
    return experiment["id"]


def test_an_experiment_is_completed_from_what_phoenix_has(counted, client, half_done):
    """The missing are run, the failed stay, and what was recorded is judged without being run."""
    done = counted.run("resume", "--experiment", half_done)
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert "ValueError: it failed then" in done.stdout
    assert called(counted) == Counter(
        ["task c", "task d", *(f"{evaluator} {q}" for evaluator in ("judge", "other") for q in "acd")]
    )
    (entry,) = report_of(counted)["experiments"]
    assert entry["experiment_id"] == half_done
    outputs = {run["output"]: run["error"] for run in runs_of(client, half_done)}
    assert outputs.keys() >= {"recorded then", "c", "d"}
    done = counted.run("resume", "--experiment", half_done, "--retry-failed")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert called(counted) == Counter(["task b", "judge b", "other b"])
    assert len(runs_of(client, half_done)) == 4
    assert all(sorted(said) == ["judge", "other"] for said in annotations_of(client, half_done).values())


@pytest.mark.slow
def test_it_can_be_killed_and_goes_on_by_its_journal(counted, client, half_done):
    """Completing an experiment makes a journal of its own."""
    process = counted.start("resume", "--experiment", half_done, "--retry-failed", "--task-concurrency", "1")
    deadline = time.monotonic() + 60
    while sum(line["type"] == "run" for line in _journal_lines_or_none(counted)) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.kill()
    process.communicate()
    tally(kills=1, resumes=1)
    held = [line for line in _journal_lines(counted) if line["type"] == "run"]
    called(counted)
    done = counted.run("resume", "--retry-failed")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert sum(n for what, n in called(counted).items() if what.startswith("task")) == 3 - len(held)
    assert len(runs_of(client, half_done)) == 4


@pytest.mark.slow
def test_an_evaluator_with_several_results_is_known_by_them(counted, client):
    """Phoenix keeps the results' names, not the file's; it is not called again, and its results do not clash."""
    graded = "from ._note import note\n\n\ndef other(input):\n    note('other', input['q'])\n    return [{'name': 'x', 'score': 1}, {'name': 'y', 'score': 2}]\n"
    counted.write({f"experiments/{counted.name}/other.py": graded})
    assert counted.run("run").returncode == 0
    called(counted)
    (entry,) = report_of(counted)["experiments"]
    done = counted.run("resume", "--experiment", entry["experiment_id"])
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert not any(what.startswith("task") for what in called(counted))
    (again,) = report_of(counted)["experiments"]
    assert [score["name"] for score in again["scores"]] == ["judge", "x", "y"]


# --- wrong use -----------------------------------------------------------------------------------------


def test_without_a_journal_it_says_what_to_do(counted):
    """A run that never began leaves none."""
    before = (counted.directory / "experiments").rename(counted.directory / "elsewhere")
    assert counted.run("run").returncode == 1
    before.rename(counted.directory / "experiments")
    done = counted.run("run", "--name", "nowhere")
    assert done.returncode != 0
    assert not list((counted.directory / "test-results").glob("journal*"))
    (counted.directory / "test-results/results.json").unlink(missing_ok=True)
    done = counted.run("resume")
    assert done.returncode == 2
    assert "cannot find a journal in test-results/" in done.stderr
    assert "--experiment ID" in done.stderr
    assert "evalwire run" in done.stderr
    assert not (counted.directory / "test-results/results.json").exists()


def test_a_journal_that_is_not_there_or_is_none_is_wrong_use(counted):
    """A file that is none stays as it is."""
    text = '{"some": "thing"}\nand no newline at the end'
    counted.write({"other.jsonl": text})
    for name, said in (("missing.jsonl", "cannot be opened"), ("other.jsonl", "is not an evalwire journal")):
        done = counted.run("resume", name)
        assert done.returncode == 2, (name, done.stderr)
        assert f"{name} {said}" in done.stderr
        assert "Traceback" not in done.stderr
    assert (counted.directory / "other.jsonl").read_text() == text


def test_a_journal_and_an_experiment_is_wrong_use(counted):
    done = counted.run("resume", "journal.jsonl", "--experiment", "RXhwZXJpbWVudDox")
    assert done.returncode == 2
    assert "cannot be combined with the argument JOURNAL" in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize("id_", ["RXhwZXJpbWVudDo5OTk5OTk5", pytest.param("nonsense", marks=pytest.mark.slow)])
def test_an_experiment_that_phoenix_has_not_is_told(counted, id_):
    done = counted.run("resume", "--experiment", id_)
    assert done.returncode == 1, done.stderr
    assert f"no experiment with the ID '{id_}'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_folder_that_is_gone_is_told_by_name(counted):
    """The journal's experiment has none, and the one in Phoenix ran on a dataset of none."""
    counted.run("run")
    called(counted)
    (entry,) = report_of(counted)["experiments"]
    (counted.experiments / counted.name).rename(counted.experiments / "renamed")
    done = counted.run("resume")
    assert done.returncode in (1, 2), done.stdout
    assert counted.name in done.stderr
    assert "Traceback" not in done.stderr
    done = counted.run("resume", "--experiment", entry["experiment_id"])
    assert done.returncode == 2, done.stderr
    assert counted.name in done.stderr
    assert called(counted) == Counter()


def test_a_job_that_still_runs_is_left_alone(counted):
    """`resume` beside it is wrong use, calls nothing, and does not disturb it."""
    task = counted.experiments / counted.name / "task.py"
    task.write_text(
        task.read_text().replace(
            "    return example",
            "    import asyncio\n    while not os.path.exists('go'):\n        await asyncio.sleep(0.02)\n    return example",
        )
    )
    process = counted.start("run")
    deadline = time.monotonic() + 60
    while not (counted.directory / "calls").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    done = counted.run("resume")
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "still writing" in done.stderr
    counted.write({"go": ""})
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, (out, err)
    assert called(counted) == ALL
    assert report_of(counted)["outcome"] == "passed"


@pytest.mark.slow
def test_another_phoenix_is_told(counted):
    """Ids mean nothing there. Its dataset of this id is another one, so nothing is run on it."""
    counted.run("run")
    called(counted)
    path = journal_of(counted)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    # an experiment of another name has the id there
    named = [{**e, "recorded_name": "eval_another"} if e["type"] == "create" else e for e in lines]
    # killed before the experiment was created, so there is no id to hold against it
    (create,) = (e for e in lines if e["type"] == "create")
    create = {**create, "dataset": {**create["dataset"], "name": "another_dataset"}}
    create["metadata"] = {**create["metadata"], "evalwire_key": uuid.uuid4().hex}
    for case in (named, [lines[0], create]):
        path.write_text("".join(json.dumps(line) + "\n" for line in case))
        done = counted.run("resume")
        assert done.returncode in (1, 2), (done.stdout, done.stderr)
        assert called(counted) == Counter()
        assert "PHOENIX_ENDPOINT" in done.stdout + done.stderr


# --- a journal that lacks something, and a Phoenix that does -------------------------------------------


@pytest.mark.slow
def test_a_clash_of_names_is_red_after_a_resumption_too(counted):
    """Two evaluators give a result of one name, which Phoenix would keep once; it must not turn green."""
    for name in ("judge", "other"):
        text = (
            f"def {name}(output):\n    return [{{'name': 'same', 'score': 1}}, {{'name': '{name}_own', 'score': 1}}]\n"
        )
        counted.write({f"experiments/{counted.name}/{name}.py": text})
    done = counted.run("run")
    assert done.returncode == 1
    before = normalised(report_of(counted), counted.directory)
    done = counted.run("resume")
    assert done.returncode == 1, done.stdout
    assert normalised(report_of(counted), counted.directory) == before


@pytest.mark.slow
def test_what_a_fast_evaluator_said_is_kept_while_a_slow_one_thinks(counted):
    """Killed in between: its word was paid for, and is not asked for again."""
    slow = "import asyncio\nfrom ._note import note\n\n\nasync def judge(input):\n    note('judge', input['q'])\n    await asyncio.sleep({})\n    return 1\n"
    path = f"experiments/{counted.name}/judge.py"
    counted.write({path: slow.format(30)})
    process = counted.start("run")
    deadline = time.monotonic() + 60
    while sum(n for what, n in _calls(counted).items() if what.startswith("other")) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.5)
    process.kill()
    process.communicate()
    tally(kills=1, resumes=1)
    counted.write({path: slow.format(0)})
    assert counted.run("resume").returncode == 0
    found = called(counted)
    assert {what: n for what, n in found.items() if what.startswith("other")} == {f"other {q}": 1 for q in "abcd"}
    assert {what: n for what, n in found.items() if what.startswith("task")} == {f"task {q}": 1 for q in "abcd"}


def _calls(project: Project) -> Counter[str]:
    path = project.directory / "calls"
    return Counter(path.read_text().splitlines() if path.exists() else [])


@pytest.mark.slow
def test_a_process_that_user_code_forked_does_not_lock_the_journal(counted):
    """It outlives the job that was killed, and has its open files."""
    task = (
        "import multiprocessing, time\nfrom ._note import note\n"
        "multiprocessing.get_context('fork')\n\ndef task(input):\n"
        "    if input['q'] == 'a':\n"
        "        process = multiprocessing.get_context('fork').Process(target=time.sleep, args=(20,), daemon=False)\n"
        "        process.start()\n        note('child', str(process.pid))\n        time.sleep(SECONDS)\n"
        "    note('task', input['q'])\n    return input['q']\n"
    )
    path = f"experiments/{counted.name}/task.py"
    counted.write({path: task.replace("SECONDS", "60")})
    process = counted.start("run")
    deadline = time.monotonic() + 60
    while not any(what.startswith("child") for what in _calls(counted)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    tally(kills=1, resumes=1)
    child = next(int(what.split()[1]) for what in _calls(counted) if what.startswith("child"))
    try:
        counted.write({path: "def task(input):\n    return input['q']\n"})
        done = counted.run("resume")
        assert done.returncode == 0, (done.stdout, done.stderr)
    finally:
        os.kill(child, signal.SIGKILL)
        process.stdout.close()
        process.stderr.close()


def _refuse_run(number: int) -> Callable[[str, str], Fault | None]:
    """A rule: the run that is sent as the n-th is refused for good."""
    seen: list[str] = []

    def rule(method: str, path: str) -> Fault | None:
        if method == "POST" and path.endswith("/runs"):
            seen.append(path)
            if len(seen) == number:
                return Fault(status=422)
        return None

    return rule


@pytest.mark.slow
def test_a_run_that_only_phoenix_has_is_not_called_again(counted):
    """The line of a was damaged, and d has not been sent: as many are there as here, and they are others."""
    with FaultyPhoenix(counted.environ["PHOENIX_ENDPOINT"], _refuse_run(4)).serving() as proxy:
        done = counted.run("run", "--task-concurrency", "1", PHOENIX_ENDPOINT=proxy.url)
    assert done.returncode == 1, done.stdout
    called(counted)
    (entry,) = report_of(counted)["experiments"]
    (missing,) = [run["input"]["q"] for run in entry["runs"] if run["id"] is None]
    lost, node = next(
        (run["input"]["q"], run["example_node_id"]) for run in entry["runs"] if run["input"]["q"] != missing
    )
    path = journal_of(counted)
    lines = path.read_text().splitlines()
    path.write_text("".join((line[:40] if node in line and '"type": "run"' in line else line) + "\n" for line in lines))
    done = counted.run("resume")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert "ignored 1 damaged lines" in done.stderr
    assert called(counted) == Counter(), f"{lost} is in Phoenix, {missing} in the journal"


def test_what_phoenix_has_lost_is_sent_again(counted, client):
    """It answered that it had a run, and has not: red at first, and the resumption delivers it."""
    upstream = counted.environ["PHOENIX_ENDPOINT"]
    with FaultyPhoenix(upstream, first(1, Fault(lie=True), method="POST", part="/runs")).serving() as proxy:
        done = counted.run("run", PHOENIX_ENDPOINT=proxy.url)
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert called(counted) == ALL
    (entry,) = report_of(counted)["experiments"]
    assert len(runs_of(client, entry["experiment_id"])) == 3
    done = counted.run("resume")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert called(counted) == Counter()
    assert sorted(run["output"] for run in runs_of(client, entry["experiment_id"])) == list("abcd")
    assert all(len(names) == 2 for names in annotations_of(client, entry["experiment_id"]).values())


@pytest.mark.slow
def test_the_twin_of_an_experiment_is_removed_by_a_later_resumption_too(counted, client):
    """Created twice, since an answer was lost; and killed before the empty one could be removed."""
    fail(counted, failing="b")
    counted.run("run")
    (entry,) = report_of(counted)["experiments"]
    create = next(line for line in _journal_lines(counted) if line["type"] == "create")
    client.experiments.create(
        dataset_id=entry["dataset"]["id"],
        dataset_version_id=entry["dataset"]["version_id"],
        experiment_name=create["recorded_name"],
        experiment_metadata=create["metadata"],
    )
    assert len(client.experiments.list(dataset_id=entry["dataset"]["id"])) == 2
    counted.run("resume")
    assert [one["id"] for one in client.experiments.list(dataset_id=entry["dataset"]["id"])] == [entry["experiment_id"]]


# --- folders that cannot be written --------------------------------------------------------------------


def test_without_a_folder_for_it_the_run_says_so_and_goes_on(counted):
    """The default folder: a file is in its place."""
    counted.write({"test-results": "a file"})
    done = counted.run("run")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert "No report and no journal will be written" in done.stderr.splitlines()[0]


@pytest.mark.parametrize("command", ["run", "resume"])
def test_a_folder_that_was_named_must_be_writable(counted, command):
    counted.write({"reports": "a file"})
    done = counted.run(command, "--report-dir", "reports")
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert called(counted) == Counter()


@pytest.fixture
def locked_file() -> Iterator[Callable[[Path], None]]:
    """Make a file one that cannot be written, also by root."""
    locked: list[Path] = []

    def lock(path: Path) -> None:
        path.chmod(0o444)
        if os.geteuid() == 0:
            if subprocess.run(["chattr", "+i", str(path)], capture_output=True).returncode:
                pytest.skip("root may write every file here")
            locked.append(path)

    yield lock
    for path in locked:
        subprocess.run(["chattr", "-i", str(path)])


@pytest.mark.slow
def test_a_journal_that_cannot_be_written_is_told(counted, locked_file):
    """It may be read and not be gone on with: wrong use, said by name, or a run that says that it goes without."""
    counted.run("run")
    copy = counted.directory / "copy.jsonl"
    shutil.copy(journal_of(counted), copy)
    locked_file(copy)
    called(counted)
    done = counted.run("resume", "copy.jsonl")
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (0, 2), (done.stdout, done.stderr)
    assert "copy.jsonl" in done.stderr
    assert called(counted) == Counter()


# --- Phoenix goes away and comes back ------------------------------------------------------------------


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_phoenix_is_restarted_in_mid_run(tmp_path, number):
    """The run waits for it and ends green: nothing is missing, nothing is there twice, no task is called twice."""
    count, port = 60, _free_port()
    server = local.process.start(_made(tmp_path / "phoenix"), os.environ, port)
    try:
        local.readiness.wait_until_ready(server, lambda _: None)
        client = connect(base_url=server.url)
        examples = [{"input": {"q": f"q{n}"}, "output": {}} for n in range(count)]
        client.datasets.create_dataset(name="restarted", examples=examples, timeout=60)
        project = Project(_made(tmp_path / "project"), quiet_environment(PHOENIX_ENDPOINT=server.url))
        task = (
            "import asyncio\nfrom ._note import note\n\nasync def task(example):\n"
            "    note('task', example.input['q'])\n    await asyncio.sleep(0.1)\n    return example.input['q']\n"
        )
        project.experiment("restarted", task=task, judge="def judge(output):\n    return 1\n", _note=NOTE)
        process = project.start("run", "--task-concurrency", "2")
        deadline = time.monotonic() + 60
        while sum(line["type"] == "run" for line in _journal_lines_or_none(project)) < count // 3:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        server.process.send_signal(number)
        server.process.wait(30)
        went = time.monotonic()
        server = local.process.start(tmp_path / "phoenix", os.environ, port)
        local.readiness.wait_until_ready(server, lambda _: None)
        away = time.monotonic() - went
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, (out, err)
        assert out.startswith(f"PASSED: 1 experiment, {count} examples, none failed")
        assert "attempt 2" in err, "it was away"
        assert called(project) == Counter(f"task q{n}" for n in range(count))
        (entry,) = report_of(project)["experiments"]
        runs = runs_of(client, entry["experiment_id"])
        assert Counter(run["output"] for run in runs) == Counter(f"q{n}" for n in range(count))
        assert Counter(map(len, annotations_of(client, entry["experiment_id"]).values())) == {1: count}
        (only,) = client.experiments.list(dataset_id=entry["dataset"]["id"])
        assert only["successful_run_count"] == count
        tally(phoenix_restarts=1, losses=count - len(runs))
        measured(
            phoenix_restart=f"away for {away:.0f} s in mid-run: {len(runs)} of {count} recorded, no task called twice"
        )
    finally:
        local.process.stop(server)


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory
