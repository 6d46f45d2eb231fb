"""Notice when the first runs of an experiment all fail alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.model import Failure

if TYPE_CHECKING:
    from pathlib import Path

    from evalwire.model import TaskRun

_ENOUGH = 10


class FirstRuns:
    """Counts the first runs of an experiment for as long as each fails with one type at one line."""

    def __init__(self) -> None:
        self._count = 0
        self._place: tuple[str, str] | None = None
        self._is_decided = False

    def add(self, run: TaskRun, *, root: Path) -> Failure | None:
        """Count a run that is over; return why no further one should start, or None.

        Args:
            run: with its evaluations.
            root: the project's folder; the place of a failure is relative to it.
        """
        if self._is_decided:
            return None
        failure = next(iter(run.failures), None)
        place = (failure.type, failure.where) if failure is not None and failure.where is not None else None
        self._count += 1
        if place is None or self._place not in (None, place):
            self._is_decided = True
            return None
        self._place = place
        if self._count < _ENOUGH:
            return None
        self._is_decided = True
        type_, where = place
        message = (
            f"its first {_ENOUGH} runs all failed with {type_} at {where.removeprefix(f'{root}/')}, "
            "so no further one was started"
        )
        return Failure(kind="user", stage="task", type="TooManyFailures", message=message)
