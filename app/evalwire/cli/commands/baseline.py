"""`evalwire baseline`: tag recorded experiments as baselines, list the tags, and remove them."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from evalwire.errors import DatasetNotFound, UsageError
from evalwire.jobs import Listing, RecordedNames
from evalwire.masking import plain_line
from evalwire.model import baseline_obstacle, count, history_entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from evalwire.cli.invocation import Invocation


_TAG = re.compile(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?")
_MOST_LISTED = 1_000  # experiments of a dataset whose tags are listed; Phoenix answers about 150 requests per second


def pin(invocation: Invocation, *, name: str, tag: str) -> int:
    """Tag an experiment and return the exit code.

    Args:
        invocation: settings, streams, and how to reach Phoenix.
        name: the name of a recorded experiment, as in `RecordedNames`.
        tag: the tag to set.

    Raises:
        UsageError: Phoenix does not allow this tag, the name stands for no single experiment, or the experiment can
            never be a baseline.
        ExperimentNotFound: the experiment does not exist.
        PhoenixError: Phoenix rejected the request or did not answer.
    """
    _check(tag)
    phoenix = invocation.connect(None)
    experiment_id = RecordedNames(invocation.settings, Listing(phoenix)).find_single(name)
    record = phoenix.experiments.find(experiment_id)
    if obstacle := baseline_obstacle(record.get("metadata")):
        raise UsageError(f"{experiment_id} {obstacle}, so it is never a baseline. Pin a complete run.")
    phoenix.experiments.tag(experiment_id, tag)
    invocation.console.show(
        f"{record['name']} ({experiment_id}) has the tag {tag}\nCompare with it: --baseline tag:{tag}\n"
    )
    return 0


def unpin(invocation: Invocation, *, tag: str) -> int:
    """Remove a tag from the experiments of the project, and return the exit code.

    Raises:
        UsageError: no experiment of the project has the tag.
        PhoenixError: Phoenix rejected the request or did not answer.
    """
    _check(tag)
    listing = Listing(invocation.connect(None))
    datasets = _datasets(invocation, listing)
    tagged = [record for dataset in datasets if (record := _tagged(listing, dataset, tag)) is not None]
    if not tagged:
        raise UsageError(
            f"no experiment on {', '.join(map(repr, datasets))} has the tag {tag!r}. "
            "`evalwire baseline list` shows the tags."
        )
    for record in tagged:
        listing.phoenix.experiments.untag(record["id"], tag)
        invocation.console.show(f"{record['name']} ({record['id']}) no longer has the tag {tag}\n")
    return 0


def list_(invocation: Invocation) -> int:
    """Show the tags of each dataset of the project with their experiments, and return the exit code.

    Raises:
        PhoenixError: Phoenix rejected the request or did not answer.
    """
    listing = Listing(invocation.connect(None))
    described = [line for dataset in _datasets(invocation, listing) for line in _describe(listing, dataset)]
    lines = described or ["no experiment has a tag. To set a tag, run: evalwire baseline pin last --tag release"]
    invocation.console.show("\n".join([*lines, ""]))
    return 0


def _check(tag: str) -> None:
    if _TAG.fullmatch(tag) is None:
        raise UsageError(f"--tag {tag}: a tag has only lowercase letters, digits, - and _. Example: `release`.")


def _datasets(invocation: Invocation, listing: Listing) -> list[str]:
    """Return the names of the project's datasets.

    Raises:
        UsageError: the project has no experiment.
    """
    found = RecordedNames(invocation.settings, listing).datasets
    if not found:
        directory = invocation.settings.experiments.resolve()
        raise UsageError(f"no experiment in {directory}/, so there are no datasets with tags.")
    return list(dict.fromkeys(found.values()))


def _tagged(listing: Listing, dataset: str, tag: str) -> Mapping[str, Any] | None:
    try:
        return listing.tagged(dataset, tag)
    except DatasetNotFound:
        return None


def _describe(listing: Listing, dataset: str) -> Iterator[str]:
    """Yield a line for each tag of a dataset, after the name of the dataset; nothing for a dataset without tags."""
    name = plain_line(dataset)
    try:
        records = list(itertools.islice(listing.with_tags(dataset), _MOST_LISTED + 1))
    except DatasetNotFound:
        yield f"{name}: Phoenix has no such dataset"
        return
    pinned = sorted(
        ((tag, record) for record, tags in records[:_MOST_LISTED] for tag in tags), key=lambda pair: pair[0]
    )
    if pinned:
        yield f"{name}: {count(len(pinned), 'tag')}"
    longest = max((len(tag) for tag, _ in pinned), default=0)
    for tag, record in pinned:
        entry = history_entry(record)
        facts = [f"{tag:{longest}}", record["id"], entry.time_text, entry.branch, entry.commit_text, entry.outcome_text]
        yield plain_line(f"  {'  '.join(filter(None, facts))}")
    if len(records) > _MOST_LISTED:
        yield f"{name}: only the newest {_MOST_LISTED:,} experiments were checked"
