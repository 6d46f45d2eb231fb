"""Recording of runs in Phoenix, in the journal and as traces."""

from typing import TYPE_CHECKING

from evalwire.loading import lazy_names
from evalwire.recording.create import CreateExperiments, part_of_job
from evalwire.recording.journal.past import PastDataset, PastExperiment, PastJob, PastUse
from evalwire.recording.protocols import EvaluatorTraces, JournalWriter, NoJournal, Opener, Server
from evalwire.recording.recorder import DryRunRecorder, PhoenixRecorder
from evalwire.recording.rescoring import Rescoring, RescoringRecorder
from evalwire.recording.resume import ResumeExperiments
from evalwire.recording.share import FindSharedExperiments, ShareExperiments, past_experiment
from evalwire.recording.untraced import NoTracing

if TYPE_CHECKING:
    from evalwire.recording.journal import Journal, count_runs, newest_journal, read_journal, unfinished_journal
    from evalwire.recording.score import ScoreExperiments, past_of_runs
    from evalwire.recording.tracing import Tracing

__all__ = [
    "CreateExperiments",
    "DryRunRecorder",
    "EvaluatorTraces",
    "FindSharedExperiments",
    "Journal",
    "JournalWriter",
    "NoJournal",
    "NoTracing",
    "Opener",
    "PastDataset",
    "PastExperiment",
    "PastJob",
    "PastUse",
    "PhoenixRecorder",
    "Rescoring",
    "RescoringRecorder",
    "ResumeExperiments",
    "ScoreExperiments",
    "Server",
    "ShareExperiments",
    "Tracing",
    "count_runs",
    "newest_journal",
    "part_of_job",
    "past_experiment",
    "past_of_runs",
    "read_journal",
    "unfinished_journal",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Journal": "journal",
        "ScoreExperiments": "score",
        "Tracing": "tracing",
        "count_runs": "journal",
        "newest_journal": "journal",
        "past_of_runs": "score",
        "read_journal": "journal",
        "unfinished_journal": "journal",
    },
)
