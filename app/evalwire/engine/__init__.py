"""The engine that runs experiments concurrently; errors of user code become `Failure`s in the result."""

from evalwire.engine.engine import run_engine
from evalwire.engine.limits import EarlierRuns, EngineResult, Limits, Stop
from evalwire.engine.protocols import EarlyVerdicts, GateWatch, Observer, Recorder, Tracer

__all__ = [
    "EarlierRuns",
    "EarlyVerdicts",
    "EngineResult",
    "GateWatch",
    "Limits",
    "Observer",
    "Recorder",
    "Stop",
    "Tracer",
    "run_engine",
]
