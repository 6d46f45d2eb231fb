"""Render a finished report as text, with a module for each format, and write it to disk."""

# NOTE: no `from __future__ import annotations` here: it would hide the module `annotations` from `from ... import`
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from evalwire.loading import lazy_names, load
from evalwire.reports.export import EXPORT_FORMATS

if TYPE_CHECKING:
    from evalwire.model import Report, Shard
    from evalwire.reports import (
        annotations,
        code_quality,
        comparison_text,
        console,
        experiment_markdown,
        html,
        judge_text,
        junit,
        markdown,
        metrics,
        noise,
        outputs,
        results_json,
        runs_text,
        size_text,
    )
    from evalwire.reports.comparison_text import Form as ComparisonForm
    from evalwire.reports.results_json import load_failing, load_results, read_results
    from evalwire.reports.text import gate_sentence

__all__ = [
    "EXPORT_FORMATS",
    "FORMATS",
    "ComparisonForm",
    "annotations",
    "code_quality",
    "comparison_text",
    "console",
    "experiment_markdown",
    "files",
    "gate_sentence",
    "html",
    "judge_text",
    "junit",
    "load_failing",
    "load_results",
    "markdown",
    "metrics",
    "noise",
    "outputs",
    "pieces",
    "read_results",
    "results_json",
    "runs_text",
    "size_text",
    "write",
]

FORMATS: Mapping[str, str] = {
    "json": "results_json",
    "junit": "junit",
    "markdown": "markdown",
    "html": "html",
    "console": "console",
    "annotations": "annotations",
    "metrics": "metrics",
    "codequality": "code_quality",
}  # format -> module, whose `pieces` renders a report
_BUFFER = 256 * 1024  # bytes
_FILES = {
    "results.json": "json",
    "evalwire.xml": "junit",
    "summary.md": "markdown",
    "report.html": "html",
    "metrics.txt": "metrics",
    "gl-code-quality-report.json": "codequality",
}

__getattr__ = lazy_names(
    __name__,
    {
        **{module: module for module in FORMATS.values()},
        "comparison_text": "comparison_text",
        "experiment_markdown": "experiment_markdown",
        "judge_text": "judge_text",
        "noise": "noise",
        "outputs": "outputs",
        "gate_sentence": "text",
        "load_failing": "results_json",
        "runs_text": "runs_text",
        "size_text": "size_text",
        "load_results": "results_json",
        "read_results": "results_json",
    },
)


def files(shard: "Shard | None" = None, *, is_dry_run: bool = False) -> dict[str, str]:
    """Return the report files of a job, each with its format; dry runs and shards add a suffix to the names."""
    suffix = ("-dry-run" if is_dry_run else "") + (shard.suffix if shard else "")
    return {f"{Path(name).stem}{suffix}{Path(name).suffix}": format_ for name, format_ in _FILES.items()}


def pieces(report: "Report", format_: str) -> Iterable[str]:
    """Return a report in a format of `FORMATS`, as pieces of text."""
    rendered: Iterable[str] = load(f"{__name__}.{FORMATS[format_]}").pieces(report)
    return rendered


def write(path: Path, pieces: Iterable[str]) -> None:
    """Write text to `path` atomically, piece by piece, and create the directory.

    Raises:
        OSError: the directory or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb", buffering=_BUFFER) as file:
            file.writelines(piece.encode(errors="replace") for piece in pieces)
        os.chmod(temporary, 0o644)  # noqa: PTH101 - mkstemp returns a str; CI systems read reports as other users
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        os.unlink(temporary)  # noqa: PTH108
        raise
