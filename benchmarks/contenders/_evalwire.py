"""An experiment folder for evalwire's contenders, and a Phoenix client that holds its dataset in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

MATCH = "def {name}(output, expected):\n    return output == expected['n']\n"


@contextmanager
def experiments(dataset: str, *, task: str, evaluators: Sequence[str] = ("match",)) -> Iterator[Path]:
    """A folder with one experiment: its task, and evaluators that are plain functions, as most people write them."""
    with TemporaryDirectory() as directory:
        folder = Path(directory, "experiments", dataset)
        folder.mkdir(parents=True)
        (folder / "task.py").write_text(task, encoding="utf-8")
        for name in evaluators:
            (folder / f"{name}.py").write_text(MATCH.format(name=name), encoding="utf-8")
        yield folder.parent


def task_of(seconds: float) -> str:
    """The source of an async task that takes so long, and returns what its example expects."""
    if not seconds:
        return "async def task(example):\n    return example.input['n']\n"
    return f"import asyncio\n\nasync def task(e):\n    await asyncio.sleep({seconds})\n    return e.input['n']\n"


class Found:
    """A dataset as the Phoenix client gives it."""

    id, version_id = "D", "V"

    def __init__(self, name: str, examples: Sequence[Mapping[str, Any]]) -> None:
        self.name = name
        self.examples = examples


class StandIn:
    """As much of a Phoenix client as a dry run needs."""

    def __init__(self, examples: Sequence[Mapping[str, Any]]) -> None:
        self.datasets = self
        self._examples = examples

    def get_dataset(self, *, dataset: str, **_: Any) -> Found:
        """The dataset, whatever its name."""
        return Found(dataset, self._examples)
