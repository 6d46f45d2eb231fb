"""Shards: the parts into which the examples of an experiment are divided, by a stable order (pure)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_MOST_NAMED = 5  # missing examples that a sentence lists


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of every experiment: `number`, counted from 1, of `total`."""

    number: int
    total: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.total:
            raise ValueError(f"there is no shard {self.number} of {self.total}")

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Parse a text such as `2/5`, the second of five shards.

        Raises:
            ValueError: the text has another form, or the number is not between 1 and the total.
        """
        found = re.fullmatch(r"([0-9]+)/([0-9]+)", text.strip())
        if found is None:
            raise ValueError("expected the form 2/5 (the second of five shards)")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    @property
    def suffix(self) -> str:
        """The suffix of the shard's report names, for example `-2-of-5`."""
        return f"-{self.number}-of-{self.total}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """The division of experiments among the jobs of a pipeline run, a shard for each job.

    Attributes:
        total: the number of shards.
        shard: the shard that this job runs; None for a job that does not run a shard.
        run_key: the key by which the jobs find the experiments of their pipeline run; None if a plan names them.
        job: the common name of the shards' jobs; empty if unknown.
    """

    total: int
    shard: Shard | None = None
    run_key: str | None = None
    job: str = ""


def deal_examples(ids: Sequence[str], total: int, *, experiment: str) -> list[int]:
    """Return the number of the shard, from 1, to which each example of an experiment belongs.

    The examples are assigned in turn, in the order of the SHA-256 of their IDs. The sizes of the shards differ by at
    most 1 and do not depend on the dataset's order. The shard of the first example depends on the experiment's name, so
    small experiments do not all end up in shard 1.

    Args:
        ids: the IDs of all examples, without duplicates.
        total: the number of shards.
        experiment: the name of the experiment.
    """
    first = int.from_bytes(_digest(experiment)[:8])
    order = sorted(range(len(ids)), key=lambda index: _digest(ids[index]))
    numbers = [0] * len(ids)
    for rank, index in enumerate(order):
        numbers[index] = (first + rank) % total + 1
    return numbers


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def missing_shards(
    ids: Sequence[str], incomplete: Collection[str], started: Collection[str], total: int, *, experiment: str
) -> list[str]:
    """Describe the missing and incomplete shards of an experiment, in sentences; empty if it is complete.

    Args:
        ids: the IDs of all examples, without duplicates.
        incomplete: the IDs of the examples with missing runs or missing evaluations.
        started: the IDs of the examples with at least one run.
        total: the number of shards.
        experiment: the name of the experiment.
    """
    parts: dict[int, list[str]] = {}
    for id_, number in zip(ids, deal_examples(ids, total, experiment=experiment), strict=True):
        parts.setdefault(number, []).append(id_)
    missing = {number: [id_ for id_ in part if id_ in incomplete] for number, part in sorted(parts.items())}
    wholly = [number for number, part in missing.items() if part == parts[number] and not set(part) & set(started)]
    sentences = []
    if wholly:
        shards = f"shard {wholly[0]}" if len(wholly) == 1 else f"shards {', '.join(map(str, wholly))}"
        none_of = [id_ for number in wholly for id_ in missing[number]]
        verb = "is" if len(wholly) == 1 else "are"
        sentences.append(f"{shards} of {total} {verb} missing, with {_counted(none_of)}")
    for number, part in missing.items():
        if part and number not in wholly:
            sentences.append(f"shard {number} of {total} is incomplete: missing {_counted(part)}")
    return sentences


def _counted(ids: Sequence[str]) -> str:
    named = ", ".join(ids[:_MOST_NAMED]) + (", ..." if len(ids) > _MOST_NAMED else "")
    return f"{len(ids)} {'example' if len(ids) == 1 else 'examples'} ({named})"
