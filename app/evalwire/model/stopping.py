"""Early verdicts: the rules, the random order of the examples, and the extent of an experiment that ended early."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from evalwire.model.run import TaskRun

ErrorsJudged = Literal["seen", "all"]
OnFailed = Literal["stop", "finish"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppingRules:
    """The rules by which experiments end early, when their gates are decided.

    Attributes:
        risk: the maximum probability that the whole experiment would decide any limit of the job otherwise.
        min_examples: the number of complete examples before the first decision.
        errors: whether `max_error_rate` counts the examples that ran (`seen`), or needs all examples (`all`).
        on_failed: whether a failed gate ends its experiment (`stop`), or all gates have to be decided (`finish`).
        limits: the number of limits of the job that can be decided early.
        drops: the number of drop gates of the job.
    """

    risk: float = 0.01
    min_examples: int = 30
    errors: ErrorsJudged = "seen"
    on_failed: OnFailed = "stop"
    limits: int = 1
    drops: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return the rules as JSON, for the journal and for Phoenix."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> StoppingRules | None:
        """Read the rules from JSON, without other entries; None for a job without early verdicts."""
        if not isinstance(value, Mapping):
            return None
        try:
            return cls(**{key: value[key] for key in cls.__slots__})
        except KeyError:  # from another version
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecision:
    """The decision of a gate from its looks at a growing part of an experiment.

    Attributes:
        gate: the name of the gate.
        status: the status of the gate; None if the looks did not decide it.
        text: the reason, to follow the text of the gate.
        threshold: the limit of the gate.
        basis: the other settings of the gate, and its baseline. A later job with another threshold or basis ignores
            the decision.
        p_value: for a drop, the p-value for all looks, without a correction for other gates; None without a look.
    """

    gate: str
    status: Literal["passed", "failed"] | None
    text: str = ""
    threshold: float
    basis: str = ""
    p_value: float | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> GateDecision:
        """Read a decision from JSON, without other entries.

        Raises:
            TypeError: an entry is missing.
        """
        return cls(**{key: value[key] for key in cls.__slots__ if key in value})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """The extent of an experiment with early verdicts, and the decisions of its gates.

    Attributes:
        seen: the number of examples that count: the unbroken start of the random order.
        of: the number of examples of the whole experiment.
        rounds: the number of repetitions that count.
        of_rounds: the number of repetitions of the whole experiment.
        beyond: the number of runs in flight at the decision, which are recorded and paid, but do not count.
        beyond_failed: the number of failed runs among them.
        risk: the maximum probability that the whole experiment would decide any limit of the job otherwise.
        decisions: the decisions of the gates.
        runs_beyond: the runs in flight at the decision; empty in later jobs.
    """

    seen: int
    of: int
    rounds: int = 1
    of_rounds: int = 1
    beyond: int = 0
    beyond_failed: int = 0
    risk: float = 0.0
    decisions: tuple[GateDecision, ...] = ()
    runs_beyond: tuple[TaskRun, ...] = ()

    @property
    def made(self) -> int:
        """The number of runs that were made."""
        return self.seen * self.rounds + self.beyond

    @property
    def not_needed(self) -> int:
        """The number of runs that were not made."""
        return self.of * self.of_rounds - self.made

    @property
    def is_early(self) -> bool:
        """True if the gates were decided before the whole experiment."""
        return (self.seen, self.rounds) != (self.of, self.of_rounds)

    @property
    def extent(self) -> str:
        """The extent as text: `140 of 500 examples`, or `2 of 5 repetitions`."""
        if self.of_rounds > 1:
            return f"{self.rounds} of {self.of_rounds} repetitions"
        return f"{self.seen:,} of {self.of:,} examples"

    def decision(self, gate: str) -> GateDecision | None:
        """Return the decision of the gate with this name; None for a gate without looks."""
        return next((decision for decision in self.decisions if decision.gate == gate), None)

    def to_json(self) -> dict[str, Any]:
        """Return the extent and the decisions as JSON, for Phoenix."""
        names = ("seen", "of", "rounds", "of_rounds", "beyond", "beyond_failed", "risk")
        return {**{name: getattr(self, name) for name in names}, "decisions": list(map(asdict, self.decisions))}

    @classmethod
    def from_json(cls, value: object) -> Stopping | None:
        """Read `to_json`, possibly with other entries; None without an extent."""
        if not isinstance(value, Mapping) or "seen" not in value:
            return None
        try:
            return cls(
                seen=int(value["seen"]),
                of=int(value["of"]),
                rounds=int(value["rounds"]),
                of_rounds=int(value["of_rounds"]),
                beyond=int(value["beyond"]),
                beyond_failed=int(value["beyond_failed"]),
                risk=float(value["risk"]),
                decisions=tuple(map(GateDecision.from_json, value["decisions"])),
            )
        except (KeyError, TypeError, ValueError, AttributeError):  # from another version
            return None


def random_order(key: str, example_ids: Sequence[str]) -> list[int]:
    """Return the positions of examples in a random order that no user chooses.

    The examples are sorted by the SHA-256 digest of the key and their ID. An experiment has a new random key, so the
    order is the same when the experiment is resumed, and differs between experiments.

    Args:
        key: the experiment's creation key.
        example_ids: the IDs of the examples, in the dataset's order.
    """

    def digest(place: int) -> bytes:
        return hashlib.sha256(f"{key}\0{example_ids[place]}".encode()).digest()

    return sorted(range(len(example_ids)), key=digest)
