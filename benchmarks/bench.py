"""Shared state of the rows: sizes, environments, the Phoenix server, and raw figures."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contest import Contender, Outcome, Unmeasured, interleaved

if TYPE_CHECKING:
    from benchmarks.environments import Environments

_QUICK = 10  # divides the number of examples


class Bench:
    """A run of the benchmark.

    Args:
        environments: virtual environments for evalwire and for other libraries.
        repetitions: the number of runs of each contender; None for the default of each row.
        quick: whether to run a tenth of the examples once, to check that the benchmark works.
    """

    def __init__(self, environments: Environments, *, repetitions: int | None = None, quick: bool = False) -> None:
        self.environments = environments
        self.raw: dict[str, Any] = {}
        self._repetitions = 1 if quick and repetitions is None else repetitions
        self._quick = quick
        self._phoenix: str | None = None
        self._stack = contextlib.ExitStack()

    def examples(self, count: int) -> int:
        """Return the number of examples to run, out of `count` in the full row."""
        return max(1, count // _QUICK) if self._quick else count

    def repetitions(self, count: int) -> int:
        """Return the number of repetitions to run, by default `count`."""
        return self._repetitions or count

    def contest(self, row: str, contenders: Sequence[Contender], *, repetitions: int) -> dict[str, Outcome]:
        """Run contenders in turns, and keep their raw figures."""
        outcomes = interleaved(contenders, self.repetitions(repetitions))
        self.raw[row] = {name: outcome.problem or list(outcome.figures) for name, outcome in outcomes.items()}
        return outcomes

    def phoenix(self) -> str:
        """Return the address of a real Phoenix, from EVALWIRE_TEST_PHOENIX or started by the benchmark.

        Raises:
            Unmeasured: no Phoenix could be started.
        """
        if self._phoenix is None:
            self._phoenix = os.environ.get("EVALWIRE_TEST_PHOENIX") or self._start_phoenix()
        return self._phoenix

    def _start_phoenix(self) -> str:
        from evalwire.errors import LocalServerError  # noqa: PLC0415
        from evalwire.phoenix import local_phoenix  # noqa: PLC0415 - only the rows that record need it

        print("  starting a Phoenix", file=sys.stderr)
        directory = self._stack.enter_context(tempfile.TemporaryDirectory())
        try:
            return self._stack.enter_context(local_phoenix(Path(directory), os.environ)).url
        except LocalServerError as error:
            raise Unmeasured(f"cannot start a Phoenix to record in: {error}") from error

    def close(self) -> None:
        """Stop the Phoenix that the benchmark started."""
        self._stack.close()
