"""Export recorded experiments, or render reports of them."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalwire import reports
from evalwire.errors import UsageError
from evalwire.masking import masked
from evalwire.reports import EXPORT_FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evalwire.model import ExperimentResult
    from evalwire.phoenix import Phoenix, PublicClient

_UNSAFE = re.compile(r"[^\w.-]+")  # in names of files on any system, such as the colons of a time
_LONGEST = 180  # bytes; file systems allow 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """The path of an exported file, and its numbers of runs, failed runs and missing runs."""

    path: Path
    runs: int
    failed: int
    not_run: int


def export_experiment(
    phoenix: Phoenix | PublicClient,
    experiment_id: str,
    *,
    format_: str,
    path: Path | None,
    mask: Callable[[str], str],
) -> Exported:
    """Write an experiment to a file atomically, with a single run in memory at a time.

    Args:
        phoenix: the server of the experiment.
        experiment_id: the ID in Phoenix.
        format_: a name in `evalwire.reports.EXPORT_FORMATS`.
        path: the file to write; None for `<name>.<format>`, with the ID if this file exists.
        mask: replaces secrets in a text.

    Raises:
        UsageError: the format is unknown, or the file cannot be written.
        EvalwireError: Phoenix does not have the experiment, or cannot be reached.
    """
    if format_ not in EXPORT_FORMATS:
        raise UsageError(f"the format {format_!r}: expected one of: {', '.join(EXPORT_FORMATS)}.")
    record = phoenix.experiments.find(experiment_id)
    path = path or _free_path(record, format_)
    if path.exists() and not path.is_file():
        kind = "directory" if path.is_dir() else "device"
        raise UsageError(f"{path} cannot be written: it is a {kind}. Choose a file with --output.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent) as document:  # other directories may be read-only
            recording = phoenix.recorded.download(record, document)
            url = phoenix.experiments.url(record["dataset_id"], record["id"])
            experiment = masked({**recording.experiment, "url": url}, mask)
            rows = (masked(row, mask) for row in recording.rows())
            reports.write(path, EXPORT_FORMATS[format_](experiment, masked(recording.evaluations, mask), rows))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}.") from error
    counts = recording.experiment
    return Exported(
        path=path,
        runs=counts["successful_run_count"] + counts["failed_run_count"],
        failed=counts["failed_run_count"],
        not_run=counts["missing_run_count"],
    )


def _free_path(record: Mapping[str, Any], format_: str) -> Path:
    """Return the default path: the recorded name, with the ID if another file has this name."""
    id_ = str(record["id"])
    written = _UNSAFE.sub("-", str(record.get("name") or "")).strip(".-")
    name = written.encode(errors="replace")[:_LONGEST].decode(errors="ignore") or id_
    path = Path(f"{name}.{format_}")
    return Path(f"{name}_{_UNSAFE.sub('-', id_)}.{format_}") if os.path.lexists(path) else path


def experiment_report(phoenix: Phoenix | PublicClient, experiment_id: str) -> str:
    """Return the report of an experiment in Markdown."""
    return reports.experiment_markdown.render(counted_result(phoenix, experiment_id))


def counted_result(phoenix: Phoenix | PublicClient, experiment_id: str) -> ExperimentResult:
    """Return an experiment without the evaluations of failed runs, which have no output."""
    result = phoenix.recorded.result(experiment_id, is_whole=True)
    runs = (run if run.failure is None else replace(run, evaluations=()) for run in result.runs)
    return replace(result, runs=tuple(runs))
