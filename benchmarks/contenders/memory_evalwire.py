"""Memory of evalwire in a dry run of many examples that return a kilobyte each."""

from __future__ import annotations

import gc
import sys
from typing import Any

from _contender import arguments, peak_bytes, report, resident_bytes
from _evalwire import experiments
from _in_memory import in_memory_client

from evalwire.phoenix import connect
from evalwire.runner import ExperimentRunner

TASK = "async def task(example):\n    return example.input['text'][::-1]\n"
ALWAYS = "def match(output):\n    return len(output) > 0\n"
KILOBYTE = 1024


def prepare(count: int) -> list[dict[str, Any]]:
    """Return a dataset with a kilobyte in each input."""
    return [
        {"id": f"e{n}", "input": {"text": f"{n:06d}".ljust(KILOBYTE, "x")}, "output": {"n": n}, "metadata": {}}
        for n in range(count)
    ]


def main() -> None:
    """Run, and print the growth of the process per example."""
    given = arguments()
    count = given["examples"]
    connect(base_url="http://127.0.0.1:9")

    with experiments("bench", task=TASK) as folder:
        (folder / "bench" / "match.py").write_text(ALWAYS, encoding="utf-8")

        def run(client: Any, examples: int) -> Any:
            runner = ExperimentRunner(folder, client, dry_run=examples, task_concurrency=given["concurrency"])
            (result,) = runner.run()
            return result

        run(in_memory_client(prepare(100)), 100)
        client = in_memory_client(prepare(count))
        gc.collect()
        before = resident_bytes()
        result = run(client, count)
        peak = peak_bytes()
        gc.collect()
        after = resident_bytes()
    report(
        "evalwire",
        scored=sum(item.evaluations[0].score == 1.0 for item in result.runs),
        before_mb=round(before / 2**20, 1),
        growth_kb=(after - before) / count / KILOBYTE,
        peak_growth_kb=(peak - before) / count / KILOBYTE,
        output_kb=sum(sys.getsizeof(item.output) for item in result.runs) / count / KILOBYTE,
    )


main()
