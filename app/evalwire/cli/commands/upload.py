"""`evalwire upload`: upload a testset to Phoenix datasets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evalwire.datasets import ROWS_PER_PART, check_testset, describe_upload, execute_upload, prepare_uploads
from evalwire.errors import UsageError
from evalwire.jobs import Signals, progress_counter, testset_columns, testset_path
from evalwire.model import count
from evalwire.settings import origin_metadata

if TYPE_CHECKING:
    from evalwire.cli.invocation import Invocation
    from evalwire.datasets import Upload
    from evalwire.phoenix import Phoenix


def upload(invocation: Invocation, *, strict: bool = False, dry_run: bool = False) -> int:
    """Upload the testset as one dataset per tag, and report the changes before and the result after each upload.

    Args:
        invocation: settings, streams, and how to reach Phoenix.
        strict: upload nothing if any row has an issue.
        dry_run: report the changes without uploading them.

    Raises:
        UsageError: no file was given, or it has no row with a tag; or it differs from a dataset, and `on_exist` is not
            set. Nothing was uploaded.
        TestsetError: the file has errors; nothing was uploaded.
        PhoenixError: Phoenix rejected an upload.
    """
    path, columns = testset_path(invocation.settings), testset_columns(invocation.settings)
    inspection = check_testset(path, columns, strict=strict)
    for line in describe_upload(inspection, columns):
        invocation.console.warn(f"{path}: {line}")
    if not inspection.sizes:
        raise UsageError(f"{path} has no row with a tag, so there is nothing to upload.")
    phoenix = invocation.connect(None)
    on_exist = invocation.settings.on_exist
    with Signals():
        for found in prepare_uploads(path, columns, inspection.sizes, phoenix.uploads, on_exist=on_exist):
            for line in found.changes():
                invocation.console.say(line)
            if not dry_run:
                _execute(invocation, phoenix, found)
            word = f"would be {found.action}" if dry_run else found.action
            invocation.console.show(f"{found.name}: {word}, {count(found.example_count, 'example')}\n")
    return 0


def _execute(invocation: Invocation, phoenix: Phoenix, found: Upload) -> None:
    to_send = sum(found.plan.sent) if found.plan else 0
    sent = 0
    with progress_counter(found.name, to_send, invocation.console) as advance:

        def arrived(number: int) -> None:
            nonlocal sent
            sent += number
            advance(number)

        try:
            origin = origin_metadata(invocation.environ, Path.cwd())
            execute_upload(phoenix.uploads, found, origin=origin, arrived=arrived)
        except BaseException:
            if to_send > ROWS_PER_PART:
                invocation.console.warn(
                    f"{found.name}: the upload was interrupted after {sent} of {to_send} examples. Repeat it to send "
                    f"the rest. Until then, runs {'use the previous version' if found.held else 'reject the dataset'}."
                )
            raise
