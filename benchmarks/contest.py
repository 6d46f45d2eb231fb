"""Run contenders, each in a separate process, in turns: noise on the machine then affects all of them."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT

SCRIPTS = Path(__file__).resolve().parent / "contenders"
_LONGEST_SECONDS = 600.0
_NOT_INHERITED = (
    "PHOENIX_",
    "OTEL_",
    "EVALWIRE_",
    "LANG",  # Langfuse, LangSmith, LangChain, and the locale
    "BRAINTRUST_",
    "INSPECT_",
    "LOGFIRE_",
    "PYTHON",  # PYTHONDONTWRITEBYTECODE would compile all modules in each process
)


class Unmeasured(Exception):
    """A contender could not run; the message is the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A script in `contenders/`, and its configuration.

    Attributes:
        python: the interpreter of an environment with its requirements.
        checkout: whether it imports evalwire from this checkout.
        arguments: arguments, passed as JSON.
        expects: expected figures, such as the number of scored examples.
    """

    name: str
    script: str
    python: Path = Path(sys.executable)
    checkout: bool = True
    arguments: Mapping[str, Any] = field(default_factory=dict)
    expects: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The figures of a contender for each repetition, or the reason why it could not run."""

    figures: Sequence[Mapping[str, Any]] = ()
    problem: str = ""

    def median(self, key: str) -> float | None:
        """Return the median of a figure; None without figures."""
        return statistics.median(found[key] for found in self.figures) if self.figures else None

    @property
    def version(self) -> str:
        """Return the version of the contender."""
        return str(self.figures[0]["version"]) if self.figures else ""


def interleaved(contenders: Sequence[Contender], repetitions: int) -> dict[str, Outcome]:
    """Run each contender once per round, in rotating order; return the outcomes by name."""
    figures: dict[str, list[Mapping[str, Any]]] = {contender.name: [] for contender in contenders}
    problems: dict[str, str] = {}
    for turn in range(repetitions):
        first = turn % len(contenders)
        for contender in [*contenders[first:], *contenders[:first]]:
            if contender.name in problems:
                continue
            try:
                figures[contender.name].append(_run(contender))
            except Unmeasured as problem:
                problems[contender.name] = str(problem)
                print(f"  {contender.name}: {problem}", file=sys.stderr)
            else:
                shown = {key: value for key, value in figures[contender.name][-1].items() if key != "version"}
                print(f"  {contender.name}: {shown}", file=sys.stderr)
    return {
        name: Outcome(problem=problems[name]) if name in problems else Outcome(figures=found)
        for name, found in figures.items()
    }


def clean_environment(**extra: str) -> dict[str, str]:
    """Return the environment of a measured process: it uses this checkout and no settings of the user."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    return {**kept, "PYTHONPATH": str(ROOT / "app"), **extra}


def _run(contender: Contender) -> Mapping[str, Any]:
    environment = clean_environment()
    if not contender.checkout:
        environment.pop("PYTHONPATH")
    command = [str(contender.python), str(SCRIPTS / contender.script), json.dumps(contender.arguments)]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_LONGEST_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unmeasured(f"did not finish within {_LONGEST_SECONDS:.0f} s") from None
    lines = done.stdout.splitlines()
    if done.returncode != 0 or not lines:
        said = done.stderr.strip().splitlines()
        raise Unmeasured(f"exit code {done.returncode}: {said[-1][:200] if said else 'no message'}")
    figures: dict[str, Any] = json.loads(lines[-1])
    wrong = [f"{key} {figures.get(key)}, not {value}" for key, value in contender.expects.items()]
    if any(figures.get(key) != value for key, value in contender.expects.items()):
        raise Unmeasured(f"unexpected figures: {', '.join(wrong)}")
    return figures
