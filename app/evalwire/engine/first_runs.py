"""Detection of experiments whose first runs all fail in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.model import Failure

if TYPE_CHECKING:
    from pathlib import Path

    from evalwire.model import TaskRun

_ENOUGH = 10


class FirstRuns:
    """Counts the first runs of an experiment, as long as all fail with the same exception type at the same line."""

    def __init__(self) -> None:
        self._count = 0
        self._location: tuple[str, str] | None = None
        self._is_decided = False

    def add(self, run: TaskRun, *, root: Path) -> Failure | None:
        """Count a finished run; return a failure if the experiment should not start further runs, or else None.

        Args:
            run: the run with its evaluations.
            root: the project's directory, to which the line of the failure is relative.
        """
        if self._is_decided:
            return None
        failure = next(iter(run.failures), None)
        location = (failure.type, failure.where) if failure is not None and failure.where is not None else None
        self._count += 1
        if location is None or self._location not in (None, location):
            self._is_decided = True
            return None
        self._location = location
        if self._count < _ENOUGH:
            return None
        self._is_decided = True
        type_, where = location
        message = (
            f"the first {_ENOUGH} runs all failed with {type_} at {where.removeprefix(f'{root}/')}; "
            "no further runs were started"
        )
        return Failure(kind="user", stage="task", type="TooManyFailures", message=message)
