"""`evalwire runs`: list the recorded experiments of the project."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from evalwire import reports
from evalwire.errors import NothingToRunError
from evalwire.jobs import Listing, RecordedNames
from evalwire.masking import masked
from evalwire.model import history_entry

if TYPE_CHECKING:
    from evalwire.cli.invocation import Invocation


def runs(invocation: Invocation, *, limit: int, as_json: bool = False) -> int:
    """Show the recorded experiments, newest first; return exit code 0, also if there are none.

    The list needs a request for each dataset, and no runs.

    Args:
        invocation: settings, streams, and how to reach Phoenix.
        limit: the number of experiments to show for each directory.
        as_json: whether to show JSON instead of text.

    Raises:
        NothingToRunError: the experiments directory contains no experiments.
        EvalwireError: Phoenix cannot be reached.
    """
    settings, console = invocation.settings, invocation.console
    listing = Listing(invocation.connect(None))
    names = RecordedNames(settings, listing)
    if not names.datasets:
        raise NothingToRunError(f"no experiment in {settings.experiments.resolve()}/, so there is nothing to list.")
    found = {name: list(itertools.islice(names.records(name), limit + 1)) for name in names.datasets}
    listed = [
        reports.runs_text.ListedExperiment(
            experiment=name,
            recorded_name=str(record["name"]),
            url=listing.phoenix.experiments.url(record["dataset_id"], record["id"]),
            entry=history_entry(record),
        )
        for name, records in found.items()
        for record in records[:limit]
    ]
    listed = masked(sorted(listed, key=lambda each: each.entry.time, reverse=True), console.mask)
    if as_json:
        console.out.write(reports.runs_text.as_json(listed, settings.prices))
        return 0
    if not listed:
        what = ", ".join(names.datasets)
        console.show(f"no recorded experiment of {what} with the prefix {settings.prefix}\n")
    cut_off = [name for name, records in found.items() if len(records) > limit]
    console.show(reports.runs_text.as_text(listed, settings.prices, width=console.width or 80, cut_off=cut_off))
    return 0
