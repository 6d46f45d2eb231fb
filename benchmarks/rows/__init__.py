"""The rows of the benchmark, each with a function that returns lines of the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from benchmarks.rows import (
    command,
    engine,
    engine_alone,
    gate,
    guard,
    many,
    memory,
    recording,
    reports,
    rivals,
    servers,
    short_job,
    spans,
    start,
    together,
)

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.table import Line

ROWS: dict[str, Callable[[Bench], Sequence[Line]]] = {
    "engine": engine.measure,
    "engine_alone": engine_alone.measure,
    "command": command.measure,
    "recording": recording.measure,
    "servers": servers.measure,
    "many": many.measure,
    "together": together.measure,
    "rivals": rivals.measure,
    "spans": spans.measure,
    "gate": gate.measure,
    "memory": memory.measure,
    "reports": reports.measure,
    "start": start.measure,
    "short_job": short_job.measure,
    "guard": guard.measure,
}

DEFAULT = tuple(name for name in ROWS if name != guard.ROW)
"""The rows that are measured without `--only`; `guard` repeats two of them in a small form."""
