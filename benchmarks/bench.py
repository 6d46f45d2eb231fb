"""What the rows share: how much to measure, the environments, the Phoenix server, and all raw figures."""

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

_QUICK = 10  # times fewer examples


class Bench:
    """One run of the benchmark.

    Args:
        environments: for evalwire alone and for its peers.
        repetitions: of each contender; None for each row's own number.
        quick: a tenth of the examples and one repetition: to see that it works, not to quote.
    """

    def __init__(self, environments: Environments, *, repetitions: int | None = None, quick: bool = False) -> None:
        self.environments = environments
        self.raw: dict[str, Any] = {}
        self._repetitions = 1 if quick and repetitions is None else repetitions
        self._quick = quick
        self._phoenix: str | None = None
        self._stack = contextlib.ExitStack()

    def examples(self, count: int) -> int:
        """How many examples to run where the full row has `count`."""
        return max(1, count // _QUICK) if self._quick else count

    def repetitions(self, count: int) -> int:
        """How many repetitions to run where the row has `count`."""
        return self._repetitions or count

    def contest(self, row: str, contenders: Sequence[Contender], *, repetitions: int) -> dict[str, Outcome]:
        """Run contenders in turns; their figures are kept as they are, too."""
        outcomes = interleaved(contenders, self.repetitions(repetitions))
        self.raw[row] = {name: outcome.problem or list(outcome.figures) for name, outcome in outcomes.items()}
        return outcomes

    def phoenix(self) -> str:
        """The address of a real Phoenix: the one that EVALWIRE_TEST_PHOENIX names, else one started for this.

        Raises:
            Unmeasured: none can be started.
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
            raise Unmeasured(f"there is no Phoenix to record in: {error}") from error

    def close(self) -> None:
        """Stop the Phoenix that was started."""
        self._stack.close()
