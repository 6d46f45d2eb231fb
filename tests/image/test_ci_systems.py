"""The examples for CI systems and Kubernetes: their own commands, in containers that are started as each system does it."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from ci_systems import (
    SYSTEMS,
    Azure,
    Bitbucket,
    Buildkite,
    CircleCI,
    Ended,
    GitLab,
    Jenkins,
    Kubernetes,
    Site,
    System,
    Tekton,
)

pytestmark = pytest.mark.image

PROJECTS = Path(__file__).parent / "projects"
REPORTS = ("evalwire.xml", "results.json", "summary.md", "report.html")
ENDED = "PASSED: 1 experiment, 3 examples"
RED = "LookupError: nobody of that name"


def each(*slow: type, without: type | None = None) -> pytest.MarkDecorator:
    """A test for every system; those that are named are slow."""
    return pytest.mark.parametrize(
        "system",
        [
            pytest.param(system, id=type(system).__name__, marks=[pytest.mark.slow] * isinstance(system, slow))
            for system in SYSTEMS
            if type(system) is not without
        ],
    )


@pytest.fixture(scope="module")
def address(docker, locked_phoenix) -> str:
    """A Phoenix that wants a key, for containers that name no network, as those of the examples."""
    found = docker("inspect", "-f", "{{json .NetworkSettings.Networks}}", locked_phoenix.container)
    networks = json.loads(found.stdout)
    return f"http://{networks['bridge']['IPAddress']}:6006"


@pytest.fixture
def site(docker, image, address, admin_secret, tmp_path):
    """Makes a checkout of one of `projects/`, on an agent of its own."""

    def make(project: str) -> Site:
        checkout = tmp_path / "app"
        shutil.copytree(PROJECTS / project, checkout / "experiments", ignore=shutil.ignore_patterns("__pycache__"))
        settings = {"PHOENIX_ENDPOINT": address, "PHOENIX_API_KEY": admin_secret}
        return Site(docker=docker, label=docker.label, image=image, checkout=checkout, settings=settings)

    yield make
    docker("image", "prune", "-f", "--filter", f"label={docker.label}")


def results(site: Site) -> dict:
    """What `results.json` says of the whole."""
    return json.loads((site.reports / "results.json").read_text())


def sharded(system: System, site: Site) -> tuple[list[Ended], Ended, Site]:
    """The shards, side by side, each with a checkout of its own; the gate after them; and where that ran."""

    def apart(name: str) -> Site:
        checkout = site.checkout.parent / name / "app"
        shutil.copytree(site.checkout, checkout)
        return replace(site, checkout=checkout)

    count = system.shards()
    assert count > 1
    places = [apart(f"shard-{index}") for index in range(count)]
    with ThreadPoolExecutor(count) as agents:
        ended = list(agents.map(lambda index: system.run("shard", places[index], index), range(count)))
    for number, place in enumerate(places, start=1):
        assert (place.reports / f"results-{number}-of-{count}.json").exists(), ended[number - 1].output
        assert not [path for path in system.published("shard", place) if "journal" in path]
    return ended, system.run("gate", last := apart("gate")), last


@each(Jenkins, CircleCI, Azure, Bitbucket, Buildkite, Tekton)  # a failing project passes through the same commands
def test_a_passing_project_is_green(system: System, site, admin_secret):
    """The example's one job exits 0, and what CI told of the job is in its report."""
    here = site("passing")
    ended = system.run("evaluate", here)
    assert ended.code == 0, ended.output
    assert ENDED in ended.output
    assert results(here)["ci"].items() >= system.facts.items()
    assert admin_secret not in ended.output


@each(without=Kubernetes)  # that example's experiments are in itself
def test_a_failing_project_is_red_and_published(system: System, site, admin_secret):
    """The exit code comes through all that the system has around it, and the reports are kept, without the journal.

    What CI told of the job is in its report.
    """
    here = site("failing")
    ended = system.run("evaluate", here)
    assert ended.code == 1, ended.output
    assert RED in ended.output
    found = results(here)
    assert found["ci"].items() >= system.facts.items()
    assert [run["failure"] is None for run in found["experiments"][0]["runs"]].count(True) == 2, "the others passed"
    assert admin_secret not in ended.output
    kept = system.published("evaluate", here)
    assert {f"test-results/{name}" for name in REPORTS} <= {*kept}
    assert not [path for path in kept if "journal" in path]


@each(GitLab, Jenkins, CircleCI, Azure, Bitbucket, Buildkite, Tekton)
def test_shards_and_their_gate_are_green_together(system: System, site):
    """The parallel jobs agree on one experiment by what the system tells them, and the gate finds all of it."""
    shards, gate, where = sharded(system, site("passing"))
    assert [one.code for one in shards] == [0] * system.shards(), "\n\n".join(one.output for one in shards)
    assert gate.code == 0, gate.output
    assert ENDED in gate.output
    kept = system.published("gate", where)
    assert {f"test-results/{name}" for name in REPORTS} <= {*kept}


@each(Kubernetes, Jenkins, CircleCI, Azure, Bitbucket, Buildkite, Tekton)
def test_a_red_shard_is_red_in_the_gate(system: System, site):
    """Only the shard with the failure is red; the gate runs all the same, and tells it of the whole."""
    shards, gate, where = sharded(system, site("failing"))
    assert sorted(one.code for one in shards) == [0] * (system.shards() - 1) + [1], "\n\n".join(
        one.output for one in shards
    )
    assert gate.code == 1, gate.output
    assert results(where)["outcome"] == "errors"


def test_a_gate_without_its_shards_is_red(site):
    """A pipeline whose shards never ran, or told another run's key, is not green."""
    ended = GitLab().run("gate", site("passing"))
    assert ended.code == 1, ended.output
