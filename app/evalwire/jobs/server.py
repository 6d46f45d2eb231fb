"""Connect to the configured Phoenix server, or to a local server that is started for the job."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from evalwire import phoenix as phoenix_room
from evalwire.datasets import check_testset, describe_upload, execute_upload, prepare_uploads
from evalwire.jobs.testset import testset_columns, testset_path
from evalwire.model import count

if TYPE_CHECKING:
    from evalwire.jobs.console import Console
    from evalwire.phoenix import Phoenix
    from evalwire.settings import Settings

Connect = Callable[[str | None], "Phoenix"]
"""Connects to a Phoenix server: to an address without credentials, or for None to the configured server."""


@contextlib.contextmanager
def reachable_phoenix(
    settings: Settings,
    environ: Mapping[str, str],
    console: Console,
    connect: Connect,
    *,
    local: bool,
    with_testset: bool,
) -> Iterator[Phoenix]:
    """Yield the Phoenix server of a job; with `local`, start a server and upload the testset if requested."""
    if not local:
        yield connect(None)
        return
    with phoenix_room.local_phoenix(settings.local_dir, environ, announce=console.say) as server:
        phoenix = connect(server.url)
        if with_testset and settings.csv_path is not None:
            _upload_testset(settings, console, phoenix)
        yield phoenix


def _upload_testset(settings: Settings, console: Console, phoenix: Phoenix) -> None:
    """Make the rows of the file the newest version of each dataset in the local Phoenix."""
    path, columns = testset_path(settings), testset_columns(settings)
    inspection = check_testset(path, columns)
    for line in describe_upload(inspection, columns):
        console.warn(f"{path}: {line}")
    for upload in prepare_uploads(path, columns, inspection.sizes, phoenix.uploads, on_exist="overwrite"):
        execute_upload(phoenix.uploads, upload)
        console.say(f"dataset {upload.name}: {count(upload.example_count, 'example')}")
