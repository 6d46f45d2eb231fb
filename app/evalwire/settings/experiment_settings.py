"""The settings of an experiment, and a setting's value with its source."""

from __future__ import annotations

from collections.abc import Mapping
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
