"""Which part of an experiment a job runs: shard 2 of 5, by a stable order of the examples (pure)."""

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
    """One of `total` parts of every experiment; `number` counts from 1."""

    number: int
    total: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.total:
            raise ValueError(f"there is no shard {self.number} of {self.total}")

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `2/5`, the second shard of five.

        Raises:
            ValueError: the text has another form, or there is no such shard.
        """
        found = re.fullmatch(r"([0-9]+)/([0-9]+)", text.strip())
        if found is None:
            raise ValueError("expected 2/5 (the second of five)")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    @property
    def suffix(self) -> str:
        """The part of its reports' names that tells the shard: `-2-of-5`."""
        return f"-{self.number}-of-{self.total}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """How the experiments of a job are shared with the jobs that run other shards.

    Attributes:
        total: the number of shards.
        shard: the shard that this job runs; None for a job that runs none of them.
        run_key: the key by which the jobs find the experiments of their pipeline run; None where a plan names them.
        job: the name that the shards' jobs have in common; empty where it is not known.
    """

    total: int
    shard: Shard | None = None
    run_key: str | None = None
    job: str = ""


def deal_examples(ids: Sequence[str], total: int, *, experiment: str) -> list[int]:
    """The number of the shard, from 1, that each example of an experiment belongs to.

    The examples are dealt out in the order of their ids' SHA-256, so the parts differ by one example at most, and do
    not depend on the dataset's order. Which shard gets the first one depends on the experiment's name: small
    experiments do not all end up with shard 1.

    Args:
        ids: of all examples, each once.
        total: of shards.
        experiment: its name.
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
    ids: Sequence[str], incomplete: Collection[str], begun: Collection[str], total: int, *, experiment: str
) -> list[str]:
    """Which shards of an experiment are missing, wholly or in part, in sentences; none when all is there.

    Args:
        ids: of all examples, each once.
        incomplete: those that were not run, or not as often as they were to, or not evaluated.
        begun: those of which there is a run.
        total: of shards.
        experiment: its name.
    """
    parts: dict[int, list[str]] = {}
    for id_, number in zip(ids, deal_examples(ids, total, experiment=experiment), strict=True):
        parts.setdefault(number, []).append(id_)
    lacking = {number: [id_ for id_ in part if id_ in incomplete] for number, part in sorted(parts.items())}
    wholly = [number for number, part in lacking.items() if part == parts[number] and not set(part) & set(begun)]
    sentences = []
    if wholly:
        shards = f"shard {wholly[0]}" if len(wholly) == 1 else f"shards {', '.join(map(str, wholly))}"
        none_of = [id_ for number in wholly for id_ in lacking[number]]
        verb = "is" if len(wholly) == 1 else "are"
        sentences.append(f"{shards} of {total} {verb} missing, with {_counted(none_of)}")
    for number, part in lacking.items():
        if part and number not in wholly:
            sentences.append(f"shard {number} of {total} is not complete: it lacks {_counted(part)}")
    return sentences


def _counted(ids: Sequence[str]) -> str:
    named = ", ".join(ids[:_MOST_NAMED]) + (", ..." if len(ids) > _MOST_NAMED else "")
    return f"{len(ids)} {'example' if len(ids) == 1 else 'examples'} ({named})"
