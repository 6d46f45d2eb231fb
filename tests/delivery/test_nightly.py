"""The nightly workflow runs what no other workflow runs."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from mutation import MUTATED

ROOT = Path(__file__).parents[2]
JOBS = yaml.safe_load((ROOT / ".github/workflows/nightly.yml").read_text())["jobs"]


def commands_of(name: str) -> list[str]:
    return [step["run"] for step in JOBS[name]["steps"] if "run" in step]


def test_each_mutated_module_is_mutated_each_night():
    assert sorted(JOBS["mutation"]["strategy"]["matrix"]["modules"]) == sorted(MUTATED)
    assert commands_of("mutation") == ["make mutation"]


def test_slow_tests_run_each_night_and_none_is_skipped():
    assert commands_of("slow") == ["make slow"]
    (required,) = [step["env"] for step in JOBS["slow"]["steps"] if "run" in step]
    assert required == dict.fromkeys(re.findall(r"EVALWIRE_REQUIRE_\w+", (ROOT / ".ci/run").read_text()), "1")
