"""Report progress on standard error: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from evalwire import clocks
from evalwire.jobs.tally import Tally, time_text, waiting_text
from evalwire.loading import load
from evalwire.masking import plain_line
from evalwire.model import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from evalwire.engine import Observer
    from evalwire.jobs.bars import Bars
    from evalwire.jobs.console import Console
    from evalwire.model import ExperimentResult, OpenExperiment, Price, TaskRun

PLAIN_SECONDS = 5.0
_LONGEST_PAUSE = 60.0  # seconds between plain lines of a long job


class Quiet:
    """Ignores progress events."""

    def started(self, opened: OpenExperiment, run_count: int) -> None:
        """Do nothing."""

    def ran(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Do nothing."""

    def recorded(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Do nothing."""

    def rate_limited(self, seconds: float) -> None:
        """Do nothing."""

    def finished(self, result: ExperimentResult) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Lines:
    """Writes a line when an experiment starts and ends, and more and more rarely in between.

    Args:
        stream: receives the lines.
        every_seconds: the shortest time between lines in between.
        clock: a function that returns seconds.
    """

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
        self._started_at = self._said_at = clock()
        self._tallies: dict[str, Tally] = {}

    def started(self, opened: OpenExperiment, run_count: int) -> None:
        """Report the experiment and its page in Phoenix."""
        name = opened.experiment.name
        self._tallies[name] = Tally.of(opened, run_count, now=self._clock())
        times = f" x {opened.repetitions}" if opened.repetitions > 1 else ""
        page = f", {opened.url}" if opened.url else ""
        self._say(f"{name}: {count(run_count // opened.repetitions, 'example')}{times}{page}")

    def ran(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Count the run, and report progress if the last line is some time ago."""
        self._tallies[opened.experiment.name].add_ran(run)
        self._say_progress()

    def recorded(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Count the recorded run, and report progress if the last line is some time ago."""
        self._tallies[opened.experiment.name].add_recorded(run)
        self._say_progress()

    def rate_limited(self, seconds: float) -> None:
        """Report a long wait for a rate limit, if the last line is some time ago."""
        if seconds >= self._every and self._is_due():
            self._say(waiting_text(seconds))

    def finished(self, result: ExperimentResult) -> None:
        """Report how the experiment ended."""
        self._tallies.pop(result.name, None)
        word = "done" if result.passed else "FAILED"
        self._say(f"{result.name}: {word}, {len(result.runs)}/{result.expected_runs} in {result.seconds:.1f} s")

    def close(self) -> None:
        """Do nothing."""

    def _say_progress(self) -> None:
        if not self._is_due():
            return
        for tally in self._tallies.values():
            failed = f", {tally.failed} failed" if tally.failed else ""
            left = tally.seconds_left(self._clock())
            eta = f", ETA {time_text(left)}" if left is not None else ""
            self._say(f"{tally.name}: {tally.counts}{failed}{eta}")

    def _is_due(self) -> bool:
        """Check whether a line may follow: after a tenth of the time so far, at least `every_seconds`."""
        now = self._clock()
        pause = max(self._every, min(_LONGEST_PAUSE, (now - self._started_at) / 10))
        is_due = now - self._said_at >= pause
        if is_due:
            self._said_at = now
        return is_due

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

    def recorded(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Do nothing: Phoenix does not get the scores."""

    def rate_limited(self, seconds: float) -> None:
        """Report that evaluators wait for a rate limit."""
        self._observer.rate_limited(seconds)

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
def progress_of(console: Console, prices: Mapping[str, Price]) -> Iterator[tuple[Observer, Console]]:
    """Yield an observer that shows bars on a terminal, lines elsewhere, and nothing on a quiet console.

    With the observer comes the console to use meanwhile, whose lines appear above the bars.

    Args:
        console: the console whose standard error shows the progress.
        prices: the user's own prices by model, for the cost so far.
    """
    observer: Observer
    shown = console
    if console.quiet:
        observer = Quiet()
    elif console.err.isatty():
        observer = bars = _bars(console, prices)
        shown = replace(console, err=bars.err)
    else:
        observer = Lines(console.err)
    try:
        yield observer, shown
    finally:
        with contextlib.suppress(OSError, ValueError):  # the terminal was closed
            observer.close()


@contextlib.contextmanager
def progress_counter(name: str, total: int, console: Console) -> Iterator[Callable[[int], None]]:
    """Show the progress of a counter; yield a function to call with each increment."""
    if console.quiet:
        yield lambda _: None
    elif console.err.isatty():
        bars = _bars(console, {})
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


def _bars(console: Console, prices: Mapping[str, Price]) -> Bars:
    made: Bars = load("evalwire.jobs.bars").Bars(console.err, mask=console.mask, prices=prices)
    return made
