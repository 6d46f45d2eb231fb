"""evalwire's `ExperimentRunner` as a dry run, with a dataset in memory instead of Phoenix.

The Phoenix client is imported, because a real run imports it, too.
"""

from __future__ import annotations

from typing import Any

from _contender import SLEEP_SECONDS, engine, waits
from _evalwire import experiments, task_of
from _in_memory import in_memory_client

from evalwire.phoenix import connect
from evalwire.runner import ExperimentRunner


def prepare(count: int) -> tuple[Any, int]:
    """Return a client with the dataset, and the number of examples."""
    examples = [{"id": f"e{n}", "input": {"n": n}, "output": {"n": n}, "metadata": {}} for n in range(count)]
    return in_memory_client(examples), count


def run(data: tuple[Any, int], concurrency: int) -> Any:
    """Run the experiment."""
    client, count = data
    (result,) = ExperimentRunner(folder, client, dry_run=count, task_concurrency=concurrency).run()
    return result


connect(base_url="http://127.0.0.1:9")
task = task_of(SLEEP_SECONDS if waits() else 0)
with experiments("bench", task=task, evaluators=["match" if waits() else "match_async"]) as folder:
    engine(
        "evalwire",
        prepare=prepare,
        run=run,
        scored=lambda result: sum(run.evaluations[0].score == 1.0 for run in result.runs),
    )
