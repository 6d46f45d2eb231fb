"""A variant of an experiment: the same code with other environment variables (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evalwire.model.json_values import EMPTY
from evalwire.model.metadata import own_metadata

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
