"""A long run against a real Phoenix: everything that was claimed is there."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.needs_phoenix, pytest.mark.slow, pytest.mark.timeout(900)]


def test_two_thousand_examples_are_all_recorded(phoenix_project, client, make_dataset):
    name = make_dataset(2000)
    phoenix_project.experiment(name)
    process = phoenix_project.start("run", "--task-concurrency", "50")
    out, err = process.communicate(timeout=800)
    assert process.returncode == 0, (out, err)
    dataset = client.datasets.get_dataset(dataset=name, timeout=60)
    (entry,) = client.experiments.list(dataset_id=dataset.id)
    assert (entry["successful_run_count"], entry["failed_run_count"], entry["missing_run_count"]) == (2000, 0, 0)
    recorded = client.experiments.get_experiment(experiment_id=entry["id"])
    assert len({run["dataset_example_id"] for run in recorded["task_runs"]}) == 2000
    assert len({one.experiment_run_id for one in recorded["evaluation_runs"]}) == 2000
    assert all(run["trace_id"] for run in recorded["task_runs"])
