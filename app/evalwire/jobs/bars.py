"""Show progress bars on a terminal."""

from __future__ import annotations

import math
import sys
import threading
from typing import TYPE_CHECKING, TextIO, cast

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.constrain import Constrain
from rich.live import Live
from rich.progress import BarColumn, Progress, ProgressColumn
from rich.spinner import Spinner
from rich.table import Column
from rich.text import Text

from evalwire import clocks
from evalwire.jobs.tally import Tally, time_text, waiting_text
from evalwire.masking import MaskedStream, plain_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rich.console import RenderableType
    from rich.progress import Task, TaskID

    from evalwire.model import ExperimentResult, OpenExperiment, Price, TaskRun

_WIDEST, _LONGEST_NAME = 100, 20  # columns
_INDENT, _GAP = "  ", "  "


def spinner(stream: TextIO, text: Callable[[], str]) -> Live:
    """Return a context that shows a spinner and a text on a terminal, and removes both at its end."""
    shown = Spinner("dots")

    def render() -> Spinner:
        shown.update(text=Text(plain_line(text())))
        return shown

    return Live(
        get_renderable=render,
        console=Console(file=stream, stderr=True),
        transient=True,
        refresh_per_second=4,
        redirect_stdout=False,
        redirect_stderr=False,
    )


