"""Memory of evalwire in a dry run of many examples that return a kilobyte each."""

from __future__ import annotations

import gc
import sys
from typing import Any

from _contender import arguments, peak_bytes, report, resident_bytes
from _evalwire import experiments
from _stand_in import DATASET, stand_in

from evalwire.phoenix import connect
from evalwire.runner import ExperimentRunner

TASK = "async def task(example):\n    return example.input['text'][::-1]\n"
ALWAYS = "def match(output):\n    return len(output) > 0\n"
KILOBYTE = 1024


def main() -> None:
    """Run, and print the growth of the process per example."""
    given = arguments()
    count = given["examples"]
    with (
        stand_in(examples=100, text=KILOBYTE) as few,
        stand_in(examples=count, text=KILOBYTE) as many,
        experiments(DATASET, task=TASK) as folder,
    ):
        (folder / DATASET / "match.py").write_text(ALWAYS, encoding="utf-8")

        def run(url: str, examples: int) -> Any:
            client = connect(base_url=url)
            runner = ExperimentRunner(folder, client, dry_run=examples, task_concurrency=given["concurrency"])
            (result,) = runner.run()
            return result

        run(few, 100)
        gc.collect()
        before = resident_bytes()
        result = run(many, count)
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
