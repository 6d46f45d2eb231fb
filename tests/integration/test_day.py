"""The film of a developer's day (`make day`): each command shows what its user needs, in a project of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import quiet_environment

SCRIPT = Path(__file__).parents[1] / "support/day.py"
STEPS = 11


@pytest.mark.needs_phoenix
@pytest.mark.timeout(600)
def test_a_day_from_init_to_a_merged_pull_request(phoenix_url):
    """The script checks each step; it has a local Phoenix of its own, and the team's is the one of the tests."""
    command = [sys.executable, str(SCRIPT), "--server", phoenix_url]
    done = subprocess.run(command, env=quiet_environment(), capture_output=True, text=True, timeout=590)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert all(f"\n{number}. " in done.stdout for number in range(1, STEPS + 1)), done.stdout
    assert "s beside them (goal: under 3 s)" in done.stdout
