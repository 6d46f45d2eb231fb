"""Compose a job from the stages, from settings to exit code."""

from evalwire.jobs.console import Console
from evalwire.jobs.gating import NO_GATING, GateRequest, known_names, prepare_gating
from evalwire.jobs.lifecycle import run_and_report
from evalwire.jobs.outcome import decide_outcome, record_outcomes
from evalwire.jobs.progress import Quiet, progress_counter
from evalwire.jobs.recorded import counted_result, experiment_report, export_experiment
from evalwire.jobs.report_writer import ReportWriter
from evalwire.jobs.run import Job, JobStart, opener, run
from evalwire.jobs.selection import discover, load_selected, select_names
from evalwire.jobs.server import Connect, reachable_phoenix
from evalwire.jobs.signals import Signals
from evalwire.jobs.spec import engine_limits, job_spec, resumed_spec
from evalwire.jobs.testset import testset_columns, testset_path

__all__ = [
    "NO_GATING",
    "Connect",
    "Console",
    "GateRequest",
    "Job",
    "JobStart",
    "Quiet",
    "ReportWriter",
    "Signals",
    "counted_result",
    "decide_outcome",
    "discover",
    "engine_limits",
    "experiment_report",
    "export_experiment",
    "job_spec",
    "known_names",
    "load_selected",
    "opener",
    "prepare_gating",
    "progress_counter",
    "reachable_phoenix",
    "record_outcomes",
    "resumed_spec",
    "run",
    "run_and_report",
    "select_names",
    "testset_columns",
    "testset_path",
]
