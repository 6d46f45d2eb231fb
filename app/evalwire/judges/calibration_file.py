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

_ROUNDED = 1e-4  # to which kappa is written


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
        _check_numbers(found)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is not a calibration ({error}). Calibrate again with `evalwire judge`.") from error
    return found


def _check_numbers(found: Calibration) -> None:
    """Check that numbers do not contradict each other, as after an edit by hand.

    Raises:
        ValueError: they do; the message says which.
    """
    numbers = [found.kappa] if found.kappa is not None else []
    numbers += [found.interval.low, found.interval.high] if found.interval is not None else []
    if not all(-1 <= number <= 1 for number in numbers):  # also false for NaN
        raise ValueError("kappa and its interval have to be between -1 and 1")
    table = found.table
    if table is None:
        return
    if min(table.true_passes, table.false_failures, table.false_passes, table.true_failures) < 0:
        raise ValueError("the table has a negative number")
    if table.size != found.labels:
        raise ValueError(f"the table has {table.size} outputs, but there are {found.labels} labels")
    kappa = table.kappa
    if (kappa is None) != (found.kappa is None) or abs((kappa or 0.0) - (found.kappa or 0.0)) > _ROUNDED:
        raise ValueError(
            f"the kappa of the table is {'unknown' if kappa is None else f'{kappa:.4f}'}, not {found.kappa}"
        )


def calibration_path(directory: Path, calibration: Calibration) -> Path:
    """Return the file to write: the evaluation's name, after the experiment's if the file has another calibration.

    A file that is not a calibration is replaced.

    Raises:
        UsageError: both files have calibrations of other evaluations.
    """
    name = calibration.evaluation.replace("/", "_")
    path = directory / f"{name}.json"
    own = directory / f"{calibration.experiment}.{name}.json"
    found = own if own.exists() or not _is_free(path, calibration) else path
    if not _is_free(found, calibration):
        raise UsageError(f"{found} is the calibration of another evaluation. Rename the file, and calibrate again.")
    return found


def _is_free(path: Path, calibration: Calibration) -> bool:
    """Check whether a file may be replaced: it is missing, not a calibration, or of the same evaluation."""
    try:
        found = read_calibration(path) if path.exists() else calibration
    except UsageError:
        return True
    return (found.experiment, found.evaluation) == (calibration.experiment, calibration.evaluation)


def calibration_json(calibration: Calibration) -> str:
    """Return the text of a calibration's file, with sorted files for small differences between versions."""
    values = load("msgspec").to_builtins(calibration)
    values["files"] = dict(sorted(values["files"].items()))
    return json.dumps({"version": _VERSION, **values}, indent=2, ensure_ascii=False) + "\n"
