"""evalwire's `ExperimentRunner` as a dry run, with the dataset in memory behind a stand-in for the Phoenix client.

The Phoenix client is imported all the same: a real run has it in its memory.
"""

from __future__ import annotations

from typing import Any

from _contender import SLEEP_SECONDS, engine
from _evalwire import StandIn, experiments, task_of

from evalwire.phoenix import gateway
from evalwire.runner import ExperimentRunner


def prepare(count: int) -> list[dict[str, Any]]:
    """Make the dataset."""
    return [{"id": f"e{n}", "input": {"n": n}, "output": {"n": n}, "metadata": {}} for n in range(count)]


def run(data: list[dict[str, Any]], concurrency: int) -> Any:
    """Run the experiment."""
    client: Any = StandIn(data)
    (result,) = ExperimentRunner(folder, client, dry_run=len(data), task_concurrency=concurrency).run()
    return result


gateway.connect(base_url="http://127.0.0.1:9")
with experiments("bench", task=task_of(SLEEP_SECONDS)) as folder:
    engine(
        "evalwire",
        prepare=prepare,
        run=run,
        scored=lambda result: sum(run.evaluations[0].score == 1.0 for run in result.runs),
    )
