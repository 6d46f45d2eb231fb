"""evalwire's `ExperimentRunner` as a dry run, with the dataset in memory behind a stand-in for the Phoenix client.

The Phoenix client is imported all the same: a real run has it in its memory.
"""

from __future__ import annotations

from typing import Any

from _contender import SLEEP_SECONDS, engine
from _evalwire import experiments, task_of
from _in_memory import in_memory_client

from evalwire.phoenix import connect
from evalwire.runner import ExperimentRunner


def prepare(count: int) -> tuple[Any, int]:
    """Make the dataset, with the client that has it, and count its examples."""
    examples = [{"id": f"e{n}", "input": {"n": n}, "output": {"n": n}, "metadata": {}} for n in range(count)]
    return in_memory_client(examples), count


def run(data: tuple[Any, int], concurrency: int) -> Any:
    """Run the experiment."""
    client, count = data
    (result,) = ExperimentRunner(folder, client, dry_run=count, task_concurrency=concurrency).run()
    return result


connect(base_url="http://127.0.0.1:9")
with experiments("bench", task=task_of(SLEEP_SECONDS)) as folder:
    engine(
        "evalwire",
        prepare=prepare,
        run=run,
        scored=lambda result: sum(run.evaluations[0].score == 1.0 for run in result.runs),
    )
