"""`evalwire check`: check the setup of a pipeline without a model call."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalwire import masking
from evalwire._version import __version__
from evalwire.datasets import check_testset, describe_lists
from evalwire.errors import EvalwireError, PhoenixError, TestsetError, UsageError
from evalwire.experiments import importable
from evalwire.gates import BaselineChoice, resolve_gates
from evalwire.jobs import (
    budget_of,
    discover,
    forecast_text,
    job_spec,
    known_names,
    recorded_forecast,
    refusal,
    testset_columns,
    testset_differences,
)
from evalwire.model import count
from evalwire.settings import experiment_table, origin_metadata

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalwire.cli.invocation import Invocation
    from evalwire.model import Experiment
    from evalwire.phoenix import Phoenix
    from evalwire.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of a check; a warning does not fail it."""

    ok: bool
    what: str
    detail: str
    warning: bool = False


def check(
    invocation: Invocation,
    *,
    as_json: bool = False,
    show_settings: bool = False,
    is_offline: bool = False,
    has_cost: bool = False,
) -> int:
    """Check the settings, Phoenix, and all datasets, tasks and evaluators.

    Args:
        invocation: settings, streams, and how to reach Phoenix.
        as_json: whether to show the result as JSON.
        show_settings: whether to show each setting and its source.
        is_offline: whether to leave out Phoenix and its datasets.
        has_cost: whether to forecast the cost of a job.

    Returns:
        0 if a run can start, 1 if anything is missing.

    Raises:
        UsageError: a given path does not exist, or Phoenix's address or credentials are invalid.
        NothingToRunError: no experiment matches `--name`.
    """
    findings: list[Finding] = []
    phoenix: Phoenix | None = None
    if not is_offline:
        phoenix, server = _check_phoenix(invocation)
        findings.append(server)
    root = invocation.settings.experiments
    with importable(root):
        found = discover(invocation.inherited())
    if not found.experiments:
        findings.append(
            Finding(ok=False, what="experiments", detail=f"none in {root.resolve()}/ (directories with a task.py)")
        )
    for experiment in found.experiments:
        findings.extend(_check_code(experiment))
        if "./" in (table := experiment_table(experiment.name)):
            detail = f"the table of this directory in evalwire.toml is [{table}]"
            findings.append(Finding(ok=True, what=experiment.name, detail=detail))
        if phoenix is not None:
            findings.append(_check_dataset(phoenix, experiment))
    findings.append(_check_gates(invocation, found.experiments))
    names = [experiment.dataset_name for experiment in found.experiments] if is_offline else []
    testset = _check_testset(invocation.settings, names)
    findings.extend(testset)
    if phoenix is not None and all(finding.ok for finding in testset):
        findings.extend(_compare_testset(invocation, phoenix, found.experiments))
    if phoenix is not None and has_cost:
        findings.append(_forecast(invocation, phoenix, found.experiments))
    _show(invocation, findings, as_json=as_json, show_settings=show_settings)
    return 0 if all(finding.ok for finding in findings) else 1


def _show(invocation: Invocation, findings: Sequence[Finding], *, as_json: bool, show_settings: bool) -> None:
    settings = _settings(invocation)
    if as_json:
        document = {
            "evalwire_version": __version__,
            "ok": all(finding.ok for finding in findings),
            "settings": settings,
            "findings": [asdict(finding) for finding in findings],
        }
        invocation.console.out.write(invocation.console.mask(json.dumps(document, ensure_ascii=False, indent=2)) + "\n")
        return
    if show_settings:
        width = max(len(name) for name in settings)
        for name, entry in settings.items():
            invocation.console.show(f"{name:{width}}  {_shown(entry['value'])}  ({entry['source']})\n")
        invocation.console.out.write("\n")
    for finding in findings:
        word = "FAILED" if not finding.ok else "WARN  " if finding.warning else "ok    "
        invocation.console.show(f"{word}  {masking.plain_line(finding.what)}: {finding.detail}\n")


def _check_phoenix(invocation: Invocation) -> tuple[Phoenix | None, Finding]:
    try:
        phoenix = invocation.connect(None)
        version = phoenix.version()
    except UsageError:
        raise
    except EvalwireError as error:
        return None, Finding(ok=False, what="Phoenix", detail=str(error))
    return phoenix, Finding(
        ok=True, what="Phoenix", detail=f"{phoenix.endpoint}, version {version}, credentials accepted"
    )


