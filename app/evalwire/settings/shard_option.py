"""The shard option, and its resolution to the shard of this job."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evalwire.settings.ci import ParallelJob
from evalwire.model import Shard


@dataclass(frozen=True, slots=True)
class ShardOption:
    """The requested shard; `number` is None for `auto`, and `total` is None if CI or the plan determines it."""

    number: int | None = None
    total: int | None = None

    @classmethod
    def parse(cls, text: str) -> ShardOption:
        """Read `2/5`, `auto` or `auto/5`.

        Raises:
            ValueError: the text has another form, or the shard's number is out of range.
        """
        if automatic := re.fullmatch(r"auto(?:/([0-9]+))?", text.strip()):
            if automatic[1] and int(automatic[1]) < 1:
                raise ValueError("expected at least 1 shard")
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
        """Return the shard of this job.

        Args:
            place: the index among parallel jobs, from the CI system.
            planned: the number of shards in the plan; None without a plan.

        Raises:
            ValueError: the CI system does not provide the index or the total, or the total differs from the requested
                or planned number of shards.
        """
        total = self.total if self.total is not None else planned
        if planned is not None and total != planned:
            raise ValueError(f"the plan has {planned} shards, not {total}")
        if self.number is not None and total is not None:
            return Shard(self.number, total)
        if place is None or not (place.index or place.total):
            raise ValueError(
                "cannot determine the shard: no variable of a known CI system is set. "
                "Set the shard, such as --shard 2/5"
            )
        parallel = _number(place.total, place) if place.total else None
        if not place.index:
            if parallel == 1 and total in (None, 1):  # GitLab sets only the total in a job that is not parallel
                return Shard(1, 1)
            raise ValueError(f"the variables for the shard are incomplete: {_shown(place)}")
        if parallel is not None and total is not None and parallel != total:
            raise ValueError(f"expected {total} shards, but {_shown(place)}")
        total = total or parallel
        if total is None:
            raise ValueError(f"{place.variables[0]} does not include the number of shards. Add it, such as auto/5")
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
