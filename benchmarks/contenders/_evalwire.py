"""An experiments directory for the contenders of evalwire."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

JUDGE = """from opentelemetry import trace

def judge(output, expected):
    with trace.get_tracer("judge").start_as_current_span("model call"):
        return output == expected["n"]
"""

MATCH = "def {name}(output, expected):\n    return output == expected['n']\n"


@contextmanager
def experiments(dataset: str, *, task: str, evaluators: Sequence[str] = ("match",)) -> Iterator[Path]:
    """Yield a directory with an experiment: a task, and plain evaluators; `judge` makes a span of a model call."""
    with TemporaryDirectory() as directory:
        folder = Path(directory, "experiments", dataset)
        folder.mkdir(parents=True)
        (folder / "task.py").write_text(task, encoding="utf-8")
        for name in evaluators:
            text = JUDGE if name == "judge" else MATCH.format(name=name)
            text = f"async {text}" if name.endswith("_async") else text
            (folder / f"{name}.py").write_text(text, encoding="utf-8")
        yield folder.parent


def task_of(seconds: float) -> str:
    """Return the source of an async task that waits and returns the expected output."""
    if not seconds:
        return "async def task(example):\n    return example.input['n']\n"
    return f"import asyncio\n\nasync def task(e):\n    await asyncio.sleep({seconds})\n    return e.input['n']\n"
