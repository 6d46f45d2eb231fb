"""Report files of many examples: processor time, bytes and memory to write them, and memory to read the results."""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _contender import arguments, peak_bytes, report, resident_bytes

sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks import pages

from evalwire import reports

KILOBYTE = 1024
WARM_UP = 300
FILES = {**reports.files(), "console.txt": "console"}


def write(made: Any, directory: Path) -> dict[str, float]:
    """Write all report files; return the milliseconds of processor time by format."""
    spent = {}
    for name, format_ in FILES.items():
        began = time.process_time()
        reports.write(directory / name, reports.pieces(made, format_))
        spent[format_] = (time.process_time() - began) * 1000
    return spent


def floor(results: Path) -> float:
    """Return the milliseconds of processor time to encode each run as JSON and to compress the text at level 1."""
    runs = json.loads(results.read_bytes())["experiments"][0]["runs"]
    gc.collect()
    began = time.process_time()
    deflate = zlib.compressobj(1)
    for run in runs:
        deflate.compress(json.dumps(run).encode())
    deflate.flush()
    return (time.process_time() - began) * 1000


def main() -> None:
    """Make a report, write its files, and print the figures per example."""
    given = arguments()
    count, directory = given["examples"], Path(given["directory"])
    make: Callable[[int, int], Any] = getattr(pages, given["report"])
    with tempfile.TemporaryDirectory() as warm_up:
        small = make(WARM_UP, KILOBYTE)
        write(small, Path(warm_up))
        reports.load_results(Path(warm_up) / "results.json")
    gc.collect()
    before = resident_bytes()
    if given["is_read"]:
        results = reports.load_results(directory / "results.json").results
        growth = (peak_bytes() - before) / count / KILOBYTE
        report("evalwire", runs=len(results[0].runs), peak_kb=growth)
        return
    made = make(count, KILOBYTE)
    gc.collect()
    held = resident_bytes()
    spent = write(made, directory)
    peak = peak_bytes()
    sizes = {format_: (directory / name).stat().st_size / 1e6 for name, format_ in FILES.items()}
    report(
        "evalwire",
        runs=len(made.results[0].runs),
        held_kb=(held - before) / count / KILOBYTE,
        peak_kb=(peak - before) / count / KILOBYTE,
        megabytes=sum(sizes.values()),
        total_ms=sum(spent.values()) / count,
        floor_ms=floor(directory / "results.json") / count,
        **{f"{format_}_ms": value / count for format_, value in spent.items()},
        **{f"{format_}_mb": size for format_, size in sizes.items()},
    )


main()
