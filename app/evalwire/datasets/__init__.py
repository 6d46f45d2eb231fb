"""Read testset files and upload them as datasets."""

from evalwire.datasets.plan import testset_digest
from evalwire.datasets.rows import Columns
from evalwire.datasets.testset import check_testset, describe_lists, describe_upload, inspect_testset, read_rows
from evalwire.datasets.upload import (
    ROWS_PER_PART,
    Upload,
    Uploaded,
    as_example,
    check_differences,
    execute_upload,
    prepare_upload,
    prepare_uploads,
    sync_dataset,
)

__all__ = [
    "ROWS_PER_PART",
    "Columns",
    "Upload",
    "Uploaded",
    "as_example",
    "check_differences",
    "check_testset",
    "describe_lists",
    "describe_upload",
    "execute_upload",
    "inspect_testset",
    "prepare_upload",
    "prepare_uploads",
    "read_rows",
    "sync_dataset",
    "testset_digest",
]
