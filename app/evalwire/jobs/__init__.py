"""Compose a job from the stages, from settings to exit code."""

from typing import TYPE_CHECKING

from evalwire.loading import lazy_names

if TYPE_CHECKING:
    from evalwire.jobs.budget import budget_of, resumed_budget
    from evalwire.jobs.connect import (
        Connect,
        is_in_container,
        kept_notice,
        local_notice,
        local_progress,
        local_server,
        reachable_phoenix,
    )
    from evalwire.jobs.console import Console
    from evalwire.jobs.crash import report_crash
    from evalwire.jobs.early import check_early
    from evalwire.jobs.example_selection import ExampleRequest, select_examples
    from evalwire.jobs.forecast import forecast_text, recorded_forecast, refusal
    from evalwire.jobs.gating import (
        NO_GATING,
        OF_BUDGET,
        GateRequest,
        Gating,
        job_gating,
        known_names,
        prepare_gating,
    )
    from evalwire.jobs.judging import LabelRequest, edited_files, judges_directory, labeled_experiment, labels_path
    from evalwire.jobs.labeling import LabelBook, LabelingRequest, find_labeled_experiment
    from evalwire.jobs.lifecycle import run_and_report
    from evalwire.jobs.listing import Listing
    from evalwire.jobs.names import NAMES, RecordedNames
    from evalwire.jobs.noise import SameCode, find_same_code, is_complete_record, measured_noise
    from evalwire.jobs.outcome import decide_outcome, record_outcomes
    from evalwire.jobs.parts import opener
    from evalwire.jobs.progress import Quiet, progress_counter
    from evalwire.jobs.recorded import counted_result, experiment_report, export_experiment
    from evalwire.jobs.report_writer import ReportWriter
    from evalwire.jobs.run import Job, JobStart, run_job
    from evalwire.jobs.scoring import check_outputs, recorded_outputs, say_sources, scored_spec, with_task_files
    from evalwire.jobs.selection import (
        Loaded,
        Selected,
        directory_of,
        discover,
        loaded_experiments,
        project_experiments,
        recorded_names,
        select_names,
    )
    from evalwire.jobs.signals import Signals
    from evalwire.jobs.spec import engine_limits, job_spec, resumed_spec
    from evalwire.jobs.testset import (
        prepare_datasets,
        testset_columns,
        testset_differences,
        testset_path,
        with_uploads,
    )
    from evalwire.jobs.variants.messages import Inherited
    from evalwire.jobs.watched_files import WatchedFiles

__all__ = [
    "NAMES",
    "NO_GATING",
    "OF_BUDGET",
    "Connect",
    "Console",
    "ExampleRequest",
    "GateRequest",
    "Gating",
    "Inherited",
    "Job",
    "JobStart",
    "LabelBook",
    "LabelRequest",
    "LabelingRequest",
    "Listing",
    "Loaded",
    "Quiet",
    "RecordedNames",
    "ReportWriter",
    "SameCode",
    "Selected",
    "Signals",
    "WatchedFiles",
    "budget_of",
    "check_early",
    "check_outputs",
    "counted_result",
    "decide_outcome",
    "directory_of",
    "discover",
    "edited_files",
    "engine_limits",
    "experiment_report",
    "export_experiment",
    "find_labeled_experiment",
    "find_same_code",
    "forecast_text",
    "is_complete_record",
    "is_in_container",
    "job_gating",
    "job_spec",
    "judges_directory",
    "kept_notice",
    "known_names",
    "labeled_experiment",
    "labels_path",
    "loaded_experiments",
    "local_notice",
    "local_progress",
    "local_server",
    "measured_noise",
    "opener",
    "prepare_datasets",
    "prepare_gating",
    "progress_counter",
    "project_experiments",
    "reachable_phoenix",
    "record_outcomes",
    "recorded_forecast",
    "recorded_names",
    "recorded_outputs",
    "refusal",
    "report_crash",
    "resumed_budget",
    "resumed_spec",
    "run_and_report",
    "run_job",
    "say_sources",
    "scored_spec",
    "select_examples",
    "select_names",
    "testset_columns",
    "testset_differences",
    "testset_path",
    "with_task_files",
    "with_uploads",
]

__getattr__ = lazy_names(
    __name__,
    {
        "NO_GATING": "gating",
        "OF_BUDGET": "gating",
        "Connect": "connect",
        "Console": "console",
        "ExampleRequest": "example_selection",
        "GateRequest": "gating",
        "Gating": "gating",
        "Job": "run",
        "LabelBook": "labeling",
        "LabelingRequest": "labeling",
        "find_labeled_experiment": "labeling",
        "is_in_container": "connect",
        "JobStart": "run",
        "Listing": "listing",
        "NAMES": "names",
        "RecordedNames": "names",
        "SameCode": "noise",
        "Quiet": "progress",
        "ReportWriter": "report_writer",
        "Signals": "signals",
        "WatchedFiles": "watched_files",
        "budget_of": "budget",
        "check_outputs": "scoring",
        "counted_result": "recorded",
        "decide_outcome": "outcome",
        "directory_of": "selection",
        "discover": "selection",
        "check_early": "early",
        "engine_limits": "spec",
        "experiment_report": "recorded",
        "forecast_text": "forecast",
        "recorded_forecast": "forecast",
        "refusal": "forecast",
        "export_experiment": "recorded",
        "job_gating": "gating",
        "job_spec": "spec",
        "LabelRequest": "judging",
        "edited_files": "judging",
        "judges_directory": "judging",
        "labeled_experiment": "judging",
        "labels_path": "judging",
        "kept_notice": "connect",
        "local_notice": "connect",
        "known_names": "gating",
        "Inherited": "variants.messages",
        "Loaded": "selection",
        "Selected": "selection",
        "loaded_experiments": "selection",
        "project_experiments": "selection",
        "recorded_names": "selection",
        "local_progress": "connect",
        "local_server": "connect",
        "find_same_code": "noise",
        "is_complete_record": "noise",
        "measured_noise": "noise",
        "opener": "parts",
        "prepare_datasets": "testset",
        "prepare_gating": "gating",
        "progress_counter": "progress",
        "reachable_phoenix": "connect",
        "record_outcomes": "outcome",
        "recorded_outputs": "scoring",
        "report_crash": "crash",
        "say_sources": "scoring",
        "scored_spec": "scoring",
        "with_task_files": "scoring",
        "resumed_budget": "budget",
        "resumed_spec": "spec",
        "run_job": "run",
        "run_and_report": "lifecycle",
        "select_examples": "example_selection",
        "select_names": "selection",
        "testset_columns": "testset",
        "testset_differences": "testset",
        "testset_path": "testset",
        "with_uploads": "testset",
    },
)
