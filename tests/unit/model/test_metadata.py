"""What an experiment's metadata say of how it was run, for those who compare runs later."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from reporting import boolean, result, run

from evalwire.model import Dataset, Experiment, JobSpec, ModelUsage, end_metadata, own_metadata, start_metadata

EXPERIMENT = Experiment(name="search", dataset_name="search", path=Path("/work/experiments/search"), task=None)
DATASET = Dataset(id="D", name="search", version_id="V", examples=())
SPEC = JobSpec(calls={"timeout": 300.0, "retries": None, "retry_on": []})


def settings_of(experiment: Experiment, spec: JobSpec) -> str:
    return start_metadata(experiment, spec, DATASET, started=datetime(2026, 1, 1, tzinfo=UTC))["settings"]


@pytest.mark.parametrize(
    ("experiment", "spec"),
    [
        ({"dataset_name": "other"}, {}),
        ({"input_globs": ("prompts/*",)}, {}),
        ({}, {"repetitions": 2}),
        ({}, {"split": "smoke"}),
        ({}, {"calls": {**SPEC.calls, "timeout": 60.0}}),
        ({}, {"calls": {**SPEC.calls, "retries": 3}}),
        ({}, {"calls": {**SPEC.calls, "retry_on": ["openai.APIError"]}}),
    ],
)
def test_the_digest_of_settings_tells_those_that_can_change_a_run(experiment, spec):
    before = settings_of(EXPERIMENT, SPEC)
    assert settings_of(replace(EXPERIMENT, **experiment), replace(SPEC, **spec)) != before


def test_the_digest_of_settings_does_not_tell_gates_and_baselines():
    spec = replace(SPEC, gates=("s.min=0.5",), baseline="auto", metadata={"branch": "main"})
    assert settings_of(EXPERIMENT, spec) == settings_of(EXPERIMENT, SPEC)


def test_the_models_that_spans_name_are_recorded_for_the_task_and_each_evaluator():
    """A call whose span names none is not a model; an evaluator of code has none."""
    judge = tuple(ModelUsage(model=name) for name in ("o4", ""))
    runs = [
        run(1, evaluations=(boolean("judged", passed=True, usage=judge), boolean("exact", passed=True, usage=()))),
        run(2, usage=(ModelUsage(model="claude"),), evaluations=(boolean("exact", passed=True, usage=None),)),
    ]
    ended = own_metadata(end_metadata({}, result("search", runs, evaluators=("judged", "exact")), "passed"))
    assert ended["models"] == {"task": ["claude", "gpt-4o"], "evaluators": {"judged": ["o4"], "exact": []}}
