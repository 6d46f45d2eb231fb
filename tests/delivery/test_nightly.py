"""The nightly workflow runs what no other workflow runs."""

from __future__ import annotations

from pathlib import Path

import yaml
from mutation import MUTATED

JOBS = yaml.safe_load((Path(__file__).parents[2] / ".github/workflows/nightly.yml").read_text())["jobs"]


def commands_of(name: str) -> list[str]:
    return [step["run"] for step in JOBS[name]["steps"] if "run" in step]


def test_each_mutated_module_is_mutated_each_night():
    assert sorted(JOBS["mutation"]["strategy"]["matrix"]["modules"]) == sorted(MUTATED)
    assert commands_of("mutation") == ["make mutation"]


def test_slow_tests_run_each_night():
    assert commands_of("slow") == ["make slow"]
