"""Compose a job from the stages, from settings to exit code."""

from evalwire.jobs.context import Context
from evalwire.jobs.gating import GateRequest, Gating, known_names, prepare_gating
from evalwire.jobs.job import Job, Reporter, Signals, execute, load, outcome_of, reachable, selected
from evalwire.jobs.progress import progress_counter
from evalwire.jobs.recorded import experiment_report, export_experiment
from evalwire.jobs.run import note_ends

__all__ = [
    "Context",
    "GateRequest",
    "Gating",
    "Job",
    "Reporter",
    "Signals",
    "execute",
    "experiment_report",
    "export_experiment",
    "known_names",
    "load",
    "note_ends",
    "outcome_of",
    "prepare_gating",
    "progress_counter",
    "reachable",
    "selected",
]
