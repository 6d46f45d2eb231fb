"""Long jobs make few requests beside those that they cannot do without; a stand-in for Phoenix counts them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CONTENDERS = Path(__file__).parents[2] / "benchmarks/contenders"
MOST = 1.2  # times the requests that a job cannot do without


@pytest.fixture(scope="module")
def counted():
    sizes = {"examples": 3_000, "missing": 60, "shards": 8}
    script = [sys.executable, CONTENDERS / "gate_requests.py", json.dumps(sizes)]
    done = subprocess.run(script, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_resumed_job_requests_little_but_its_missing_runs(counted):
    """2,940 runs are read in 15 pages, and 60 are recorded with an evaluation each."""
    assert counted["resumed_least"] == 15 + 120 + 5
    assert counted["resumed_least"] <= counted["resumed"] <= MOST * counted["resumed_least"]


def test_a_merge_of_shards_requests_little_but_their_runs(counted):
    """All shards share an experiment, so that eight cost no more than one."""
    assert counted["merged_least"] == 15 + 6
    assert counted["merged_least"] <= counted["merged"] <= MOST * counted["merged_least"]
