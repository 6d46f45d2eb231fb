"""How far a job is, on standard error: bars on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from rich.progress import TaskID

    from evalwire.model import ExperimentResult, OpenExperiment, TaskRun


PLAIN_SECONDS = 5.0


class Quiet:
    """Says nothing while the job runs."""

    def started(self, opened: OpenExperiment, run_count: int) -> None:
        """Say nothing."""

    def ran(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Say nothing."""

    def finished(self, result: ExperimentResult) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Nothing was opened."""


class Lines:
    """A line when an experiment starts and ends, and one every few seconds in between."""

    def __init__(
        self,
        stream: TextIO,
        *,
        every_seconds: float = PLAIN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._every = every_seconds
        self._clock = clock
        self._said_at = clock()
        self._counts: dict[str, list[int]] = {}  # experiment -> runs done, failed, of

    def started(self, opened: OpenExperiment, run_count: int) -> None:
        """Name the experiment and its page."""
        name = opened.experiment.name
        self._counts[name] = [0, 0, run_count]
        times = f" x {opened.repetitions}" if opened.repetitions > 1 else ""
        page = f", {opened.url}" if opened.url else ""
        self._say(f"{name}: {run_count // opened.repetitions} examples{times}{page}")

    def ran(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Count, and say so if the last line is old enough."""
        counts = self._counts[opened.experiment.name]
        counts[0] += 1
        counts[1] += bool(run.failures)
        if self._clock() - self._said_at >= self._every:
            self._said_at = self._clock()
            for name, (done, failed, of) in self._counts.items():
                self._say(f"{name}: {done}/{of}" + (f", {failed} failed" if failed else ""))

    def finished(self, result: ExperimentResult) -> None:
        """Say how it ended."""
        self._counts.pop(result.name, None)
        word = "done" if result.passed else "FAILED"
        self._say(f"{result.name}: {word}, {len(result.runs)}/{result.expected_runs} in {result.seconds:.1f} s")

    def close(self) -> None:
        """Nothing stays open."""

    def _say(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


class Bars:
    """A progress bar for each experiment, on a terminal."""

    def __init__(self, stream: TextIO, *, mask: Callable[[str], str] = str) -> None:
        from rich.console import Console  # noqa: PLC0415 - only a terminal needs bars
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        self._lock = threading.Lock()
        self._bars: dict[str, TaskID] = {}
        self._failed: dict[str, int] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", style="red"),
            TimeElapsedColumn(),
            console=Console(file=stream, stderr=True),
        )
        # What user code prints goes above the bars, wrapped to the terminal's width: masked before that.
        self._progress.start()
        self._streams = (sys.stdout, sys.stderr)
        sys.stdout, sys.stderr = (cast("TextIO", _Above(one, mask)) for one in self._streams)

    def started(self, opened: OpenExperiment, run_count: int) -> None:
        """Add its bar."""
        name = opened.experiment.name
        self._bars[name] = self.add(name, run_count)

    def add(self, name: str, total: int) -> TaskID:
        """A bar of something else."""
        return self._progress.add_task(name, total=total, note="")

    def advance(self, bar: TaskID, number: int) -> None:
        """Move it."""
        self._progress.advance(bar, number)

    def ran(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Move its bar."""
        name = opened.experiment.name
        with self._lock:
            failed = self._failed[name] = self._failed.get(name, 0) + bool(run.failures)
        self._progress.update(self._bars[name], advance=1, note=f"{failed} failed" if failed else "")

    def finished(self, result: ExperimentResult) -> None:
        """Leave its bar as it is."""
        if result.name in self._bars:
            self._progress.stop_task(self._bars[result.name])

    def close(self) -> None:
        """Give the terminal back."""
        sys.stdout, sys.stderr = self._streams
        self._progress.stop()


@contextlib.contextmanager
def progress_counter(name: str, total: int, stream: TextIO, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """Show how far something of one kind is; what it gives is called with how many more are done."""
    if quiet:
        yield lambda _: None
    elif stream.isatty():
        bars = Bars(stream)
        bar = bars.add(name, total)
        try:
            yield lambda number: bars.advance(bar, number)
        finally:
            bars.close()
    else:
        done, said_at = 0, time.monotonic()

        def advance(number: int) -> None:
            nonlocal done, said_at
            done += number
            if time.monotonic() - said_at >= PLAIN_SECONDS:
                said_at = time.monotonic()
                stream.write(f"{name}: {done}/{total}\n")
                stream.flush()

        yield advance


class _Above:
    """Masks lines before the terminal's width cuts them."""

    def __init__(self, stream: TextIO, mask: Callable[[str], str]) -> None:
        self._stream = stream
        self._mask = mask
        self._held = ""

    def write(self, text: str) -> int:
        whole, newline, self._held = (self._held + text).rpartition("\n")
        if newline:
            self._stream.write(self._mask(whole + newline))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
