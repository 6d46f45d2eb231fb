"""Opening of experiments that score recorded outputs, without calling tasks."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from evalwire import clocks
from evalwire.model import Failure, TaskRun
from evalwire.recording.journal.lines import RunLine
from evalwire.recording.journal.past import PastExperiment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evalwire.model import Example, Experiment, OpenExperiment
    from evalwire.recording.protocols import Opener


class ScoreExperiments:
    """Opens experiments whose runs have recorded outputs, so that the engine only calls evaluators.

    Args:
        opener: creates or resumes the experiments.
        past: the recorded outputs, by experiment.
    """

    def __init__(self, opener: Opener, past: Mapping[str, PastExperiment]) -> None:
        self._opener = opener
        self._past = past

    def open(self, experiment: Experiment) -> OpenExperiment:
        """Open an experiment with a run for each repetition of each example.

        Raises:
            EvalwireError: the experiment cannot be created or resumed.
        """
        opened = self._opener.open(experiment)
        examples = opened.dataset.examples
        recorded = self._past[experiment.name].runs_on(examples, others={})
        missing = _without_output(itertools.product(examples, range(1, opened.repetitions + 1)))
        return replace(opened, earlier={**missing, **recorded, **opened.earlier})


def past_of_runs(experiment: str, runs: Iterable[TaskRun], *, repetitions: int) -> PastExperiment:
    """Return recorded outputs in the form in which a journal has them, without evaluations."""
    found = {run.key: RunLine.of(run, experiment=experiment) for run in runs}
    return PastExperiment(experiment=experiment, repetitions=repetitions, runs=found)


def _without_output(runs: Iterable[tuple[Example, int]]) -> dict[tuple[str, int], TaskRun]:
    """Return failed runs, for examples and repetitions without a recorded output."""
    now = clocks.now()
    failure = Failure(
        kind="evalwire",
        stage="task",
        type="NoOutput",
        message="the scored run has no output of this example and repetition. Run it with `evalwire resume --whole`",
    )
    return {
        (example.node_id, repetition): TaskRun(
            example=example,
            output=None,
            failure=failure,
            repetition=repetition,
            usage=(),
            start_time=now,
            end_time=now,
        )
        for example, repetition in runs
    }
