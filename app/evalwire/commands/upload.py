"""`evalwire upload`: a testset file -> Phoenix datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire import testset
from evalwire.errors import UsageError
from evalwire.uploader import upload as upload_testset

if TYPE_CHECKING:
    from evalwire.context import Context
    from evalwire.gateway import UploadResult


def upload(context: Context) -> int:
    """Upload the testset, one dataset for each tag, and say what became of each.

    Raises:
        UsageError: no file is named.
        TestsetError: the file cannot be uploaded as it is; nothing was.
        PhoenixError: Phoenix did not take it.
    """
    settings = context.settings
    if settings.csv_path is None:
        raise UsageError("no testset is named: use --csv FILE, or csv_path under [dataset] in evalwire.toml.")
    found = testset.read(settings.csv_path, context.columns())
    for note in found.notes:
        context.err.write(f"evalwire: {settings.csv_path}: {note}\n")
    if not found.datasets:
        raise UsageError(f"{settings.csv_path} has no row with a tag, so there is nothing to upload.")

    def announce(result: UploadResult) -> None:
        context.out.write(f"{result.name}: {result.action}, {result.example_count} examples\n")

    upload_testset(found, context.connect(None), on_exist=settings.on_exist, announce=announce)
    return 0
