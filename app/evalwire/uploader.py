"""`DatasetUploader`, which uploads testsets in scripts."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalwire import phoenix
from evalwire.datasets import (
    Columns,
    as_example,
    check_differences,
    check_testset,
    describe_upload,
    execute_upload,
    prepare_uploads,
    read_rows,
)
from evalwire.errors import UsageError
from evalwire.settings import origin_metadata

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phoenix.client import Client

    from evalwire.model import OnExist


log = logging.getLogger("evalwire")


class DatasetUploader:
    """Uploads a testset to Phoenix, with a dataset for each tag.

    Args:
        csv_path: the file: CSV in UTF-8 with a header, or JSON Lines (`.jsonl`).
        phoenix_client: a `phoenix.client.Client`, or an object with the public `datasets` and `experiments` of a
            client, such as a wrapper or a mock. Such objects cannot overwrite datasets, and requests are not retried.
        input_keys: columns that form the input of an example; `user_query` by default.
        output_keys: columns that form the expected output; `expected_output` by default. An empty list for no output.
        tag_column: column that lists the datasets of a row.
        delimiter: text that separates the tags in a cell.
        split_columns: columns of the expected output with several items in a cell, separated like tags. None splits
            every cell that has the delimiter between spaces, such as `billing | refunds`, and warns of such columns.
        id_column: optional column with an ID for each example; an empty string for no column.
        split_column: optional column that lists the dataset splits of a row; an empty string for no column.
        separator: character that separates the cells of a CSV file; None to detect it from the header.
    """

    def __init__(  # noqa: PLR0917 - the signature is a contract
        self,
        csv_path: str | Path,
        phoenix_client: Client,
        input_keys: Sequence[str] | None = None,
        output_keys: Sequence[str] | None = None,
        tag_column: str = "tags",
        delimiter: str = "|",
        *,
        split_columns: Sequence[str] | None = None,
        id_column: str = "id",
        split_column: str = "split",
        separator: str | None = None,
    ) -> None:
        self._path = Path(csv_path)
        self._client = phoenix_client
        self._columns = Columns(
            inputs=tuple(input_keys or ("user_query",)),
            outputs=("expected_output",) if output_keys is None else tuple(output_keys),
            tags=tag_column,
            delimiter=delimiter,
            lists=None if split_columns is None else tuple(split_columns),
            id=id_column,
            split=split_column,
            separator=separator,
        )

    def upload(self, on_exist: OnExist | None = None) -> dict[str, Any]:
        """Upload every dataset in the file.

        Rows without a tag are skipped with a warning. Rows without an expected output are uploaded with a warning.
        Warnings include the row number.

        Args:
            on_exist: the action for an existing dataset: `skip` the dataset, `append` the rows, or `overwrite` the
                dataset with a new version that has only the file's rows. Earlier versions are kept. None rejects a
                file that differs from an existing dataset. Interrupted uploads are always completed.

        Returns:
            Phoenix's datasets, by tag.

        Raises:
            UsageError: (a ValueError) `on_exist` is invalid; or it is None, and the file differs from a dataset.
                Nothing was uploaded.
            TestsetError: the file cannot be uploaded; nothing was uploaded.
            PhoenixError: Phoenix did not accept the upload.
        """
        if on_exist not in (None, "skip", "append", "overwrite"):
            raise UsageError(f"on_exist = {on_exist!r}: expected one of: skip, append, overwrite.")
        inspection = check_testset(self._path, self._columns)
        for line in describe_upload(inspection, self._columns):
            log.warning("%s: %s", self._path, line)
        if phoenix.has_public_calls_only(self._client):
            return self._upload_by_public_calls(list(inspection.sizes), on_exist)
        server = phoenix.Phoenix(self._client)
        uploads = prepare_uploads(self._path, self._columns, inspection.sizes, server.uploads, on_exist=on_exist)
        for upload in uploads:
            execute_upload(server.uploads, upload, origin=origin_metadata(os.environ, Path.cwd()))
            log.info("%s: %s, %d examples", upload.name, upload.action, upload.example_count)
        return {tag: self._client.datasets.get_dataset(dataset={"name": tag}) for tag in inspection.sizes}

    def _upload_by_public_calls(self, tags: Sequence[str], on_exist: OnExist | None) -> dict[str, Any]:
        client = phoenix.PublicClient(self._client)
        if on_exist is None:
            changes = {tag: client.changes(tag, self._examples(tag)) for tag in tags}
            check_differences(self._path, [f"{tag}: {text}" for tag, text in changes.items() if text])
        datasets = {}
        for tag in tags:
            rows = self._examples(tag)
            datasets[tag], action = client.upload(tag, rows, on_exist=on_exist or "skip")
            log.info("%s: %s, %d examples", tag, action, len(rows))
        return datasets

    def _examples(self, tag: str) -> list[dict[str, Any]]:
        return [as_example(row, row.id) for row in read_rows(self._path, self._columns, tag)]
