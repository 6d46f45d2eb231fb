"""Show progress bars on a terminal."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, TextIO, cast

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.spinner import Spinner
from rich.text import Text

from evalwire.masking import MaskedStream, plain_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import TaskID

    from evalwire.model import ExperimentResult, OpenExperiment, TaskRun


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
    """Shows a progress bar for each experiment, on a terminal."""

    def __init__(self, stream: TextIO, *, mask: Callable[[str], str]) -> None:
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
        # Output of user code is shown above the bars, wrapped to the width of the terminal: mask it before.
        self._progress.start()
        self._streams = (sys.stdout, sys.stderr)
        self._above = [_Above(original, mask) for original in self._streams]
        sys.stdout, sys.stderr = (cast("TextIO", above) for above in self._above)

    def started(self, opened: OpenExperiment, run_count: int) -> None:
        """Add a bar for the experiment."""
        name = opened.experiment.name
        self._bars[name] = self.add(name, run_count)

    def add(self, name: str, total: int) -> TaskID:
        """Add a bar for any counter."""
        return self._progress.add_task(escape(plain_line(name)), total=total, note="")

    def advance(self, bar: TaskID, number: int) -> None:
        """Advance a bar."""
        self._progress.advance(bar, number)

    def ran(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Advance the bar of the experiment."""
        name = opened.experiment.name
        with self._lock:
            failed = self._failed[name] = self._failed.get(name, 0) + bool(run.failures)
        self._progress.update(self._bars[name], advance=1, note=f"{failed} failed" if failed else "")

    def finished(self, result: ExperimentResult) -> None:
        """Stop the bar of the experiment."""
        if result.name in self._bars:
            self._progress.stop_task(self._bars[result.name])

    def close(self) -> None:
        """Restore the standard streams and stop the bars."""
        for above in self._above:
            above.release()
        sys.stdout, sys.stderr = self._streams
        self._progress.stop()


class _Above(MaskedStream):
    """Masks complete lines and shows them above the bars, before they are cut to the width of the terminal."""

    def flush(self) -> None:
        """Flush complete lines; an incomplete line waits for its end."""
        self._stream.flush()

    def release(self) -> None:
        """Write the incomplete line."""
        super().flush()
