"""The `ExperimentRunner` of evalwire 0.6 against a real Phoenix; it has no option to run examples concurrently."""

from __future__ import annotations

import contextlib
import io

from _contender import arguments
from _evalwire import experiments, task_of
from _phoenix import EVALUATORS, recording
from phoenix.client import Client

from evalwire.runner import ExperimentRunner

given = arguments()
client = Client(base_url=given["url"])


def run(dataset: str) -> None:
    """Run and record the experiment without its output."""
    quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with experiments(dataset, task=task_of(given["task_seconds"]), evaluators=EVALUATORS) as folder, quiet[0], quiet[1]:
        ExperimentRunner(folder, client).run()


recording("evalwire", client, run)
