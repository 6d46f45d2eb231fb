"""Variants of an experiment: the same code with other environment variables, and comparisons of them (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evalwire.model.json_values import EMPTY
from evalwire.model.metadata import own_metadata

if TYPE_CHECKING:
    from evalwire.model.baseline import Direction, Interval

DEFAULT_VARIANT = "default"
"""The name of the experiment without a variant's environment."""

_SIGN = "@"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A variant of an experiment.

    Attributes:
        name: the name, such as `fast`.
        directory: the name of the experiment's directory.
        env: the environment variables that differ, by name.
    """

    name: str
    directory: str
    env: Mapping[str, str] = field(default_factory=lambda: EMPTY)

    @property
    def experiment(self) -> str:
        """The name of the experiment that runs the variant, such as `answer@fast`."""
        return f"{self.directory}{_SIGN}{self.name}"

    def to_json(self) -> dict[str, Any]:
        """Return the entry in the metadata of an experiment."""
        return {"name": self.name, "directory": self.directory, "env": dict(self.env)}


def recorded_variant(metadata: Mapping[str, Any] | None) -> Variant | None:
    """Return the variant that an experiment ran, from its metadata; None for an experiment without a variant."""
    found = own_metadata(metadata).get("variant")
    if not isinstance(found, Mapping) or not isinstance(found.get("env"), Mapping):
        return None
    env = {str(name): str(value) for name, value in found["env"].items()}
    return Variant(name=str(found.get("name")), directory=str(found.get("directory")), env=env)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreDifference:
    """The difference of a score between two variants, over the examples that both ran.

    Attributes:
        name: the name of the evaluation.
        direction: whether higher or lower scores are better.
        is_bool: whether all scores are bools.
        pairs: the number of examples with a score in both.
        worse: the number of examples on which the second variant is worse.
        better: the number of examples on which the second variant is better.
        first: the mean of the first variant over the pairs.
        second: the mean of the second variant over the pairs.
        change: `second - first`.
        interval: the two-sided confidence interval of the change, without a correction; None with too few pairs.
        p_value: the two-sided p-value, corrected over all differences of the job (Holm).
        test: the name of the statistical test.
    """

    name: str
    direction: Direction
    is_bool: bool
    pairs: int
    worse: int
    better: int
    first: float
    second: float
    change: float
    interval: Interval | None
    p_value: float
    test: str

    @property
    def is_gain(self) -> bool:
        """Check whether the second variant has the better mean."""
        return self.change != 0 and (self.change > 0) != (self.direction == "minimize")


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantComparison:
    """The comparison of two variants of an experiment.

    Attributes:
        experiment: the name of the experiment's directory.
        first: the name of the first variant's experiment.
        second: the name of the second variant's experiment.
        examples: the number of examples that both ran.
        scores: the differences of the scores that both have.
    """

    experiment: str
    first: str
    second: str
    examples: int
    scores: tuple[ScoreDifference, ...] = ()
