"""Record runs in Phoenix, in the journal and as traces."""

from evalwire.recording.journal import FORMAT, Journal, PastExperiment, PastJob, newest_journal
from evalwire.recording.opening import Opening, Sharing, Terms, past_experiment
from evalwire.recording.recorder import DryRunRecorder, PhoenixRecorder
from evalwire.recording.tracing import Tracing

__all__ = [
    "FORMAT",
    "DryRunRecorder",
    "Journal",
    "Opening",
    "PastExperiment",
    "PastJob",
    "PhoenixRecorder",
    "Sharing",
    "Terms",
    "Tracing",
    "newest_journal",
    "past_experiment",
]
