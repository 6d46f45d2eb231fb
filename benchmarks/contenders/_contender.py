"""What every contender script shares: its arguments, its memory, and the one line that it prints.

Uses the standard library only, since contenders run in environments of their own that have nothing else.
"""

from __future__ import annotations

import importlib.metadata
import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

D = TypeVar("D")
R = TypeVar("R")

SLEEP_SECONDS = 0.05


def arguments() -> dict[str, Any]:
    """What the row asks for: a JSON object on the command line."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    return given


def engine(
    distribution: str,
    *,
    prepare: Callable[[int], D],
    run: Callable[[D, int], R],
    scored: Callable[[R], int],
) -> None:
    """Run the row `engine` with one contender, and tell how long it took from the call to its return.

    The first call, with one example, is not timed: what is imported only then is no part of the work.

    Args:
        distribution: what the contender is installed as.
        prepare: makes a dataset of so many examples, in memory.
        run: runs a dataset with so many examples in flight.
        scored: how many examples were scored 1, which must be all.
    """
    given = arguments()
    run(prepare(1), given["concurrency"])
    data = prepare(given["examples"])
    began = time.perf_counter()
    result = run(data, given["concurrency"])
    seconds = time.perf_counter() - began
    tell(distribution, seconds=seconds, scored=scored(result))


def tell(distribution: str, **figures: Any) -> None:
    """Print the figures, with the contender's version and its peak memory, as the last line of standard output."""
    version = importlib.metadata.version(distribution)
    line = json.dumps({"version": version, "peak_mb": round(peak_bytes() / 2**20, 1), **figures})
    print(f"\n{line}", flush=True)


def peak_bytes() -> int:
    """The most memory that this process has held resident.

    Linux's own note of it, since `getrusage` there starts a new process with what its parent held.
    """
    status = _status()
    if "VmHWM" in status:
        return status["VmHWM"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def resident_bytes() -> int:
    """The memory that this process holds resident now.

    Raises:
        NotImplementedError: this system has no /proc to read it from.
    """
    status = _status()
    if "VmRSS" not in status:
        raise NotImplementedError("resident memory is read from /proc, which this system does not have")
    return status["VmRSS"]


def _status() -> Mapping[str, int]:
    """The sizes in /proc/self/status, in bytes; none where there is no such file."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    words = [line.split() for line in lines]
    return {word[0].rstrip(":"): int(word[1]) * 1024 for word in words if word[-1] == "kB"}
