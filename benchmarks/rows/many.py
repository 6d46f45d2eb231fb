"""Row `many`: 10,000 recorded examples, compared with the processor time of Phoenix for their requests."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil

from benchmarks.contest import Unmeasured
from benchmarks.rows.recording import CONCURRENCY, evalwire
from benchmarks.table import Line, Target

if TYPE_CHECKING:
    from benchmarks.bench import Bench

ROW = "many"
EXAMPLES = 10_000


def measure(bench: Bench) -> list[Line]:
    """Record examples of 1 KB with a plain evaluator, and measure the processor time of Phoenix meanwhile."""
    examples = bench.examples(EXAMPLES)
    url = bench.phoenix()
    contender = evalwire(
        "evalwire",
        url,
        examples,
        concurrency=CONCURRENCY,
        evaluators=["match"],
        text=1024,
        server=_process_at(url),
    )
    outcome = bench.contest(ROW, [contender], repetitions=1)["evalwire"]
    return [
        Line(
            row=ROW,
            measured=f"{examples:,} x 1 KB, a plain evaluator, recorded with spans",
            unit="s",
            ours=outcome.median("seconds"),
            other="processor time of Phoenix",
            theirs=outcome.median("server_seconds"),
            target=Target(relation="at most", ratio=1.2),
            note=outcome.problem or f"peak memory {outcome.median('peak_mb'):.0f} MB",
        )
    ]


def _process_at(url: str) -> int:
    """Return the ID of the process that listens at an address of this machine."""
    port = urlsplit(url).port
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
            return int(connection.pid)
    raise Unmeasured(f"the process of Phoenix at {url} is not on this machine")
