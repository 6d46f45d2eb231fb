"""Show progress bars on a terminal."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, TextIO, cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import TaskID

    from evalwire.model import ExperimentResult, OpenExperiment, TaskRun


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
        # What user code prints goes above the bars, wrapped to the terminal's width: masked before that.
        self._progress.start()
        self._streams = (sys.stdout, sys.stderr)
        sys.stdout, sys.stderr = (cast("TextIO", _Above(one, mask)) for one in self._streams)

    def started(self, opened: OpenExperiment, run_count: int) -> None:
        """Add its bar."""
        name = opened.experiment.name
        self._bars[name] = self.add(name, run_count)

    def add(self, name: str, total: int) -> TaskID:
        """Add a bar of something else."""
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
