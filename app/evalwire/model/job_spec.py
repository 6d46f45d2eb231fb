"""The specification of a job."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from evalwire.model.selection import ExampleSelection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalwire.model.shard import Sharing
    from evalwire.model.source import OutputSource
    from evalwire.model.stopping import StoppingRules


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedVersion:
    """The dataset version that a job uploaded before it ran.

    Attributes:
        id: Phoenix's ID of the version.
        data: the `data_digest` of the examples to run.
    """

    id: str
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """The work of a job, and the parameters with which its experiments are created in Phoenix.

    A resumed job has the spec of the earlier job.

    Attributes:
        prefix: the first part of the experiments' names in Phoenix.
        metadata: the user's metadata for each experiment; evalwire adds its own.
        repetitions: the number of runs of each example.
        split: the split of the datasets; None for whole datasets.
        dataset_version: the ID of the dataset version; None for the newest version of each dataset.
        uploaded: by dataset, the version that the job uploaded. It runs this version, never a newer version.
        gates: additional gates that `evalwire.toml` does not have, in the syntax of `--gate`.
        baseline: the baseline in the syntax of `--baseline`; empty for none.
        calls: the time limit and the retries of a call, which the digest of an experiment's settings includes.
        selection: the examples that a partial run selects; None for all examples.
        sources: by experiment, the recorded experiment whose outputs the job scores; empty for a job that calls tasks.
        stopping: the rules of early verdicts; None to run all examples.
        sharing: the division of the experiments among shards; None for a job that runs everything.
        is_noise: whether the job measures noise, so that its experiments are never baselines.
    """

    prefix: str = "eval"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    repetitions: int = 1
    split: str | None = None
    dataset_version: str | None = None
    uploaded: Mapping[str, UploadedVersion] = field(default_factory=dict)
    gates: tuple[str, ...] = ()
    baseline: str = ""
    calls: Mapping[str, Any] = field(default_factory=dict)
    selection: ExampleSelection | None = None
    sources: Mapping[str, OutputSource] = field(default_factory=dict)
    stopping: StoppingRules | None = None
    sharing: Sharing | None = None
    is_noise: bool = False

    def of_experiment(self, name: str) -> JobSpec:
        """Return the specification of an experiment: a scored experiment has the parameters of its source."""
        source = self.sources.get(name)
        if source is None:
            return self
        return replace(
            self,
            repetitions=source.repetitions,
            split=source.split,
            dataset_version=source.version_id,
            selection=ExampleSelection.from_json(source.selection),
        )

    def version_of(self, dataset_name: str) -> str | None:
        """Return the ID of the version of a dataset to run; None for the newest version."""
        uploaded = self.uploaded.get(dataset_name)
        return uploaded.id if uploaded else self.dataset_version
