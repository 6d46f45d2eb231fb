"""Shared code of contender scripts: arguments, memory, and the printed figures.

Use only the standard library, because contenders run in separate environments.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

D = TypeVar("D")
R = TypeVar("R")

SLEEP_SECONDS = 0.05  # unless the row asks for tasks that do not wait


def arguments() -> dict[str, Any]:
    """Return the arguments of the row, a JSON object on the command line."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    return given


def waits() -> bool:
    """Check whether the tasks of the row wait."""
    return bool(arguments().get("waits", True))


def engine(
    distribution: str,
    *,
    prepare: Callable[[int], D],
    run: Callable[[D, int], R],
    scored: Callable[[R], int],
) -> None:
    """Run the row `engine` with a contender, and print the duration of the call.

    A first call with a single example is not timed, because it includes late imports.

    Args:
        distribution: the name of the installed package.
        prepare: creates a dataset with the given number of examples in memory.
        run: runs a dataset with the given number of examples in flight.
        scored: returns the number of examples with score 1, which must be all.
    """
    given = arguments()
    run(prepare(1), given["concurrency"])
    data = prepare(given["examples"])
    began = time.perf_counter()
    result = run(data, given["concurrency"])
    seconds = time.perf_counter() - began
    report(distribution, seconds=seconds, scored=scored(result))


def report(distribution: str, **figures: Any) -> None:
    """Print the figures, the version and the peak memory as the last line of standard output."""
    version = importlib.metadata.version(distribution)
    line = json.dumps({"version": version, "peak_mb": round(peak_bytes() / 2**20, 1), **figures})
    print(f"\n{line}", flush=True)


def peak_bytes() -> int:
    """Return the peak resident memory of this process, in bytes.

    On Linux, read it from /proc: the value of `getrusage` includes the peak of the parent process.
    """
    status = _status()
    if "VmHWM" in status:
        return status["VmHWM"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def child_seconds() -> float:
    """Return the processor time of all processes that this process has waited for, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def process_seconds(process_id: int) -> float:
    """Return the processor time of another process so far, in seconds, from Linux's /proc."""
    fields = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes() -> int:
    """Return the resident memory of this process, in bytes.

    Raises:
        NotImplementedError: the system has no /proc.
    """
    status = _status()
    if "VmRSS" not in status:
        raise NotImplementedError("cannot measure resident memory: the system has no /proc")
    return status["VmRSS"]


def _status() -> Mapping[str, int]:
    """Return the sizes in /proc/self/status in bytes, or nothing if the file is missing."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    words = [line.split() for line in lines]
    return {word[0].rstrip(":"): int(word[1]) * 1024 for word in words if word[-1] == "kB"}
