"""`evalwire list`: show the discovered experiments without contacting Phoenix."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from evalwire.experiments import importable
from evalwire.jobs import discover
from evalwire.masking import plain_line

if TYPE_CHECKING:
    from evalwire.cli.invocation import Invocation
    from evalwire.model import Experiment


def list_(invocation: Invocation) -> int:
    """Show the dataset, task, evaluators and problems of each experiment.

    Returns:
        0 if there are experiments without problems, else 1.

    Raises:
        UsageError: the given experiments directory does not exist.
        NothingToRunError: no experiment matches `--name`.
    """
    root = invocation.settings.experiments
    with importable(root):
        found = discover(invocation.inherited())
    for experiment in found.experiments:
        invocation.console.show("\n".join(_describe(experiment)) + "\n")
    for name in found.skipped:
        invocation.console.show(f"{plain_line(name)}/  skipped: no task.py\n")
    if not found.experiments:
        invocation.console.show(f"no experiment in {root.resolve()}/ (a directory with a task.py)\n")
    broken = sum(bool(experiment.problems) for experiment in found.experiments)
    return 1 if broken or not found.experiments else 0


def _describe(experiment: Experiment) -> list[str]:
    task = experiment.task
    kind = "none" if task is None else "async" if task.is_async else "plain"
    lines = [plain_line(experiment.name)]
    lines.append(f"  dataset     {plain_line(experiment.dataset_name)}")
    if experiment.variant is not None:
        variables = ", ".join(f"{name}={value}" for name, value in experiment.variant.env.items())
        lines.append(f"  variables   {plain_line(variables)}")
    lines.append(f"  task        {kind}")
    names = [
        f"{evaluator.name} (async)" if evaluator.is_async else evaluator.name for evaluator in experiment.evaluators
    ]
    lines.append(f"  evaluators  {', '.join(names) or 'none'}")
    for problem in experiment.problems:
        where = f"  ({problem.where.removeprefix(f'{Path.cwd()}{os.sep}')})" if problem.where else ""
        lines.append(f"  problem     {problem.type}: {problem.message}{where}")
    return lines
