"""Row `spans`: processor time of the client for a span, by the route to Phoenix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.contest import Contender
from benchmarks.table import AHEAD, Line

if TYPE_CHECKING:
    from benchmarks.bench import Bench

ROW = "spans"
SPANS = 2_560


def measure(bench: Bench) -> list[Line]:
    """Send the same spans as OTLP protobuf, as the JSON of Phoenix's client, and through OpenTelemetry's exporter."""
    spans = bench.examples(SPANS)
    contender = Contender(name="evalwire", script="spans_evalwire.py", arguments={"spans": spans})
    outcome = bench.contest(ROW, [contender], repetitions=3)["evalwire"]
    return [
        Line(
            row=ROW,
            measured=f"{spans:,} spans of 1 KB, processor time of each",
            unit="µs",
            ours=outcome.median("evalwire"),
            other=other,
            theirs=outcome.median(key),
            target=AHEAD,
            note=outcome.problem,
        )
        for other, key in (("JSON route of phoenix-client", "client"), ("OpenTelemetry's exporter", "exporter"))
    ]
