"""evalwire's `ExperimentRunner` against a real Phoenix: runs, evaluations and spans."""

from __future__ import annotations

from _contender import arguments
from _evalwire import experiments, task_of
from _phoenix import EVALUATORS, recording

from evalwire.phoenix import connect
from evalwire.runner import ExperimentRunner

given = arguments()
client = connect(base_url=given["url"])


def run(dataset: str) -> None:
    """Run and record the experiment; raise an error unless everything was recorded."""
    with experiments(
        dataset, task=task_of(given["task_seconds"]), evaluators=given.get("evaluators", EVALUATORS)
    ) as folder:
        ExperimentRunner(folder, client, task_concurrency=given["concurrency"]).run()


recording("evalwire", client, run)
