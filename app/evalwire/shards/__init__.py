"""Split a job over parallel CI jobs and merge what they recorded."""

from evalwire.shards.membership import of_past, part_of, run_key, terms_of
from evalwire.shards.merge import merged_results
from evalwire.shards.plan_file import ShardPlan

__all__ = [
    "ShardPlan",
    "merged_results",
    "of_past",
    "part_of",
    "run_key",
    "terms_of",
]
