"""Phoenix on SQLite and Phoenix on PostgreSQL: who creates the one experiment of all shards, and what is stored."""

from __future__ import annotations

import subprocess
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from conftest import Project, quiet_environment
from evalwire.datasets import sync_dataset
from evalwire.datasets.rows import Row
from evalwire.errors import PhoenixError
from evalwire.experiments.discovery import importable, load_experiments
from evalwire.jobs import opener
from evalwire.model import CREATION_KEY, JobSpec, Sharing, TaskRun, is_same_json, to_json
from evalwire.model.shard import Shard
from evalwire.phoenix import Phoenix, RetryPolicy
from evalwire.phoenix.connection import connect
from evalwire.recording import NoJournal

pytestmark = pytest.mark.needs_phoenix

RACES = 20  # of whole jobs; a few of their beginnings alone are enough for every change
BEGINNINGS = 2
SHARDS = 8
BRANCHES, PUSHES = 4, 3


@pytest.fixture
def racing(tmp_path, each_phoenix_url):
    """A project with one experiment on sixteen examples, and a client of its Phoenix."""
    name = f"race_{uuid.uuid4().hex[:10]}"
    client = connect(base_url=each_phoenix_url)
    examples = [{"input": {"q": f"q{n}"}, "output": {"a": n}} for n in range(2 * SHARDS)]
    client.datasets.create_dataset(name=name, examples=examples, timeout=60)
    project = Project(tmp_path, quiet_environment(PHOENIX_ENDPOINT=each_phoenix_url)).experiment(name)
    return project, name, client


def _experiments(client, name: str) -> list:
    return client.experiments.list(dataset_id=client.datasets.get_dataset(dataset=name).id)


def test_whoever_comes_first_creates_it_and_the_others_find_it(racing, each_phoenix_url):
    """Eight at once, several times: one experiment each time, which all have; the others' candidates are gone."""
    project, name, client = racing
    with importable(project.experiments):
        (experiment,) = load_experiments(project.experiments).experiments
    for race in range(1, BEGINNINGS + 1):
        barrier = threading.Barrier(SHARDS)

        def begin(number: int, key: str = uuid.uuid4().hex, barrier: threading.Barrier = barrier) -> tuple:
            sharing = Sharing(total=SHARDS, shard=Shard(number, SHARDS), run_key=key)
            experiment_opener = opener(
                Phoenix(connect(base_url=each_phoenix_url)), JobSpec(sharing=sharing), NoJournal(), past={}
            )
            barrier.wait()
            opened = experiment_opener.open(experiment)
            return opened.id, [example.node_id for example in opened.dataset.examples]

        with ThreadPoolExecutor(SHARDS) as pool:
            opened = list(pool.map(begin, range(1, SHARDS + 1)))
        assert len({id_ for id_, _ in opened}) == 1
        assert len({node_id for _, part in opened for node_id in part}) == 2 * SHARDS
        assert len(_experiments(client, name)) == race


def _race(project: Project, **environ: str) -> None:
    """Start eight shards at once, and wait until all have ended well."""

    def start(number: int) -> subprocess.Popen[str]:
        return project.start("run", "--shard", f"{number}/{SHARDS}", "--quiet", **environ)

    processes = [start(number) for number in range(1, SHARDS + 1)]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_eight_whole_jobs_that_begin_at_once_record_to_one_experiment(racing):
    """As processes, twenty times; every example has one run, and the gate is green."""
    project, name, client = racing
    for race in range(1, RACES + 1):
        key = {"EVALWIRE_RUN_KEY": uuid.uuid4().hex}
        _race(project, **key)
        found = _experiments(client, name)
        assert len(found) == race
        newest = max(found, key=lambda one: one["created_at"])
        assert newest["successful_run_count"] == 2 * SHARDS
        assert project.run("gate", "--shards", str(SHARDS), **key).returncode == 0


