"""Write into the journal what user code has read by now, so that a job that goes on knows whether it was changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.experiments import count_reads, read_inputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalwire.model import Evaluation, OpenExperiment, TaskRun
    from evalwire.recording import Journal


class JournalWithInputs:
    """Writes a journal, and before an output or an evaluation what was read for it, where more was than is known.

    Args:
        journal: is written.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._reads: dict[str, int] = {}

    def creating(self, opened: OpenExperiment) -> None:
        """Write that an experiment is about to be created in Phoenix, with what it had read when it was loaded."""
        self._journal.creating(opened)

    def opened(self, opened: OpenExperiment) -> None:
        """Write that an experiment was created."""
        self._journal.opened(opened)

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Write what a task returned, or why it failed for good."""
        self._note_inputs(opened)
        self._journal.returned(opened, run)

    def evaluated(self, opened: OpenExperiment, run: TaskRun, evaluations: Sequence[Evaluation]) -> None:
        """Write what an evaluator returned for a run, or why it failed for good."""
        self._note_inputs(opened)
        self._journal.evaluated(opened, run, evaluations)

    def _note_inputs(self, opened: OpenExperiment) -> None:
        reads = count_reads()
        if self._reads.get(opened.experiment.name) != reads:
            self._reads[opened.experiment.name] = reads
            self._journal.read(opened, read_inputs(opened.experiment))
