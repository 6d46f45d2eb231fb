"""Run experiments concurrently; a failure of the users' code becomes a `Failure` in the result, not an exception."""

from evalwire.engine.engine import run_engine
from evalwire.engine.limits import EngineResult, Limits, Stop
from evalwire.engine.protocols import Observer, Recorder, Tracer

__all__ = [
    "EngineResult",
    "Limits",
    "Observer",
    "Recorder",
    "Stop",
    "Tracer",
    "run_engine",
]
