"""Read and write calibrations: `judges/NAME.json`, which users commit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from evalwire.errors import UsageError
from evalwire.loading import load
from evalwire.model import Calibration

if TYPE_CHECKING:
    from collections.abc import Iterator

JUDGES_DIRECTORY = "judges"
"""The directory of calibrations, next to the experiments directory."""

_VERSION = 1


def load_calibrations(directory: Path) -> dict[tuple[str, str], Calibration]:
    """Return the calibrations of a directory by the names of experiment and evaluation; empty without a directory.

    Raises:
        UsageError: a file is not a calibration, or two files calibrate the same evaluation.
    """
    found: dict[tuple[str, str], tuple[Path, Calibration]] = {}
    for path, calibration in _files(directory):
        key = calibration.experiment, calibration.evaluation
        if key in found:
            raise UsageError(f"{path} and {found[key][0]} both calibrate {'.'.join(key)}. Delete one of them.")
        found[key] = path, calibration
    return {key: calibration for key, (_, calibration) in found.items()}


def _files(directory: Path) -> Iterator[tuple[Path, Calibration]]:
    for path in sorted(directory.glob("*.json")):
        yield path, read_calibration(path)


def read_calibration(path: Path) -> Calibration:
    """Return the calibration in a file.

    Raises:
        UsageError: the file cannot be read, or is not a calibration.
    """
    msgspec = load("msgspec")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        version = values.pop("version", None)
        if version != _VERSION:
            raise UsageError(f"{path}: version {version!r} is not known here. Update evalwire, or calibrate again.")
        found: Calibration = msgspec.convert(values, Calibration)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is not a calibration ({error}). Calibrate again with `evalwire judge`.") from error
    return found


def calibration_path(directory: Path, calibration: Calibration) -> Path:
    """Return the file to write: the evaluation's name, after the experiment's if another experiment has this file."""
    name = calibration.evaluation.replace("/", "_")
    path = directory / f"{name}.json"
    own = directory / f"{calibration.experiment}.{name}.json"
    if own.exists() or (path.exists() and read_calibration(path).experiment != calibration.experiment):
        return own
    return path


def calibration_json(calibration: Calibration) -> str:
    """Return the text of a calibration's file, with sorted files for small differences between versions."""
    values = load("msgspec").to_builtins(calibration)
    values["files"] = dict(sorted(values["files"].items()))
    return json.dumps({"version": _VERSION, **values}, indent=2, ensure_ascii=False) + "\n"
