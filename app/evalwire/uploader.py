"""`DatasetUploader`: the door for scripts that upload a testset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalwire import testset
from evalwire.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from phoenix.client import Client

    from evalwire.gateway import Phoenix, UploadResult


class DatasetUploader:
    """Uploads a CSV testset to Phoenix, one dataset for each tag.

    Args:
        csv_path: the file: UTF-8, with a header.
        phoenix_client: a `phoenix.client.Client`.
        input_keys: columns that become the example's input.
        output_keys: columns that become its expected output.
        tag_column: the column that names the datasets of a row.
        delimiter: separates several tags in one cell.
    """

    def __init__(  # noqa: PLR0917 - the signature is a contract
        self,
        csv_path: str | Path,
        phoenix_client: Client,
        input_keys: Sequence[str] = ("user_query",),
        output_keys: Sequence[str] = ("expected_output",),
        tag_column: str = "tags",
        delimiter: str = "|",
    ) -> None:
        self._path = Path(csv_path)
        self._client = phoenix_client
        self._columns = testset.Columns(
            inputs=tuple(input_keys), outputs=tuple(output_keys), tags=tag_column, delimiter=delimiter
        )

    def upload(self, on_exist: str = "skip") -> dict[str, Any]:
        """Upload every dataset of the file.

        Args:
            on_exist: what to do with a dataset that exists: `skip` it, `append` the rows, or `overwrite`, which
                makes the file's rows its new version and keeps its history.

        Returns:
            Phoenix's dataset by tag.

        Raises:
            UsageError: (a ValueError) another word than these.
            TestsetError: the file cannot be uploaded as it is; nothing was.
            PhoenixError: Phoenix did not take it.
        """
        from evalwire.gateway import Phoenix  # noqa: PLC0415 - an import of this module stays cheap

        if on_exist not in ("skip", "append", "overwrite"):
            raise UsageError(f"on_exist = {on_exist!r}: expected one of: skip, append, overwrite.")
        found = testset.read(self._path, self._columns)
        uploaded = upload(found, Phoenix(self._client), on_exist=on_exist)
        return {result.name: result.dataset for result in uploaded}


def upload(
    found: testset.Testset,
    phoenix: Phoenix,
    *,
    on_exist: str,
    announce: Callable[[UploadResult], None] = lambda _: None,
) -> list[UploadResult]:
    """Upload the datasets of a testset one after the other, announcing each."""
    results = []
    for name, examples in found.datasets.items():
        results.append(phoenix.upload(name, examples, on_exist=on_exist))
        announce(results[-1])
    return results
