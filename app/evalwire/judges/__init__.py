"""Compare evaluators with people: labels, agreement and calibrations."""

from typing import TYPE_CHECKING

from evalwire.loading import lazy_names

if TYPE_CHECKING:
    from evalwire.judges.agreement import FEWEST_FOR_KAPPA, Agreement, measure_agreement
    from evalwire.judges.calibration_file import (
        JUDGES_DIRECTORY,
        calibration_json,
        calibration_path,
        load_calibrations,
    )
    from evalwire.judges.label_rows import LabelRows, label_row, row_value
    from evalwire.judges.labels_file import LABEL_COLUMNS, labels_csv, read_labels
    from evalwire.judges.matching import LabeledOutput, label_sources

_HOMES = {
    "agreement": ("FEWEST_FOR_KAPPA", "Agreement", "measure_agreement"),
    "calibration_file": ("JUDGES_DIRECTORY", "calibration_json", "calibration_path", "load_calibrations"),
    "label_rows": ("LabelRows", "label_row", "row_value"),
    "labels_file": ("LABEL_COLUMNS", "labels_csv", "read_labels"),
    "matching": ("LabeledOutput", "label_sources"),
}

__all__ = [
    "FEWEST_FOR_KAPPA",
    "JUDGES_DIRECTORY",
    "LABEL_COLUMNS",
    "Agreement",
    "LabelRows",
    "LabeledOutput",
    "calibration_json",
    "calibration_path",
    "label_row",
    "label_sources",
    "labels_csv",
    "load_calibrations",
    "measure_agreement",
    "read_labels",
    "row_value",
]

__getattr__ = lazy_names(__name__, {name: module for module, names in _HOMES.items() for name in names})