def _check_code(experiment: Experiment) -> list[Finding]:
    if experiment.problems:
        return [
            Finding(
                ok=False,
                what=experiment.name,
                detail=f"{problem.type}: {problem.message}{_where(problem.where)}",
            )
            for problem in experiment.problems
        ]
    kind = "async" if experiment.task and experiment.task.is_async else "plain"
    names = ", ".join(evaluator.name for evaluator in experiment.evaluators)
    return [Finding(ok=True, what=experiment.name, detail=f"{kind} task, evaluators {names}")]


def _where(where: str | None) -> str:
    return f" ({where.removeprefix(f'{Path.cwd()}{os.sep}')})" if where else ""


def _check_dataset(phoenix: Phoenix, experiment: Experiment) -> Finding:
    what = f"{experiment.name}: dataset {experiment.dataset_name!r}"
    try:
        size = len(phoenix.datasets.fetch(experiment.dataset_name).examples)
    except PhoenixError as error:
        return Finding(ok=False, what=what, detail=str(error))
    return Finding(ok=size > 0, what=what, detail=count(size, "example") if size else "the dataset has no examples")


def _check_gates(invocation: Invocation, experiments: Sequence[Experiment]) -> Finding:
    """Check that each gate names an existing score or experiment; only the run itself looks for the baseline."""
    try:
        gates = resolve_gates(invocation.settings.thresholds, known_names(invocation.settings.experiments, experiments))
    except UsageError as error:
        return Finding(ok=False, what="gates", detail=str(error))
    number = count(len(gates), "gate") if gates else "only the default: no errors"
    return Finding(ok=True, what="gates", detail=number)


def _check_testset(settings: Settings, names: Sequence[str]) -> list[Finding]:
    """Check whether the testset, if it exists, can be uploaded without changes; warn of datasets without a row."""
    path, columns = settings.csv_path, testset_columns(settings)
    if path is None or not path.is_file():  # optional: the dataset may already be in Phoenix
        return []
    try:
        inspection = check_testset(path, columns)
    except TestsetError as error:
        return [Finding(ok=False, what="testset", detail=str(error))]
    found = [Finding(ok=True, what="testset", detail=f"{path}: {line}") for line in describe_lists(inspection, columns)]
    for name in dict.fromkeys(names):
        if name not in inspection.sizes:
            detail = f"{path} has no row for the dataset {name!r}. A run needs this dataset in Phoenix"
            found.append(Finding(ok=True, warning=True, what="testset", detail=detail))
    return found


def _compare_testset(invocation: Invocation, phoenix: Phoenix, experiments: Sequence[Experiment]) -> list[Finding]:
    """Warn of datasets that differ from the testset, unless runs upload it."""
    settings = invocation.settings
    if settings.sync:
        return []
    names = list(dict.fromkeys(experiment.dataset_name for experiment in experiments))
    branch = origin_metadata(invocation.environ, Path.cwd()).get("branch")
    differences = testset_differences(settings, phoenix, names, branch=str(branch or ""))
    return [Finding(ok=True, warning=True, what="testset", detail=line) for line in differences]


def _forecast(invocation: Invocation, phoenix: Phoenix, experiments: Sequence[Experiment]) -> Finding:
    """Forecast the cost of a job from recorded experiments, and check that it is within the budget."""
    settings = invocation.settings
    budget = budget_of(settings)
    try:
        forecast = recorded_forecast(experiments, job_spec(settings, invocation.environ), phoenix, settings.prices)
    except PhoenixError as error:
        return Finding(ok=False, what="cost", detail=str(error))
    reason = refusal(forecast, budget, start=settings.budget_start)
    return Finding(ok=not reason, what="cost", detail=forecast_text(forecast, budget))


def _settings(invocation: Invocation) -> dict[str, dict[str, Any]]:
    """Return the value and source of each setting and of Phoenix's variables that are set, with secrets masked."""
    shown: dict[str, dict[str, Any]] = {
        name: {
            "value": str(entry.value) if isinstance(entry.value, Path | BaselineChoice) else entry.value,
            "source": entry.source,
        }
        for name, entry in invocation.settings.items()
    }
    for name, value in sorted(invocation.environ.items()):
        if name.startswith("PHOENIX_"):
            source = "the .env file" if name in invocation.from_env_file else "environment"
            shown[name] = {
                "value": masking.MASK if invocation.console.mask.is_secret(name) else invocation.console.mask(value),
                "source": source,
            }
    return shown


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "(none)"
    return "(none)" if value is None else str(value)
