"""Discovery of the experiments in a directory."""

from evalwire.experiments.discovery import Discovered, find_experiments, importable, load_experiments
from evalwire.experiments.inputs import count_reads, digest_today, file_digest, is_of_project, read_inputs
from evalwire.experiments.requirements import check_requirements

__all__ = [
    "Discovered",
    "check_requirements",
    "count_reads",
    "digest_today",
    "file_digest",
    "find_experiments",
    "importable",
    "is_of_project",
    "load_experiments",
    "read_inputs",
]
