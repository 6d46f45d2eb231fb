"""Read a journal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from evalwire.errors import UsageError
from evalwire.model import (
    JobSpec,
    Shard,
    Sharing,
)

if TYPE_CHECKING:
    from pathlib import Path

from evalwire.recording.journal.past import PastExperiment, PastJob

FORMAT = 1


def read_journal(path: Path) -> PastJob:
    """Read a journal.

    Raises:
        UsageError: it cannot be read, or is no journal that this version understands.
    """
    job: PastJob | None = None
    torn = False
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    entry = json.loads(line)
                except ValueError:
                    if job is not None:
                        job.damaged += 1
                    torn = True
                    continue
                torn = False
                if job is None:
                    job = _job(entry, path)
                else:
                    _take(entry, job)
    except OSError as error:
        raise UsageError(f"the journal {path} cannot be read: {error.strerror or error}.") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is no journal of evalwire: {type(error).__name__}: {error}.") from error
    if job is None and path.stat().st_size == 0:
        raise UsageError(
            f"the journal {path} is empty: its job ended before anything ran. Start a new run with `evalwire run`."
        )
    if job is None:
        raise UsageError(f"{path} is no journal of evalwire: it does not begin with a job.")
    job.damaged -= torn  # the last line, of a process that was killed
    return job


def _job(entry: Mapping[str, Any], path: Path) -> PastJob:
    if entry["type"] != "job" or entry["format"] != FORMAT:
        raise UsageError(f"{path} is no journal that this version of evalwire understands.")
    return PastJob(
        experiments=list(entry["experiments"]),
        spec=JobSpec(
            prefix=entry["prefix"],
            metadata=entry["metadata"],
            repetitions=entry["repetitions"],
            split=entry.get("split"),
            dataset_version=entry.get("dataset_version"),
            gates=tuple(entry.get("gates", ())),
            baseline=entry.get("baseline", ""),
            sharing=_sharing(entry.get("shard"), entry.get("run_key")),
        ),
    )


def _sharing(text: str | None, run_key: str | None) -> Sharing | None:
    """Return how an earlier job shared its experiments; None where it had them for itself.

    Raises:
        UsageError: the journal names no shard that there is.
    """
    if text is None:
        return None
    try:
        shard = Shard.parse(text)
    except ValueError as error:
        raise UsageError(f"the journal names the shard {text!r}: {error}.") from error
    return Sharing(total=shard.total, shard=shard, run_key=run_key)


def _take(entry: Mapping[str, Any], job: PastJob) -> None:
    """Add one line to what is known."""
    if entry["type"] not in ("create", "open", "run", "evaluations"):
        return
    name = entry["experiment"]
    past = job.past.setdefault(name, PastExperiment(experiment=name))
    match entry["type"]:
        case "create":
            past.dataset, past.recorded_name = entry["dataset"], entry["recorded_name"]
            past.metadata, past.repetitions = entry["metadata"], entry["repetitions"]
            return
        case "open":
            past.id, past.url, past.project_name = entry["id"], entry["url"], entry["project_name"]
            return
    place = (entry["example"], entry["repetition"])
    match entry["type"]:
        case "run":
            past.runs[place] = entry
            past.evaluations.pop(place, None)
        case "evaluations":
            past.evaluations.setdefault(place, {})[entry["evaluator"]] = entry["evaluations"]
