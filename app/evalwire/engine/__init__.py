"""Run experiments concurrently, with every failure a value."""

from evalwire.engine.engine import run_job
from evalwire.engine.limits import JobResult, Limits, Stop
from evalwire.engine.protocols import Observer, Recorder

__all__ = [
    "JobResult",
    "Limits",
    "Observer",
    "Recorder",
    "Stop",
    "run_job",
]
