"""The settings of an experiment, and a setting's value with its source."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from evalwire.model import EMPTY, Variant
from evalwire.settings.options import option
from evalwire.settings.parsers import TEXT, TEXTS, choice


@dataclass(frozen=True, slots=True)
class Value:
    """A setting's value and source: `flag`, the name of a variable or a file, or `default`."""

    value: Any
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentTable:
    """The settings of an experiment from `[experiments.NAME]`, without its gates."""

    dataset: str | None = option(
        TEXT, "Name of the dataset in Phoenix (default: the name of the experiment's directory).", default=None
    )
    helpers: tuple[str, ...] | None = option(
        TEXTS, "Files in this directory that are not evaluators, in addition to helpers.py and _*.py.", default=None
    )
    inputs: tuple[str, ...] | None = option(
        TEXTS,
        "Patterns of data files that the task or the evaluators read, relative to the parent of the experiments "
        "directory. A change in a matching file counts as a change of the evaluator.",
        default=None,
    )
    isolate: Literal["thread"] | None = option(
        choice("thread"), "Run each call of an async function on the event loop of a worker thread.", default=None
    )

    variants: Mapping[str, Variant] = field(default_factory=lambda: EMPTY)


class Resolved:
    """The sources of resolved settings, and the settings of single experiments, by the name of the experiment."""

    __slots__ = ()

    helpers: tuple[str, ...]
    tables: Mapping[str, ExperimentTable]
    sources: Mapping[str, str]

    def source(self, name: str) -> str:
        """Return the source of a setting's value."""
        return self.sources.get(name, "default")

    @property
    def helpers_by_experiment(self) -> dict[str, Collection[str]]:
        """Helper files by experiment; the files for all experiments are under `*`."""
        own = {name: table.helpers for name, table in self.tables.items() if table.helpers is not None}
        return {"*": self.helpers, **own}

    @property
    def dataset_names(self) -> dict[str, str]:
        """Dataset names by experiment, where they differ from the directory's name."""
        return {name: table.dataset for name, table in self.tables.items() if table.dataset is not None}

    @property
    def declared_variants(self) -> dict[str, Mapping[str, Variant]]:
        """The variants by the name of the experiment's directory, each by its own name."""
        return {name: table.variants for name, table in self.tables.items() if table.variants}

    @property
    def input_patterns(self) -> dict[str, tuple[str, ...]]:
        """Patterns of the data files that an experiment reads, by experiment."""
        return {name: table.inputs for name, table in self.tables.items() if table.inputs is not None}

    @property
    def isolated_experiments(self) -> list[str]:
        """The names of the experiments whose async calls run in worker threads."""
        return [name for name, table in self.tables.items() if table.isolate is not None]
