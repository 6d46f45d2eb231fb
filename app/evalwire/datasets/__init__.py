"""Read testset files and upload them as datasets."""

from evalwire.datasets.rows import Columns
from evalwire.datasets.testset import check_testset, describe_lists, describe_upload, inspect_testset, read_rows
from evalwire.datasets.upload import ROWS_PER_PART, Upload, as_example, execute_upload, prepare_uploads

__all__ = [
    "ROWS_PER_PART",
    "Columns",
    "Upload",
    "as_example",
    "check_testset",
    "describe_lists",
    "describe_upload",
    "execute_upload",
    "inspect_testset",
    "prepare_uploads",
    "read_rows",
]