def test_branches_that_upload_at_once_get_the_version_of_their_own_rows(each_phoenix_url):
    """Each adds, changes and removes rows of the same dataset; PostgreSQL merges what two transactions write."""
    client, name = connect(base_url=each_phoenix_url), f"branches_{uuid.uuid4().hex[:10]}"
    barrier = threading.Barrier(BRANCHES)

    def rows(branch: int, push: int) -> list[Row]:
        texts = [f"{n} {branch if n % BRANCHES == branch else 'main'} {push}" for n in range(20) if n != branch]
        ids = [f"id {n}" if n < 10 else None for n in range(len(texts))]
        return [
            Row(number=0, tags=(name,), id=id_, input={"q": text}, output={}, metadata={}, splits=None)
            for id_, text in zip(ids, texts, strict=True)
        ]

    def begin(branch: int) -> list[tuple[str | None, list[str]]]:
        store, found = Phoenix(connect(base_url=each_phoenix_url)).uploads, []
        for push in range(PUSHES):
            own = rows(branch, push)
            barrier.wait()
            _, uploaded = sync_dataset(store, name, lambda own=own: iter(own), origin={"branch": f"{branch}"})
            found.append((uploaded.version_id, sorted(one.input["q"] for one in own)))
        return found

    with ThreadPoolExecutor(BRANCHES) as pool:
        uploaded = [one for found in pool.map(begin, range(BRANCHES)) for one in found]
    for version, questions in uploaded:
        there = client.datasets.get_dataset(dataset=name, version_id=version).examples
        assert sorted(one["input"]["q"] for one in there) == questions
    assert len({version for version, _ in uploaded}) == BRANCHES * PUSHES


# --- what is stored ---------------------------------------------------------------------------------------

ONCE = RetryPolicy(attempts=1)


def nested(levels: int) -> Any:
    return 1 if levels == 0 else [nested(levels - 1)]


AT_THE_EDGE = {
    "the largest integer": 2**64 - 1,
    "the least integer": -(2**63),
    "the least float": 5e-324,
    "a float that PostgreSQL gives back as another integer": 1.844674407370955e19,
    "other controls": "".join(map(chr, range(1, 32))),
    "noncharacters": "\ufffe\uffff\U0010ffff",
    "an empty key": {"": ""},
    "levels": nested(250),
    "levels of objects": {"a": nested(249)},
}
REFUSED = {"integer": 2**64, "negative integer": -(2**63) - 1, "levels": nested(255)}
REFUSED_BY_POSTGRESQL = {"text": "a\0", "key": {"a\0": 1}}


@pytest.fixture
def record(each_phoenix_url):
    """Records an output as it is, past `to_json`, and gives what Phoenix holds."""
    name = f"storable_{uuid.uuid4().hex[:10]}"
    client = connect(base_url=each_phoenix_url)
    client.datasets.create_dataset(name=name, examples=[{"input": {"q": 1}, "output": {}}], timeout=60)
    phoenix = Phoenix(client, record=ONCE)
    dataset = phoenix.datasets.fetch(name)
    created = phoenix.experiments.create(dataset, name=name, metadata={CREATION_KEY: name}, repetitions=1)

    def record(output: Any) -> Any:
        now = datetime.now(UTC)
        run = TaskRun(example=dataset.examples[0], output=output, failure=None, start_time=now, end_time=now)
        phoenix.runs.record(created["id"], run, error=None)
        (held,) = client.experiments.get_experiment(experiment_id=created["id"])["task_runs"]
        return held["output"]

    return record


@pytest.mark.parametrize("output", AT_THE_EDGE.values(), ids=AT_THE_EDGE)
def test_what_is_let_through_is_stored(record, output):
    held = record(to_json(output))
    assert is_same_json(held, output), held


@pytest.mark.parametrize("output", REFUSED.values(), ids=REFUSED)
def test_what_phoenix_refuses_is_refused_before(record, output):
    """Were one of them stored one day, the limit of `to_json` could go."""
    with pytest.raises(ValueError, match="which Phoenix does not store"):
        to_json(output)
    with pytest.raises(PhoenixError, match="HTTP 500"):
        record(output)


@pytest.mark.parametrize("each_phoenix_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("output", REFUSED_BY_POSTGRESQL.values(), ids=REFUSED_BY_POSTGRESQL)
def test_what_postgresql_refuses_is_refused_before(record, output):
    with pytest.raises(ValueError, match="NUL character"):
        to_json(output)
    with pytest.raises(PhoenixError, match="HTTP 500"):
        record(output)
