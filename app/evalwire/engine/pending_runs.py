"""The pending runs of an experiment."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evalwire.engine.evaluations import is_evaluated, with_all
from evalwire.engine.purse import Reservation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalwire.model import Example, OpenExperiment, TaskRun


@dataclass(slots=True)
class PendingRun:
    """A pending run: an example, its repetition, and the run from an earlier job, which may be incomplete.

    Attributes:
        needs_calls: whether the task or an evaluator is still to be called.
        reservation: the part of the budget that the run may use.
    """

    index: int
    example: Example
    repetition: int
    earlier: TaskRun | None
    needs_calls: bool
    reservation: Reservation = field(default_factory=Reservation)


def pending_runs(opened: OpenExperiment, order: Sequence[int]) -> Iterator[PendingRun]:
    """Yield every repetition of every example.

    Runs of an earlier job that need no further call come first, so that they are recorded even without a budget.

    Args:
        opened: the experiment.
        order: the indexes of the runs; the runs of the dataset's first example have the first indexes.
    """
    if opened.earlier:
        yield from (pending for pending in _in_order(opened, order) if not pending.needs_calls)
    yield from (pending for pending in _in_order(opened, order) if pending.needs_calls)


def _in_order(opened: OpenExperiment, order: Sequence[int]) -> Iterator[PendingRun]:
    pairs = list(itertools.product(opened.dataset.examples, range(1, opened.repetitions + 1)))
    for index in order:
        example, repetition = pairs[index]
        earlier = opened.earlier.get((example.node_id, repetition))
        if earlier is not None:
            earlier = with_all(opened, earlier, earlier.evaluations)
        needs_calls = earlier is None or not is_evaluated(opened, earlier)
        yield PendingRun(index, example, repetition, earlier, needs_calls)
