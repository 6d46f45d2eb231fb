"""`evalwire compare A B`: show the differences between two recorded experiments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evalwire import reports
from evalwire.errors import ExperimentNotFound, UsageError
from evalwire.gates import BaselineChoice, compare_results
from evalwire.jobs import NAMES, Listing, RecordedNames
from evalwire.masking import masked
from evalwire.settings import ci_metadata

if TYPE_CHECKING:
    from evalwire.cli.invocation import Invocation
    from evalwire.model import ExperimentResult
    from evalwire.reports import ComparisonForm


def compare(invocation: Invocation, *, before: str, after: str, form: ComparisonForm = "text") -> int:
    """Compare the experiments of `after` with `before`; return exit code 0 even if they differ.

    Args:
        invocation: settings, streams, and how to reach Phoenix.
        before: a name of `RecordedNames`, or `file:PATH`.
        after: the same notation.
        form: text, Markdown or JSON.

    Raises:
        UsageError: an experiment does not exist, or the two sides have no experiment in common.
        EvalwireError: Phoenix cannot be reached.
    """
    sides = []
    for text in (before, after):
        try:
            asked = BaselineChoice.parse(text)
        except ValueError as error:
            raise UsageError(f"{text!r}: {error}.") from None
        if asked.kind in ("auto", "none"):
            raise UsageError(f"{text!r} is not an experiment. Give {NAMES}, or file:PATH.")
        sides.append((asked, _find(invocation, asked)))
    (asked_before, there), (asked_after, here) = sides
    pairs = [(here[name], there[name]) for name in here if name in there]
    if not pairs and len(here) == len(there) == 1:  # two different experiments on the same dataset
        pairs = [(*here.values(), *there.values())]  # type: ignore[list-item]
    if not pairs:
        raise UsageError(
            f"{asked_before} and {asked_after} have no experiment in common: "
            f"{', '.join(there)} in the first, {', '.join(here)} in the second."
        )
    found = [
        (masked(compare_results(new, old, asked=str(asked_before)), invocation.console.mask), new, old)
        for new, old in pairs
    ]
    shown = [
        (baseline, masked(new, invocation.console.mask), masked(old, invocation.console.mask))
        for baseline, new, old in found
    ]
    invocation.console.out.write(
        reports.comparison_text.render(shown, form, color=invocation.console.color, width=invocation.console.width)
    )
    return 0


def _find(invocation: Invocation, asked: BaselineChoice) -> dict[str, ExperimentResult]:
    """Return the experiments of one side by name.

    Raises:
        UsageError: no experiment was found.
    """
    if asked.kind == "file":
        names = invocation.settings.names
        found = reports.load_results(Path(asked.value)).results
        recorded = {result.name: result for result in found if result.opened and (not names or result.name in names)}
        return _some(recorded, asked)
    listing = Listing(invocation.connect(None))
    is_ci = "ci" in ci_metadata(invocation.environ)
    ids = RecordedNames(invocation.settings, listing, is_ci=is_ci).find(str(asked))
    try:
        results = [listing.phoenix.recorded.result(experiment_id) for experiment_id in ids]
    except ExperimentNotFound as error:
        raise UsageError(str(error)) from error
    return {result.name: result for result in results}


def _some(found: dict[str, ExperimentResult], asked: BaselineChoice) -> dict[str, ExperimentResult]:
    if not found:
        raise UsageError(
            f"no recorded experiment matches {asked}. Select experiments with --name, or give an experiment ID."
        )
    return found