class Bars:
    """Shows a progress bar for each experiment, on a terminal.

    Below the bar of an experiment that runs are the means of its evaluators, its tokens and its cost so far.

    Args:
        stream: the terminal.
        mask: masks secrets in what user code prints.
        prices: the user's own prices, by model.
        clock: a function that returns seconds.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        mask: Callable[[str], str],
        prices: Mapping[str, Price],
        clock: Callable[[], float] = clocks.monotonic,
    ) -> None:
        self._lock = threading.Lock()
        self._bars: dict[str, TaskID] = {}
        self._tallies: dict[TaskID, Tally] = {}
        self._prices = prices
        self._clock = clock
        self._resumes_at = -math.inf  # when calls no longer wait for a rate limit
        self._progress = _Display(
            _TextOf(self._name),
            BarColumn(bar_width=None, table_column=Column(ratio=1)),
            _TextOf(self._counts),
            _TextOf(self._failures, style="red"),
            _TextOf(self._times),
            below=self._below,
            console=Console(file=stream, stderr=True),
            clock=clock,
        )
        # Output of user code is shown above the bars, wrapped to the width of the terminal: mask it before.
        self._progress.start()
        self._streams = (sys.stdout, sys.stderr)
        self._above = [_Above(original, mask) for original in self._streams]
        sys.stdout, sys.stderr = (cast("TextIO", above) for above in self._above)

    @property
    def err(self) -> TextIO:
        """The stream whose lines appear above the bars; other lines on the terminal would be overwritten."""
        return cast("TextIO", self._above[1])

    def started(self, opened: OpenExperiment, run_count: int) -> None:
        """Add a bar for the experiment."""
        tally = Tally.of(opened, run_count, now=self._clock())
        bar = self.add(tally.name, run_count)  # renders, so the lock is free
        with self._lock:
            self._bars[tally.name], self._tallies[bar] = bar, tally

    def add(self, name: str, total: int) -> TaskID:
        """Add a bar for any counter."""
        return self._progress.add_task(plain_line(name), total=total)

    def advance(self, bar: TaskID, number: int) -> None:
        """Advance a bar."""
        self._progress.advance(bar, number)

    def ran(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Count the run, and advance the bar of the experiment."""
        bar = self._bars[opened.experiment.name]
        with self._lock:
            self._tallies[bar].add_ran(run)
        self._progress.advance(bar)

    def recorded(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Count the recorded run."""
        with self._lock:
            self._tallies[self._bars[opened.experiment.name]].add_recorded(run)

    def rate_limited(self, seconds: float) -> None:
        """Show a wait for a rate limit until it is over."""
        self._resumes_at = max(self._resumes_at, self._clock() + seconds)

    def finished(self, result: ExperimentResult) -> None:
        """Stop the bar of the experiment."""
        if result.name in self._bars:
            bar = self._bars[result.name]
            with self._lock:
                self._tallies[bar].is_finished = True
            self._progress.stop_task(bar)

    def close(self) -> None:
        """Restore the standard streams and stop the bars."""
        for above in self._above:
            above.release()
        sys.stdout, sys.stderr = self._streams
        self._resumes_at = -math.inf
        self._progress.stop()

    def _name(self, task: Task) -> str:
        """Return the name, which is as wide as the longest of all bars."""
        longest = max(cell_len(each.description) for each in self._progress.tasks)
        return _cut(task.description, min(longest, _LONGEST_NAME))

    def _counts(self, task: Task) -> str:
        tally = self._tallies.get(task.id)
        return tally.counts if tally else f"{task.completed:.0f}/{task.total or 0:.0f}"

    def _failures(self, task: Task) -> str:
        tally = self._tallies.get(task.id)
        return f"{tally.failed} failed" if tally and tally.failed else ""

    def _times(self, task: Task) -> str:
        tally = self._tallies.get(task.id)
        left = None if tally is None or tally.is_finished else tally.seconds_left(self._clock())
        return time_text(task.elapsed or 0.0) + (f" ETA {time_text(left)}" if left is not None else "")

    def _below(self, task: Task | None, width: int) -> str:
        """Return the line below the bar of a task, or below all bars."""
        if task is None:
            left = self._resumes_at - self._clock()
            return waiting_text(left) if left > 0 else ""
        tally = self._tallies.get(task.id)
        if tally is None or tally.is_finished:
            return ""
        with self._lock:
            means, usage = tally.means, tally.usage_text(self._prices)
        return _fitting([plain_line(mean) for mean in means], usage, width - len(_INDENT))


def _fitting(means: list[str], usage: str, width: int) -> str:
    """Return the means and the usage in a line; means that do not fit are only counted."""
    lines = []
    for shown in range(len(means), -1, -1):
        more = [f"{len(means) - shown} more"] if shown < len(means) else []
        lines.append(_GAP.join([*means[:shown], *more, *([usage] if usage else [])]))
    line = next((line for line in lines if cell_len(line) <= width), lines[-1])
    return line and _INDENT + line


def _cut(name: str, width: int) -> str:
    """Return a name in exactly this many columns, with an ellipsis if it was cut."""
    return set_cell_size(name, width) if cell_len(name) <= width else f"{set_cell_size(name, width - 1)}…"


class _TextOf(ProgressColumn):
    """A column whose text a function returns."""

    def __init__(self, text: Callable[[Task], str], style: str = "") -> None:
        super().__init__(table_column=Column(no_wrap=True))
        self._text = text
        self._style = style

    def render(self, task: Task) -> Text:
        """Return the text for a task."""
        return Text(self._text(task), style=self._style)


class _Display(Progress):
    """Shows a line below each bar, and a line below all bars."""

    def __init__(
        self,
        *columns: ProgressColumn,
        below: Callable[[Task | None, int], str],
        console: Console,
        clock: Callable[[], float],
    ) -> None:
        self._below = below
        self._terminal = console  # `Progress` renders before it has its own
        super().__init__(*columns, console=console, get_time=clock, expand=True)

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield the bars and the lines below them."""
        width = min(_WIDEST, self._terminal.width)
        tasks = self.tasks
        for task in [*tasks, None]:
            if task is not None:
                yield Constrain(self.make_tasks_table([task]), width)
            if line := self._below(task, width):
                yield Text(line, style="dim", no_wrap=True, overflow="ellipsis")


class _Above(MaskedStream):
    """Masks complete lines and shows them above the bars, before they are cut to the width of the terminal."""

    def flush(self) -> None:
        """Flush complete lines; an incomplete line waits for its end."""
        self._stream.flush()

    def release(self) -> None:
        """Write the incomplete line."""
        super().flush()
