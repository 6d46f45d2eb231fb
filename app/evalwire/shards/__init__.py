"""Split experiments over parallel CI jobs and merge the recorded results."""

from typing import TYPE_CHECKING

from evalwire.loading import lazy_names

if TYPE_CHECKING:
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

_MEMBERSHIP = dict.fromkeys(("Membership", "find_membership", "find_run_key"), "membership")
_MERGE = dict.fromkeys(("merge_agreed", "merge_planned"), "merge")

__getattr__ = lazy_names(__name__, {**_MEMBERSHIP, **_MERGE, "ShardPlan": "plan_file"})  # msgspec is slow to import
