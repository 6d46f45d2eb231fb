"""Write everything that was paid for into a file before it is sent, and read it back."""

from evalwire.recording.journal.past import PastExperiment, PastJob
from evalwire.recording.journal.reader import read_journal
from evalwire.recording.journal.writer import Journal, newest_journal

__all__ = ["Journal", "PastExperiment", "PastJob", "newest_journal", "read_journal"]
