"""What a job runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalwire.model.shard import Sharing


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """What a job runs, and how its experiments are created in Phoenix.

    A job that resumes an earlier one has the earlier one's spec.

    Attributes:
        prefix: the first part of the experiments' names in Phoenix.
        metadata: recorded with each experiment, beside evalwire's own.
        repetitions: runs of each example.
        split: the split of the datasets; None for whole datasets.
        dataset_version: the ID of the version of the dataset; None for the newest version of each.
        gates: the gates that were given beside those of `evalwire.toml`, as `--gate` has them.
        baseline: the baseline that was given, as `--baseline` has it; empty for none.
        calls: the time limit and the retries of a call, which the digest of an experiment's settings includes.
        sharing: how the experiments are shared with jobs that run other shards; None for a job that runs everything.
    """

    prefix: str = "eval"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    repetitions: int = 1
    split: str | None = None
    dataset_version: str | None = None
    gates: tuple[str, ...] = ()
    baseline: str = ""
    calls: Mapping[str, Any] = field(default_factory=dict)
    sharing: Sharing | None = None
