"""Read and write plans: the experiments that `evalwire plan` creates for the shards of a pipeline run."""

# NOTE: no `from __future__ import annotations` here: msgspec reads the annotations
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Self

import msgspec

from evalwire.errors import UsageError
from evalwire.model import Budget, JobSpec, OpenExperiment
from evalwire.recording import PastDataset, PastExperiment, PastJob

FORMAT: Final = 1

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Count = Annotated[int, msgspec.Meta(ge=1)]


class PlannedExperiment(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment in Phoenix, with all examples, that the shards record to."""

    experiment: _Text
    id: _Text
    url: str | None
    recorded_name: _Text
    project_name: str | None
    dataset: PastDataset
    metadata: Mapping[str, Any]

    @classmethod
    def of(cls, opened: OpenExperiment) -> Self:
        """Return the plan entry of an opened experiment.

        Raises:
            ValueError: the experiment is not in Phoenix.
        """
        if opened.id is None:
            raise ValueError(f"{opened.experiment.name} is not in Phoenix")
        return cls(
            experiment=opened.experiment.name,
            id=opened.id,
            url=opened.url,
            recorded_name=opened.recorded_name,
            project_name=opened.project_name,
            dataset=PastDataset.of(opened.dataset),
            metadata=opened.metadata,
        )


class ShardPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The plan that the shards of a pipeline run share; the file has the same fields.

    Attributes:
        format: version of the file format.
        shards: number of shards.
        prefix: prefix of the experiment names in Phoenix.
        repetitions: number of runs of each example.
        split: split of the datasets; None for whole datasets.
        endpoint: address of the Phoenix that has the experiments, for information only.
        experiments: experiments that the shards record to.
        max_cost_usd: budget of all shards together in USD; None for no limit.
        max_tokens: budget of all shards together in tokens; None for no limit.
        max_seconds: budget of each shard in seconds, because shards run at the same time; None for no limit.
    """

    format: int = FORMAT
    shards: _Count
    prefix: _Text
    repetitions: _Count
    split: _Text | None
    endpoint: _Text
    experiments: tuple[PlannedExperiment, ...]
    max_cost_usd: float | None = None
    max_tokens: int | None = None
    max_seconds: float | None = None

    @classmethod
    def of(
        cls,
        opened: Sequence[OpenExperiment],
        *,
        shards: int,
        prefix: str,
        repetitions: int,
        split: str | None,
        endpoint: str,
        budget: Budget,
    ) -> Self:
        """Return a plan of opened experiments that have all their examples."""
        return cls(
            shards=shards,
            prefix=prefix,
            repetitions=repetitions,
            split=split,
            endpoint=endpoint,
            experiments=tuple(map(PlannedExperiment.of, opened)),
            max_cost_usd=budget.max_cost_usd,
            max_tokens=budget.max_tokens,
            max_seconds=budget.max_seconds,
        )

    @classmethod
    def load(cls, text: str) -> Self:
        """Load a plan from JSON text, or from a file with this name.

        Raises:
            UsageError: the file cannot be read, or is not a plan that this version of evalwire supports.
        """
        if text.lstrip().startswith("{"):
            return cls._parse(text, "the plan in EVALWIRE_PLAN")
        try:
            return cls._parse(Path(text).read_text(encoding="utf-8"), f"the plan {text}")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise UsageError(f"the plan {text} cannot be read: {reason}.") from error

    @classmethod
    def _parse(cls, text: str, name: str) -> Self:
        try:
            fields = json.loads(text)
        except ValueError as error:
            raise UsageError(f"{name} is not JSON: {error}.") from error
        if not isinstance(fields, dict) or "format" not in fields:
            raise UsageError(f"{name} is not an evalwire plan: it has no `format`. Create a plan with `evalwire plan`.")
        if fields["format"] != FORMAT:
            raise UsageError(
                f"{name} was written by another version of evalwire (format {fields['format']}; this version reads "
                f"{FORMAT}). Create it again with `evalwire plan`."
            )
        try:
            return msgspec.convert(fields, type=cls)
        except msgspec.ValidationError as error:
            raise UsageError(f"{name} is damaged: {error}. Create it again with `evalwire plan`.") from error

    def dump(self) -> str:
        """Return the plan as a line of JSON, including a matrix for GitHub's `fromJSON`."""
        matrix = {"shard": [f"{number}/{self.shards}" for number in range(1, self.shards + 1)]}
        fields = {**msgspec.structs.asdict(self), "matrix": matrix}
        return json.dumps(msgspec.to_builtins(fields, str_keys=True, enc_hook=str), ensure_ascii=False) + "\n"

    @property
    def budget(self) -> Budget:
        """The budget of all shards together."""
        return Budget(max_cost_usd=self.max_cost_usd, max_tokens=self.max_tokens, max_seconds=self.max_seconds)

    @property
    def past(self) -> PastJob:
        """Return the plan as an earlier job, which each shard continues."""
        return PastJob(
            experiments=[planned.experiment for planned in self.experiments],
            spec=JobSpec(prefix=self.prefix, repetitions=self.repetitions, split=self.split),
            past={
                planned.experiment: PastExperiment(**msgspec.structs.asdict(planned), repetitions=self.repetitions)
                for planned in self.experiments
            },
        )
