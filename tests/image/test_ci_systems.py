"""The examples for CI systems and Kubernetes: their own commands, in containers that are started as each system does it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from ci_systems import SYSTEMS, Kubernetes, Site, System, Tekton

pytestmark = pytest.mark.image

PROJECTS = Path(__file__).parent / "projects"
KEY = "a-key-that-this-phoenix-does-not-ask-for"
KEPT_NOWHERE = (Kubernetes, Tekton)  # these have no store of artifacts

every_system = pytest.mark.parametrize("system", SYSTEMS, ids=[type(system).__name__ for system in SYSTEMS])


@pytest.fixture(scope="module")
def address(docker, phoenix) -> str:
    """Phoenix for containers that name no network, as those of the examples."""
    docker("network", "connect", "bridge", phoenix.container)
    networks = json.loads(docker("inspect", "-f", "{{json .NetworkSettings.Networks}}", phoenix.container).stdout)
    return f"http://{networks['bridge']['IPAddress']}:6006"


@pytest.fixture
def site(docker, image, address, tmp_path):
    """Makes a checkout of one of `projects/`, on an agent of its own."""

    def make(project: str) -> Site:
        checkout = tmp_path / "app"
        shutil.copytree(PROJECTS / project, checkout / "experiments", ignore=shutil.ignore_patterns("__pycache__"))
        settings = {"PHOENIX_ENDPOINT": address, "PHOENIX_API_KEY": KEY}
        return Site(docker=docker, label=docker.label, image=image, checkout=checkout, settings=settings)

    yield make
    docker("image", "prune", "-f", "--filter", f"label={docker.label}")


def results(site: Site) -> dict:
    """What the last job that wrote a report for the whole says."""
    return json.loads((site.reports / "results.json").read_text())


@every_system
def test_a_passing_project_is_green(system: System, site):
    """The example's one job exits 0, and what CI told of the job is in its report."""
    here = site("passing")
    ended = system.run("evaluate", here)
    assert ended.code == 0, ended.output
    assert "PASSED: 1 experiment, 3 examples" in ended.output
    assert results(here)["ci"].items() >= system.facts.items()
    assert KEY not in ended.output


@every_system
def test_a_failing_project_is_red_and_published(system: System, site):
    """The exit code comes through all that the system has around it, and the reports are kept, without the journal."""
    if isinstance(system, Kubernetes):
        pytest.skip("its experiments are in the example itself")
    here = site("failing")
    ended = system.run("evaluate", here)
    assert ended.code == 1, ended.output
    assert "LookupError: nobody of that name" in ended.output
    assert ET.parse(here.reports / "evalwire.xml").getroot().get("errors") == "1"
    if not isinstance(system, KEPT_NOWHERE):
        kept = system.published("evaluate", here)
        assert {f"test-results/{name}" for name in ("evalwire.xml", "results.json", "summary.md", "report.html")} <= {
            *kept
        }
        assert not [path for path in kept if "journal" in path]
