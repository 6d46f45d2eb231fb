"""The engine that runs experiments concurrently; errors of user code become `Failure`s in the result."""

from evalwire.engine.engine import run_engine
from evalwire.engine.job_state import UNKNOWN_USAGE
from evalwire.engine.limits import EarlierRuns, EngineResult, Limits, Stop
from evalwire.engine.protocols import EarlyVerdicts, GateWatch, Observer, Recorder, Tracer

__all__ = [
    "UNKNOWN_USAGE",
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
