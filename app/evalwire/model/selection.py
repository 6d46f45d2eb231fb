"""A selection of the examples of a job, and the size of a partial run (pure)."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalwire.model.numbers import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalwire.model.example import Example

_MOST_NAMED = 3  # IDs in a sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleSelection:
    """The conditions that an example meets to run; an example must meet all of them.

    Attributes:
        text: the text that the ID or the input contains, in any case; empty for any example.
        ids: the IDs of the examples, from their author or from Phoenix; empty for any example.
        failing: by experiment, the IDs of the examples that failed earlier, or None for all examples; None for any
            experiment and example.
        sample: the number of examples to take from each experiment after the other conditions; None for all.
        seed: the seed of the sample.
    """

    text: str = ""
    ids: tuple[str, ...] = ()
    failing: Mapping[str, tuple[str, ...] | None] | None = None
    sample: int | None = None
    seed: int = 0

    @classmethod
    def from_json(cls, value: Any) -> ExampleSelection | None:
        """Return the selection that `to_json` described; None for a job that ran all examples.

        Raises:
            ValueError: the description is invalid.
        """
        if value is None:
            return None
        try:
            failing = value.get("failing")
            return cls(
                text=str(value.get("text", "")),
                ids=tuple(map(str, value.get("ids", ()))),
                failing=failing and {name: ids if ids is None else tuple(ids) for name, ids in failing.items()},
                sample=value.get("sample"),
                seed=int(value.get("seed", 0)),
            )
        except (AttributeError, TypeError) as error:
            raise ValueError(f"{value!r} does not describe a selection of examples") from error

    def to_json(self, experiment: str | None = None) -> dict[str, Any]:
        """Return the conditions that are set, for a journal or for the metadata of an experiment."""
        failing = self.failing
        if failing is not None and experiment is not None:
            failing = {experiment: failing.get(experiment, ())}
        found: dict[str, Any] = {}
        if self.text:
            found["text"] = self.text
        if self.ids:
            found["ids"] = list(self.ids)
        if failing is not None:
            found["failing"] = {name: ids if ids is None else list(ids) for name, ids in failing.items()}
        if self.sample is not None:
            found |= {"sample": self.sample, "seed": self.seed}
        return found

    def choose(self, examples: Sequence[Example], *, experiment: str) -> tuple[Example, ...]:
        """Return the selected examples of an experiment, in the order of the dataset.

        A sample has the examples with the smallest digests of seed and ID. Examples that are added to a dataset later
        therefore replace only a few examples of the sample, and experiments on the same dataset have the same sample.
        """
        found = [example for example in examples if self._matches(example, experiment)]
        if self.sample is not None and len(found) > self.sample:
            taken = set(
                sorted((_rank(self.seed, example), place) for place, example in enumerate(found))[: self.sample]
            )
            found = [example for place, example in enumerate(found) if (_rank(self.seed, example), place) in taken]
        return tuple(found)

    def _matches(self, example: Example, experiment: str) -> bool:
        own = (example.id, example.node_id)
        if self.ids and not any(name in self.ids for name in own):
            return False
        if self.failing is not None:
            failing = self.failing.get(experiment, ())
            if failing is not None and example.id not in failing:
                return False
        wanted = self.text.casefold()
        return not wanted or any(wanted in text.casefold() for text in (*own, *_texts(example.input)))

    def __str__(self) -> str:
        parts = [f"-k {shlex.quote(self.text)}"] if self.text else []
        if len(self.ids) > _MOST_NAMED:
            parts.append(f"--example for {len(self.ids)} IDs")
        else:
            parts += [f"--example {shlex.quote(name)}" for name in self.ids]
        if self.failing is not None:
            parts.append("--failing")
        if self.sample is not None:
            parts.append(f"--sample {self.sample} --seed {self.seed}")
        return " ".join(parts)


def _rank(seed: int, example: Example) -> bytes:
    return hashlib.sha256(f"{seed}:{example.id}".encode(errors="surrogatepass")).digest()


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts and the other values in an input, without the names of its fields."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif value is not None:
        yield str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialRun:
    """The size of a partial run, in which gates are not applied.

    Attributes:
        selection: the flags that selected the examples.
        examples: the number of selected examples.
        of: the number of examples in the datasets, or in their split.
        gates: the number of configured gates, which were not applied.
    """

    selection: str
    examples: int
    of: int
    gates: int = 0

    def __str__(self) -> str:
        gates = f"; {count(self.gates, 'gate')} not applied" if self.gates else ""
        size = f"{self.examples:,} of {count(self.of, 'example')}, " if self.of else ""
        return f"{size}{self.selection}{gates}"

    @property
    def note(self) -> str:
        """The reason why the gates were not applied; empty without gates."""
        verb = "was" if self.gates == 1 else "were"
        return f"{count(self.gates, 'gate')} {verb} not applied: limits are for all examples" if self.gates else ""
