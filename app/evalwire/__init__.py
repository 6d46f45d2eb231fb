"""Run LLM evaluation experiments in CI against Arize Phoenix, and exit honestly."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evalwire.errors import ExperimentsFailed
    from evalwire.runner import ExperimentRunner
    from evalwire.uploader import DatasetUploader

__version__ = "1.0.0.dev0"

__all__ = ["DatasetUploader", "ExperimentRunner", "ExperimentsFailed", "__version__"]

_HOMES = {
    "DatasetUploader": "evalwire.uploader",
    "ExperimentRunner": "evalwire.runner",
    "ExperimentsFailed": "evalwire.errors",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, so that `import evalwire` stays cheap."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
