"""Which shard was asked for, and which one this job is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evalwire.settings.ci import ParallelJob
from evalwire.model import Shard


@dataclass(frozen=True, slots=True)
class ShardOption:
    """Which shard is asked for: `number` is None for `auto`, `total` is None where it is to be found."""

    number: int | None = None
    total: int | None = None

    @classmethod
    def parse(cls, text: str) -> ShardOption:
        """Read `2/5`, `auto` or `auto/5`.

        Raises:
            ValueError: it is none of these, or there is no such shard.
        """
        if automatic := re.fullmatch(r"auto(?:/([0-9]+))?", text.strip()):
            if automatic[1] and int(automatic[1]) < 1:
                raise ValueError("expected 1 shard or more")
            return cls(total=int(automatic[1]) if automatic[1] else None)
        try:
            shard = Shard.parse(text)
        except ValueError as error:
            raise ValueError(f"{error}, auto, or auto/5" if "expected" in str(error) else str(error)) from None
        return cls(shard.number, shard.total)

    def __str__(self) -> str:
        first = "auto" if self.number is None else str(self.number)
        return first if self.total is None else f"{first}/{self.total}"

    def resolve(self, place: ParallelJob | None, *, planned: int | None = None) -> Shard:
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


def _number(text: str, place: ParallelJob) -> int:
    if not re.fullmatch(r"[0-9]+", text):
        raise ValueError(f"expected whole numbers: {_shown(place)}")
    return int(text)


def _shown(place: ParallelJob) -> str:
    values = (place.index, place.total)
    return ", ".join(f"{name} is {value!r}" for name, value in zip(place.variables, values, strict=False))
