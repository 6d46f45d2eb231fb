"""A plan: the experiments that the shards of a pipeline run record to, as `evalwire plan` creates and writes them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalwire.errors import UsageError
from evalwire.model import JobSpec
from evalwire.recording import PastExperiment, PastJob

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalwire.model import OpenExperiment


FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardPlan:
    """What the shards of a pipeline run share.

    Attributes:
        shards: how many there are.
        prefix: first part of the experiments' names.
        repetitions: how often each example is run.
        split: of the datasets, or None for all of each.
        endpoint: the Phoenix that they are in, for people.
        experiments: as if a journal had told of them, each with its id in Phoenix.
    """

    shards: int
    prefix: str
    repetitions: int
    split: str | None
    endpoint: str
    experiments: tuple[PastExperiment, ...]

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
    ) -> ShardPlan:
        """A plan of experiments that were created, or found, with all their examples."""
        return cls(
            shards=shards,
            prefix=prefix,
            repetitions=repetitions,
            split=split,
            endpoint=endpoint,
            experiments=tuple(PastExperiment.of(one) for one in opened),
        )

    @classmethod
    def load(cls, text: str) -> ShardPlan:
        """Read a plan: the JSON itself, else the name of a file with it.

        Raises:
            UsageError: there is no such file, or it is no plan that this version of evalwire understands.
        """
        if text.lstrip().startswith("{"):
            return _parse(text, "the plan in EVALWIRE_PLAN")
        try:
            return _parse(Path(text).read_text(encoding="utf-8"), f"the plan {text}")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise UsageError(f"the plan {text} cannot be read: {reason}.") from error

    def dump(self) -> str:
        """The plan as one line of JSON, with the matrix that GitHub's `fromJSON` takes."""
        document = {
            "format": FORMAT,
            "shards": self.shards,
            "prefix": self.prefix,
            "repetitions": self.repetitions,
            "split": self.split,
            "endpoint": self.endpoint,
            "experiments": [
                {
                    "experiment": one.experiment,
                    "id": one.id,
                    "url": one.url,
                    "recorded_name": one.recorded_name,
                    "project_name": one.project_name,
                    "dataset": one.dataset,
                    "metadata": one.metadata,
                }
                for one in self.experiments
            ],
            "matrix": {"shard": [f"{number}/{self.shards}" for number in range(1, self.shards + 1)]},
        }
        return json.dumps(document, ensure_ascii=False, default=str) + "\n"

    @property
    def past(self) -> PastJob:
        """The plan as the earlier job that each shard goes on with."""
        return PastJob(
            experiments=[one.experiment for one in self.experiments],
            spec=JobSpec(prefix=self.prefix, repetitions=self.repetitions, split=self.split),
            past={one.experiment: one for one in self.experiments},
        )


def _parse(text: str, name: str) -> ShardPlan:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{name} is no JSON: {error}.") from error
    try:
        if document["format"] != FORMAT:
            raise UsageError(f"{name} is of another version of evalwire (format {document['format']}, not {FORMAT}).")
        return ShardPlan(
            shards=_count(document["shards"]),
            prefix=_text(document["prefix"]),
            repetitions=_count(document["repetitions"]),
            split=None if document["split"] is None else _text(document["split"]),
            endpoint=_text(document["endpoint"]),
            experiments=tuple(_experiment(one, document["repetitions"]) for one in document["experiments"]),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{name} is no plan of evalwire: {type(error).__name__}: {error}.") from error


def _experiment(fields: Mapping[str, Any], repetitions: int) -> PastExperiment:
    dataset = fields["dataset"]
    return PastExperiment(
        experiment=_text(fields["experiment"]),
        dataset={
            "id": _text(dataset["id"]),
            "name": _text(dataset["name"]),
            "version_id": _text(dataset["version_id"]),
            "examples": _count(dataset["examples"]),
            "split": dataset["split"],
        },
        recorded_name=_text(fields["recorded_name"]),
        metadata=dict(fields["metadata"]),
        repetitions=repetitions,
        id=_text(fields["id"]),
        url=fields["url"],
        project_name=fields["project_name"],
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected text, not {value!r}")
    return value


def _count(value: object) -> int:
    if type(value) is not int or value < 1:
        raise ValueError(f"expected a whole number, 1 or more, not {value!r}")
    return value
