"""Add the inputs of user code to the journal, so that a resumed job can detect changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.experiments import count_reads, read_inputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalwire.model import Evaluation, OpenExperiment, TaskRun
    from evalwire.recording import Journal


class JournalWithInputs:
    """Writes a journal, with new inputs of user code before each output or evaluation.

    Args:
        journal: the journal to write.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._reads: dict[str, int] = {}

    def creating(self, opened: OpenExperiment) -> None:
        """Write that an experiment will be created in Phoenix, with the inputs from its import."""
        self._journal.creating(opened)

    def opened(self, opened: OpenExperiment) -> None:
        """Write that an experiment was created."""
        self._journal.opened(opened)

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Write the output or the final failure of a task."""
        self._note_inputs(opened)
        self._journal.returned(opened, run)

    def evaluated(self, opened: OpenExperiment, run: TaskRun, evaluations: Sequence[Evaluation]) -> None:
        """Write the evaluations of a run by an evaluator, or its final failure."""
        self._note_inputs(opened)
        self._journal.evaluated(opened, run, evaluations)

    def _note_inputs(self, opened: OpenExperiment) -> None:
        reads = count_reads()
        if self._reads.get(opened.experiment.name) != reads:
            self._reads[opened.experiment.name] = reads
            self._journal.read(opened, read_inputs(opened.experiment))
