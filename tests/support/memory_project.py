"""A project in a folder whose experiment runs against a Phoenix in memory, by the commands' own code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from memory_phoenix import MemoryPhoenix, call

from evalwire.model import Example


class MemoryProject:
    """The experiment `search` on a number of examples; its task writes the IDs of the examples to `calls`."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, size: int, of_split: int, **files: str
    ) -> None:
        examples = [
            Example(id=f"q{n}", node_id=f"N{n}", input={"q": f"question {n}?"}, output={}, metadata={})
            for n in range(size)
        ]
        self.folder, self.monkeypatch = folder, monkeypatch
        self.phoenix = MemoryPhoenix("search", examples, split="smoke", of_split=[f"q{n}" for n in range(of_split)])
        self.calls = folder / "calls"
        self.own = folder / "experiments" / "search"
        self.own.mkdir(parents=True)
        self.write(**files)
        self.set(CALLS=str(self.calls))

    def write(self, **files: str) -> None:
        """Write modules of the experiment."""
        for name, text in files.items():
            (self.own / f"{name}.py").write_text(text)

    def settings(self, text: str) -> None:
        """Write evalwire.toml."""
        (self.folder / "evalwire.toml").write_text(text)

    def set(self, **environ: str) -> None:
        """Set variables of the environment."""
        for name, value in environ.items():
            self.monkeypatch.setenv(name, value)

    def call(self, command: Any, flags: Any = None, *, environ: Any = None, **options: Any) -> tuple[int, str]:
        """Run a command, and return its exit code and what it printed."""
        self.calls.write_text("")
        return call(command, self.phoenix, self.folder, environ or {}, flags or {}, **options)

    @property
    def results(self) -> Any:
        """The newest results.json."""
        return json.loads((self.folder / "reports" / "results.json").read_text())
