"""Row `many`: 10,000 recorded examples, compared with the processor time of Phoenix for their requests."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil

from benchmarks.contest import Contender, Unmeasured
from benchmarks.table import Line, Target

if TYPE_CHECKING:
    from benchmarks.bench import Bench

ROW = "many"
EXAMPLES = 10_000


def measure(bench: Bench) -> list[Line]:
    """Record examples of 1 KB with a plain evaluator, and measure the processor time of the server meanwhile."""
    examples = bench.examples(EXAMPLES)
    url = bench.phoenix()
    server = _server_at(url)
    before = sum(server.cpu_times()[:2])
    contender = Contender(
        name="evalwire",
        script="recording_evalwire.py",
        arguments={
            "url": url,
            "examples": examples,
            "concurrency": 10,
            "task_seconds": 0,
            "evaluators": ["match"],
            "text": 1024,
        },
        expects={"runs": examples, "evaluations": examples, "task_spans": examples},
    )
    outcome = bench.contest(ROW, [contender], repetitions=1)["evalwire"]
    used = sum(server.cpu_times()[:2]) - before
    return [
        Line(
            row=ROW,
            measured=f"{examples:,} x 1 KB, a plain evaluator, recorded with spans",
            unit="s",
            ours=outcome.median("seconds"),
            other="processor time of Phoenix",
            theirs=used,
            target=Target(relation="at most", ratio=1.2),
            note=outcome.problem or f"peak memory {outcome.median('peak_mb'):.0f} MB",
        )
    ]


def _server_at(url: str) -> psutil.Process:
    port = urlsplit(url).port
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
            return psutil.Process(connection.pid)
    raise Unmeasured(f"the process of Phoenix at {url} is not on this machine")
