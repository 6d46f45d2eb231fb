"""Compare evaluators with people: labels, agreement and calibrations."""

from typing import TYPE_CHECKING

from evalwire.loading import lazy_names

if TYPE_CHECKING:
    from evalwire.judges.labels_file import LABEL_COLUMNS, labels_csv, read_labels

__all__ = ["LABEL_COLUMNS", "labels_csv", "read_labels"]

__getattr__ = lazy_names(
    __name__, {"LABEL_COLUMNS": "labels_file", "labels_csv": "labels_file", "read_labels": "labels_file"}
)
