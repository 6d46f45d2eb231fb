"""Which part of an experiment a job runs: shard 2 of 5, by a stable order of the examples (pure)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evalwire.ci import Parallel

_MOST_NAMED = 5  # missing examples that a sentence lists


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `total` parts of every experiment; `number` counts from 1."""

    number: int
    total: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.total:
            raise ValueError(f"there is no shard {self.number} of {self.total}")

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    @property
    def suffix(self) -> str:
        """What its reports have in their names: `-2-of-5`."""
        return f"-{self.number}-of-{self.total}"


def deal(ids: Sequence[str], total: int, *, experiment: str) -> list[int]:
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


def missing(ids: Sequence[str], incomplete: Collection[str], total: int, *, experiment: str) -> list[str]:
    """Which shards of an experiment are missing, wholly or in part, in sentences; none when all is there.

    Args:
        ids: of all examples, each once.
        incomplete: those that were not run, or not as often as they were to.
        total: of shards.
        experiment: its name.
    """
    parts: dict[int, list[str]] = {}
    for id_, number in zip(ids, deal(ids, total, experiment=experiment), strict=True):
        parts.setdefault(number, []).append(id_)
    lacking = {number: [id_ for id_ in part if id_ in incomplete] for number, part in sorted(parts.items())}
    wholly = [number for number, part in lacking.items() if len(part) == len(parts[number])]
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


@dataclass(frozen=True, slots=True)
class AskedShard:
    """Which shard is asked for: `number` is None for `auto`, `total` is None where it is to be found."""

    number: int | None = None
    total: int | None = None

    @classmethod
    def parse(cls, text: str) -> AskedShard:
        """Read `2/5`, `auto` or `auto/5`.

        Raises:
            ValueError: it is none of these, or there is no such shard.
        """
        found = re.fullmatch(r"(?:(auto)(?:/([0-9]+))?|([0-9]+)/([0-9]+))", text.strip())
        if found is None:
            raise ValueError("expected 2/5 (the second of five), auto, or auto/5")
        if found[1]:
            if found[2] and int(found[2]) < 1:
                raise ValueError("expected 1 shard or more")
            return cls(total=int(found[2]) if found[2] else None)
        shard = Shard(int(found[3]), int(found[4]))
        return cls(shard.number, shard.total)

    def __str__(self) -> str:
        first = "auto" if self.number is None else str(self.number)
        return first if self.total is None else f"{first}/{self.total}"

    def resolve(self, place: Parallel | None, *, planned: int | None = None) -> Shard:
        """The shard that this job is.

        Args:
            place: among parallel jobs, as CI tells it.
            planned: how many shards a plan has; None without a plan.

        Raises:
            ValueError: CI does not tell it, tells half of it, or something else than was asked for or planned.
        """
        total = self.total if self.total is not None else planned
        if planned is not None and total != planned:
            raise ValueError(f"the plan has {planned} shards, not {total}")
        if self.number is not None and total is not None:
            return Shard(self.number, total)
        if place is None or not (place.index or place.total):
            raise ValueError("no variable of a CI system that is known here tells which it is; name it, such as 2/5")
        told = _number(place.total, place) if place.total else None
        if not place.index:
            if told == 1 and total in (None, 1):  # as GitLab has it where a job is not parallel
                return Shard(1, 1)
            raise ValueError(f"only half of it is set: {_shown(place)}")
        if told is not None and total is not None and told != total:
            raise ValueError(f"there are to be {total} shards, but {_shown(place)}")
        total = total or told
        if total is None:
            raise ValueError(f"{place.variables[0]} does not tell how many shards there are; say so: auto/5")
        try:
            return Shard(_number(place.index, place) - place.first_index + 1, total)
        except ValueError as error:
            raise ValueError(f"{error}: {_shown(place)}") from None


def _number(text: str, place: Parallel) -> int:
    if not re.fullmatch(r"[0-9]+", text):
        raise ValueError(f"expected whole numbers: {_shown(place)}")
    return int(text)


def _shown(place: Parallel) -> str:
    values = (place.index, place.total)
    return ", ".join(f"{name} is {value!r}" for name, value in zip(place.variables, values, strict=False))
