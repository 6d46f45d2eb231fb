"""The journal: a file to which all results are written before they are sent, and from which a job resumes."""

from typing import TYPE_CHECKING

from evalwire.loading import lazy_names
from evalwire.recording.journal.past import PastDataset, PastExperiment, PastJob, PastUse

if TYPE_CHECKING:
    from evalwire.recording.journal.earlier import newest_journal, unfinished_journal
    from evalwire.recording.journal.reader import count_runs, read_journal
    from evalwire.recording.journal.writer import Journal

__all__ = [
    "Journal",
    "PastDataset",
    "PastExperiment",
    "PastJob",
    "PastUse",
    "count_runs",
    "newest_journal",
    "read_journal",
    "unfinished_journal",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Journal": "writer",
        "count_runs": "reader",
        "newest_journal": "earlier",
        "read_journal": "reader",
        "unfinished_journal": "earlier",
    },
)
