"""The runs that early verdicts count: the unbroken start of a random order."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from evalwire.model import ExperimentResult, Stopping

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalwire.engine.protocols import GateWatch
    from evalwire.model import OpenExperiment, TaskRun


class Prefix:
    """The order of an experiment's runs, and its unbroken start: the first runs, which have all finished.

    Slow runs often fail. A gate that looked at runs as they finish would therefore pass too often. Gates look at the
    runs in this order instead, and wait for each run.

    A run has an index in the dataset's order, with the repetitions of an example next to each other.

    Args:
        opened: the experiment.
        watch: the gates that decide the end of the experiment; None to run everything in the dataset's order.
    """

    def __init__(self, opened: OpenExperiment, watch: GateWatch | None) -> None:
        self._opened = opened
        self._watch = watch
        self._size = len(opened.dataset.examples)
        repetitions = range(opened.repetitions)
        if watch is None:
            self.order = list(range(self._size * opened.repetitions))
        else:  # round by round
            self.order = [place * opened.repetitions + n for n, place in itertools.product(repetitions, watch.order)]
        self._places = {index: place for place, index in enumerate(self.order)} if watch is not None else {}
        self._finished: dict[int, TaskRun] = {}
        self._count = 0  # runs that the gates have seen
        self._is_decided = False

    def add(self, index: int, run: TaskRun) -> bool:
        """Add a finished run; return whether it decides the gates before all runs were made."""
        if self._watch is None or self._is_decided:
            return False
        self._finished[self._places[index]] = run
        while self._count in self._finished:
            run = self._finished[self._count]
            self._count += 1
            is_over = self._watch.add(run)
            is_last = self._count == len(self.order)
            if self._opened.repetitions > 1:
                is_over = not self._count % self._size and not is_last and self._watch.end_round(self._part())
            if is_last:
                self._watch.end(self._part())
            elif is_over:
                self._is_decided = True
                return True
        return False

    def stopping(self, runs: Mapping[int, TaskRun]) -> tuple[Stopping | None, Sequence[TaskRun]]:
        """Return the extent of the experiment, and the runs that count, in the dataset's order.

        Args:
            runs: all runs that were made, by index.
        """
        own = [run for _, run in sorted(runs.items())]
        if self._watch is None or not (self._is_decided or self._count == len(self.order)):
            return None, own
        counted = set(self.order[: self._count])
        beyond = tuple(run for index, run in sorted(runs.items()) if index not in counted)
        repetitions = self._opened.repetitions
        is_round = repetitions > 1
        stopping = Stopping(
            seen=self._size if is_round else self._count,
            of=self._size,
            rounds=self._count // self._size if is_round and self._size else 1,
            of_rounds=repetitions,
            beyond=len(beyond),
            beyond_failed=sum(run.has_failed for run in beyond),
            risk=self._watch.risk,
            decisions=self._watch.decisions,
            runs_beyond=beyond,
        )
        return stopping, [run for index, run in sorted(runs.items()) if index in counted]

    def _part(self) -> ExperimentResult:
        """Return the runs that the gates have seen as a result, in the dataset's order."""
        experiment = self._opened.experiment
        indexes = sorted(zip(self.order[: self._count], range(self._count), strict=True))
        rounds = max(self._count // self._size, 1)
        return ExperimentResult(
            name=experiment.name,
            dataset_name=experiment.dataset_name,
            evaluator_names=tuple(evaluator.name for evaluator in experiment.evaluators),
            opened=self._opened,
            runs=tuple(self._finished[place] for _, place in indexes),
            example_count=min(self._count, self._size),
            repetitions=rounds,
        )
