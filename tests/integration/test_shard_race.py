"""Who creates the one experiment when all shards begin at once: Phoenix on SQLite, and on PostgreSQL."""

from __future__ import annotations

import subprocess
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import Project, quiet_environment
from evalwire.experiments.discovery import importable, load_experiments
from evalwire.jobs import opener
from evalwire.model import JobSpec, Sharing
from evalwire.model.shard import Shard
from evalwire.phoenix import Phoenix
from evalwire.phoenix.connection import connect
from evalwire.recording import NoJournal

pytestmark = pytest.mark.needs_phoenix

RACES = 20  # of whole jobs; a few of their beginnings alone are enough for every change
BEGINNINGS = 4
SHARDS = 8


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
