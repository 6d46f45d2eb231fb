"""`evalwire compare A B`: show the differences between two recorded experiments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evalwire import reports
from evalwire.errors import DatasetNotFound, ExperimentNotFound, UsageError
from evalwire.experiments import find_experiments
from evalwire.gates import BaselineChoice, BaselineQuery, choose_baseline, compare_results
from evalwire.masking import masked

if TYPE_CHECKING:
    from evalwire.cli.invocation import Invocation
    from evalwire.model import ExperimentResult
    from evalwire.phoenix import Phoenix
    from evalwire.reports import ComparisonForm


def compare(invocation: Invocation, *, before: str, after: str, form: ComparisonForm = "text") -> int:
    """Compare the experiments of `after` with `before`; return exit code 0 even if they differ.

    Args:
        invocation: settings, streams, and how to reach Phoenix.
        before: experiment ID, `branch:NAME`, `tag:NAME` or `file:PATH`.
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
            raise UsageError(
                f"{text!r} is not an experiment. Give an experiment ID, branch:NAME, tag:NAME or file:PATH."
            )
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
    phoenix = invocation.connect(None)
    if asked.kind == "id":
        try:
            result = phoenix.recorded.result(asked.value)
        except ExperimentNotFound as error:
            raise UsageError(str(error)) from error
        return {result.name: result}
    return _some(_by_name(invocation, phoenix, asked), asked)


def _some(found: dict[str, ExperimentResult], asked: BaselineChoice) -> dict[str, ExperimentResult]:
    if not found:
        raise UsageError(
            f"no recorded experiment matches {asked}. Select experiments with --name, or give an experiment ID."
        )
    return found


def _by_name(invocation: Invocation, phoenix: Phoenix, asked: BaselineChoice) -> dict[str, ExperimentResult]:
    """Return the newest recorded experiment by name, on a branch or with a tag."""
    settings = invocation.settings
    names = settings.names
    if not names:
        names = tuple(path.name for path in find_experiments(settings.experiments)[0])
    found: dict[str, ExperimentResult] = {}
    for name in names:
        dataset = settings.dataset_names.get(name, name)
        try:
            records = phoenix.experiments.on_dataset(dataset)
            if asked.kind == "tag":
                record = next((item for item in records if asked.value in phoenix.experiments.tags(item["id"])), None)
            else:
                wanted = BaselineQuery(
                    experiment=name,
                    dataset_name=dataset,
                    split=settings.split,
                    branches=[asked.value],
                    base_branch=settings.base_branch or "main",
                    is_any_outcome=True,
                )
                record, _ = choose_baseline(records, wanted)
        except DatasetNotFound:
            continue
        if record is not None:
            found[name] = phoenix.recorded.result(record["id"])
    return found
