"""Report progress on standard error: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from evalwire import clocks
from evalwire.loading import load
from evalwire.masking import plain_line
from evalwire.model import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evalwire.engine import Observer
    from evalwire.jobs.bars import Bars
    from evalwire.jobs.console import Console
    from evalwire.model import ExperimentResult, OpenExperiment, TaskRun

PLAIN_SECONDS = 5.0


class Quiet:
    """Ignores progress events."""

    def started(self, opened: OpenExperiment, run_count: int) -> None:
        """Do nothing."""

    def ran(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Do nothing."""

    def finished(self, result: ExperimentResult) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Lines:
    """Writes a line when an experiment starts and ends, and every few seconds in between."""

    def __init__(
        self,
        stream: TextIO,
        *,
        every_seconds: float = PLAIN_SECONDS,
        clock: Callable[[], float] = clocks.monotonic,
    ) -> None:
        self._stream = stream
        self._every = every_seconds
        self._clock = clock
        self._said_at = clock()
        self._counts: dict[str, list[int]] = {}  # experiment -> runs done, runs failed, all runs

    def started(self, opened: OpenExperiment, run_count: int) -> None:
        """Report the experiment and its page in Phoenix."""
        name = opened.experiment.name
        self._counts[name] = [0, 0, run_count]
        times = f" x {opened.repetitions}" if opened.repetitions > 1 else ""
        page = f", {opened.url}" if opened.url else ""
        self._say(f"{name}: {count(run_count // opened.repetitions, 'example')}{times}{page}")

    def ran(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Count the run, and report progress every few seconds."""
        counts = self._counts[opened.experiment.name]
        counts[0] += 1
        counts[1] += bool(run.failures)
        if self._clock() - self._said_at >= self._every:
            self._said_at = self._clock()
            for name, (done, failed, of) in self._counts.items():
                self._say(f"{name}: {done}/{of}" + (f", {failed} failed" if failed else ""))

    def finished(self, result: ExperimentResult) -> None:
        """Report how the experiment ended."""
        self._counts.pop(result.name, None)
        word = "done" if result.passed else "FAILED"
        self._say(f"{result.name}: {word}, {len(result.runs)}/{result.expected_runs} in {result.seconds:.1f} s")

    def close(self) -> None:
        """Do nothing."""

    def _say(self, line: str) -> None:
        self._stream.write(f"{plain_line(line)}\n")
        self._stream.flush()


class BaselineProgress:
    """Reports the progress of scoring baselines again to the job's observer, as separate experiments.

    Args:
        observer: shows the job's experiments.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def started(self, opened: OpenExperiment, run_count: int) -> None:
        """Report that rescoring of a baseline started, without a link: Phoenix does not show it."""
        self._observer.started(replace(self._named(opened), url=None), run_count)

    def ran(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Report that an output of a baseline was scored."""
        self._observer.ran(self._named(opened), run)

    def finished(self, result: ExperimentResult) -> None:
        """Report that all outputs of a baseline were scored."""
        self._observer.finished(replace(result, name=self._name(result.name)))

    def close(self) -> None:
        """Do nothing: the observer of the job is still in use."""

    def _named(self, opened: OpenExperiment) -> OpenExperiment:
        return replace(opened, experiment=replace(opened.experiment, name=self._name(opened.experiment.name)))

    def _name(self, experiment: str) -> str:
        return f"{experiment} (baseline)"


@contextlib.contextmanager
def progress_of(console: Console) -> Iterator[Observer]:
    """Yield an observer that shows bars on a terminal, lines elsewhere, and nothing on a quiet console."""
    observer: Observer
    if console.quiet:
        observer = Quiet()
    elif console.err.isatty():
        observer = _bars(console)
    else:
        observer = Lines(console.err)
    try:
        yield observer
    finally:
        with contextlib.suppress(OSError, ValueError):  # the terminal was closed
            observer.close()


@contextlib.contextmanager
def progress_counter(name: str, total: int, console: Console) -> Iterator[Callable[[int], None]]:
    """Show the progress of a counter; yield a function to call with each increment."""
    if console.quiet:
        yield lambda _: None
    elif console.err.isatty():
        bars = _bars(console)
        bar = bars.add(name, total)
        try:
            yield lambda number: bars.advance(bar, number)
        finally:
            bars.close()
    else:
        done, said_at = 0, clocks.monotonic()

        def advance(number: int) -> None:
            nonlocal done, said_at
            done += number
            if clocks.monotonic() - said_at >= PLAIN_SECONDS:
                said_at = clocks.monotonic()
                console.say(f"{name}: {done}/{total}")

        yield advance


@contextlib.contextmanager
def waiting(what: str, why: str, console: Console) -> Iterator[None]:
    """Show what evalwire waits for and why: with a spinner and seconds on a terminal, as a line elsewhere."""
    if console.quiet or not console.err.isatty():
        console.say(f"{what}: {why}")
        yield
        return
    started = clocks.monotonic()
    with load("evalwire.jobs.bars").spinner(
        console.err, lambda: f"{what}: {clocks.monotonic() - started:.0f} s, {why}"
    ):
        yield
    console.say(f"{what}: {clocks.monotonic() - started:.0f} s")


def _bars(console: Console) -> Bars:
    made: Bars = load("evalwire.jobs.bars").Bars(console.err, mask=console.mask)
    return made
