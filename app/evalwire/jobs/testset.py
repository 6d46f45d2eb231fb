"""Compare the testset with the datasets of a job, or upload it before the job runs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from evalwire.datasets import (
    ROWS_PER_PART,
    Columns,
    check_testset,
    describe_upload,
    prepare_upload,
    read_rows,
    sync_dataset,
    testset_digest,
)
from evalwire.errors import PhoenixError, TestsetError, UsageError
from evalwire.model import UploadedVersion, count, examples_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from evalwire.datasets import Uploaded
    from evalwire.jobs.console import Console
    from evalwire.model import Experiment, JobSpec, StoredDataset
    from evalwire.phoenix import Phoenix
    from evalwire.settings import Settings


def testset_path(settings: Settings) -> Path:
    """Return the path of the testset.

    Raises:
        UsageError: no testset was given.
    """
    path: Path | None = settings.csv_path
    if path is None:
        raise UsageError("no testset was given. Use --csv FILE, or set csv_path under [dataset] in evalwire.toml.")
    return path


def testset_columns(settings: Settings) -> Columns:
    """Return the roles of the columns of the testset."""
    return Columns(
        inputs=settings.input_keys,
        outputs=settings.output_keys,
        tags=settings.tag_column,
        delimiter=settings.delimiter,
        lists=settings.split_columns,
        id=settings.id_column,
        split=settings.split_column,
        separator=settings.separator,
    )


def prepare_datasets(
    settings: Settings,
    console: Console,
    phoenix: Phoenix,
    experiments: Sequence[Experiment],
    spec: JobSpec,
    *,
    uploads: bool,
    is_dry: bool = False,
) -> dict[str, UploadedVersion]:
    """Upload the testset for the datasets of a new job, or say how it differs from them.

    Args:
        settings: the settings of the testset.
        console: receives the changes, or the differences.
        phoenix: the server of the datasets.
        experiments: the experiments of the job; other datasets stay unchanged.
        spec: the specification of the job.
        uploads: whether to upload the testset.
        is_dry: whether to say only which changes an upload would make.

    Returns:
        The uploaded version of each dataset.

    Raises:
        UsageError: no testset was given.
        TestsetError: the testset has errors; nothing was uploaded.
        PhoenixError: Phoenix did not accept the upload.
    """
    names = list(dict.fromkeys(experiment.dataset_name for experiment in experiments))
    if settings.dataset_version is not None:
        return {}
    if uploads:
        return _sync(settings, console, phoenix, names, spec, is_dry=is_dry)
    if not console.quiet:
        for line in testset_differences(settings, phoenix, names, branch=spec.metadata.get("branch")):
            console.say(line)
    return {}


def with_uploads(
    settings: Settings,
    console: Console,
    phoenix: Phoenix,
    experiments: Sequence[Experiment],
    spec: JobSpec,
    *,
    local: bool,
    is_dry: bool = False,
) -> JobSpec:
    """Upload the testset if the job requests it, and return the spec with the uploaded versions.

    Args:
        settings: the settings of the testset.
        console: receives the changes, or the differences.
        phoenix: the server of the datasets.
        experiments: the experiments of the job.
        spec: the specification of the job.
        local: whether the server is the local Phoenix, to which each job uploads its testset.
        is_dry: whether nothing is recorded.

    Raises:
        EvalwireError: the testset has errors, or Phoenix did not accept the upload.
    """
    uploads = settings.csv_path is not None if local else settings.sync
    uploaded = prepare_datasets(
        settings, console, phoenix, experiments, spec, uploads=uploads, is_dry=is_dry and not local
    )
    return replace(spec, uploaded=uploaded)


def _sync(
    settings: Settings, console: Console, phoenix: Phoenix, names: Sequence[str], spec: JobSpec, *, is_dry: bool
) -> dict[str, UploadedVersion]:
    path, columns = testset_path(settings), testset_columns(settings)
    inspection = check_testset(path, columns)
    for line in describe_upload(inspection, columns):
        console.warn(f"{path}: {line}")
    versions = {}
    for name in names:
        rows = partial(read_rows, path, columns, name)
        if name not in inspection.sizes:
            console.say(f"{path} has no row for the dataset {name}: using the newest version in Phoenix")
            continue
        if is_dry:
            upload = prepare_upload(phoenix.uploads, name, rows, on_exist="overwrite")
            action = f"would be {upload.action}, but the dry run uploads nothing"
        else:
            if inspection.sizes[name] > ROWS_PER_PART:
                console.say(f"dataset {name}: comparing and uploading {count(inspection.sizes[name], 'example')}")
            upload, uploaded = sync_dataset(phoenix.uploads, name, rows, origin=spec.metadata)
            action = f"{upload.action}, {count(upload.example_count, 'example')}"
            versions[name] = UploadedVersion(id=str(uploaded.version_id), data=_data_of(uploaded, spec.split))
        changes = f" ({upload.plan.changes})" if upload.action == "updated" and upload.plan else ""
        console.say(f"dataset {name}: {action}{changes}")
    return versions


def _data_of(uploaded: Uploaded, split: str | None) -> str:
    """Return the `data_digest` of the uploaded examples in a split, or of all examples."""
    own = (example for example in uploaded.examples if split is None or split in example.splits)
    return examples_digest((example.id, example.content_hash) for example in own)


def testset_differences(
    settings: Settings, phoenix: Phoenix, names: Sequence[str], *, branch: str | None
) -> Iterator[str]:
    """Yield a line for each dataset whose newest version differs from the testset, or is from another branch.

    Args:
        settings: the settings of the testset, which may be missing.
        phoenix: the server of the datasets.
        names: the names of the datasets.
        branch: the branch of the job; None if unknown.
    """
    path = settings.csv_path
    try:
        sizes = check_testset(path, testset_columns(settings)).sizes if path is not None and path.is_file() else {}
        for name in names:
            held = phoenix.testsets.find(name)
            if held is None or held.unfinished is not None:  # a run has its own messages
                continue
            if path is not None and name in sizes:
                yield from _difference(settings, path, phoenix, held, name)
            elif held.origin and held.origin.branch and held.origin.branch != branch:
                yield f"the newest version of the dataset {name} was uploaded from {held.origin}"
    except TestsetError:
        yield f"{path} cannot be compared with Phoenix, because it has errors: run `evalwire validate`"
    except PhoenixError as error:
        yield f"the testset cannot be compared with Phoenix: {error}"


def _difference(settings: Settings, path: Path, phoenix: Phoenix, held: StoredDataset, name: str) -> Iterator[str]:
    rows = partial(read_rows, path, testset_columns(settings), name)
    if held.origin is not None and held.origin.digest == testset_digest(rows()):
        return
    upload = prepare_upload(phoenix.testsets, name, rows, on_exist=None)
    if upload.action != "differs" or upload.plan is None:
        return
    place = f". Its newest version was uploaded from {held.origin}" if held.origin else ""
    yield (
        f"{path} differs from the dataset {name}: {upload.plan.changes}{place}. Runs use the dataset. To upload the "
        "testset first, use `evalwire run --upload`"
    )
