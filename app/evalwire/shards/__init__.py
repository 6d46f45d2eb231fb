"""Split a job over parallel CI jobs and merge what they recorded."""

from evalwire.shards.membership import Membership, find_membership, find_run_key
from evalwire.shards.merge import merge_agreed, merge_planned
from evalwire.shards.plan_file import ShardPlan

__all__ = [
    "Membership",
    "ShardPlan",
    "find_membership",
    "find_run_key",
    "merge_agreed",
    "merge_planned",
]
