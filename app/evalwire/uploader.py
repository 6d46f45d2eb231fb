"""`DatasetUploader`: the door for scripts that upload a testset."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalwire import phoenix
from evalwire.datasets import (
    Columns,
    as_example,
    check_testset,
    describe_upload,
    execute_upload,
    prepare_uploads,
    read_rows,
)
from evalwire.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phoenix.client import Client

    from evalwire.model import OnExist


log = logging.getLogger("evalwire")


class DatasetUploader:
    """Uploads a testset to Phoenix, one dataset for each tag.

    Args:
        csv_path: the file: CSV in UTF-8 with a header, or lines of JSON (`.jsonl`).
        phoenix_client: a `phoenix.client.Client`, or anything with its public `datasets` and `experiments`, such as a
            facade or a mock: there is no overwriting there, and nothing is tried again.
        input_keys: columns that become the example's input; `user_query` by default.
        output_keys: columns that become its expected output; `expected_output` by default, none for an empty list.
        tag_column: the column that names the datasets of a row.
        delimiter: separates several tags in one cell.
        split_columns: outputs that hold several items in one cell, separated likewise. None for each cell that has
            the delimiter between spaces, such as `billing | refunds`; which became lists is a warning.
        id_column: the column, where there is one, that names the examples; an empty text for none.
        split_column: the column, where there is one, that names the splits of a row; likewise.
        separator: the character between two cells of a CSV file; None to find it by the header.
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

    def upload(self, on_exist: OnExist = "skip") -> dict[str, Any]:
        """Upload every dataset of the file.

        Rows without a tag are left out, each with a warning that has its number. So has a row without an expected
        output, which is uploaded.

        Args:
            on_exist: what to do with a dataset that exists: `skip` it, `append` the rows, or `overwrite`, which
                makes the file's rows its new version and keeps its history. An upload that was interrupted is
                finished in any case.

        Returns:
            Phoenix's dataset by tag.

        Raises:
            UsageError: (a ValueError) another word than these.
            TestsetError: the file cannot be uploaded as it is; nothing was.
            PhoenixError: Phoenix did not take it.
        """
        if on_exist not in ("skip", "append", "overwrite"):
            raise UsageError(f"on_exist = {on_exist!r}: expected one of: skip, append, overwrite.")
        inspection = check_testset(self._path, self._columns)
        for line in describe_upload(inspection, self._columns):
            log.warning("%s: %s", self._path, line)
        if phoenix.has_public_calls_only(self._client):
            return {tag: self._upload_by_public_calls(tag, on_exist) for tag in inspection.sizes}
        server = phoenix.Phoenix(self._client)
        for upload in prepare_uploads(self._path, self._columns, inspection.sizes, server.uploads, on_exist=on_exist):
            execute_upload(server.uploads, upload)
            log.info("%s: %s, %d examples", upload.name, upload.action, upload.example_count)
        return {tag: self._client.datasets.get_dataset(dataset={"name": tag}) for tag in inspection.sizes}

    def _upload_by_public_calls(self, tag: str, on_exist: OnExist) -> Any:
        rows = [as_example(row, row.id) for row in read_rows(self._path, self._columns, tag)]
        dataset, action = phoenix.PublicClient(self._client).upload(tag, rows, on_exist=on_exist)
        log.info("%s: %s, %d examples", tag, action, len(rows))
        return dataset
