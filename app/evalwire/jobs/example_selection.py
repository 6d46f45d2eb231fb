"""Select the examples of a partial run before it starts."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalwire import reports
from evalwire.errors import EvalwireError, UsageError
from evalwire.jobs.failing import failing_examples
from evalwire.model import ExampleSelection, PartialRun, partial_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from evalwire.model import Example, Experiment, ExperimentResult, JobSpec
    from evalwire.phoenix import Phoenix

_MOST_NAMED = 5  # IDs in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleRequest:
    """The examples that the flags of `run` ask for.

    Attributes:
        text: -k; None if it is not given.
        ids: --example.
        failing: --failing.
        sample: --sample; None for all examples.
        seed: --seed; None for the default.
    """

    text: str | None = None
    ids: Sequence[str] | None = None
    failing: bool = False
    sample: int | None = None
    seed: int | None = None

    def selection(self, directory: Path) -> ExampleSelection | None:
        """Return the selection; None for a run of all examples.

        Args:
            directory: the report directory, whose results.json has the failing examples.

        Raises:
            UsageError: a value is empty, or there are no results or no failing examples.
        """
        ids = self.ids or ()
        for flag, value in (("-k", self.text), *(("--example", name) for name in ids)):
            if value is not None and not value.strip():
                raise UsageError(f"{flag} needs a text that is not empty. To run all examples, omit {flag}.")
        if self.sample is not None and self.sample < 1:
            raise UsageError(f"--sample {self.sample}: expected a whole number, 1 or more.")
        if self.seed is not None and self.sample is None:
            raise UsageError("--seed requires --sample. Add --sample N, or omit --seed.")
        if self.text is None and not ids and not self.failing and self.sample is None:
            return None
        return ExampleSelection(
            text=(self.text or "").strip(),
            ids=tuple(name.strip() for name in ids),
            failing=_failing(directory / "results.json") if self.failing else None,
            sample=self.sample,
            seed=self.seed or 0,
        )


def _failing(path: Path) -> Mapping[str, tuple[str, ...] | None]:
    """Return the failing examples of a results file, by experiment.

    Raises:
        UsageError: the file is missing or invalid, or nothing failed.
    """
    if not path.exists():
        raise UsageError(
            f"--failing needs the results of an earlier run, but {path} does not exist. Run all examples first with "
            "`evalwire run`."
        )
    found = reports.load_failing(path)
    if found is None:  # from an earlier version of evalwire, or invalid
        found = failing_examples(reports.load_results(path))
    if not found:
        raise UsageError(
            f"nothing failed or became worse in {path}, so --failing has no example to run. To run all examples, omit "
            "--failing."
        )
    return found


def select_examples(
    experiments: Sequence[Experiment], spec: JobSpec, phoenix: Phoenix, *, say: Callable[[str], object]
) -> Sequence[Experiment]:
    """Return the experiments of a partial run that have a selected example, and say how many examples they have.

    Experiments that cannot be loaded or whose dataset cannot be fetched stay, because the run reports them.

    Args:
        experiments: the loaded experiments.
        spec: the specification of the job.
        phoenix: the server of the datasets.
        say: receives the size of the run.

    Raises:
        UsageError: no example is selected, or an ID does not exist.
    """
    selection = spec.selection
    if selection is None:
        return experiments
    kept: list[Experiment] = []
    empty: list[str] = []
    known: dict[str, Example] = {}
    total = chosen = 0
    for experiment in experiments:
        examples = () if experiment.problems else _examples(experiment, spec, phoenix)
        own = selection.choose(examples, experiment=experiment.name)
        known |= {name: example for example in examples for name in (example.id, example.node_id)}
        if examples and not own:
            empty.append(experiment.name)
            continue
        kept.append(experiment)
        total, chosen = total + len(examples), chosen + len(own)
    _check_ids(selection.ids, known)
    if not chosen and empty:
        raise UsageError(_nothing_selected(selection, known.values(), empty))
    say(f"PARTIAL: {PartialRun(selection=str(selection), examples=chosen, of=total)}")
    if empty:
        say(f"no example is selected in: {', '.join(empty)}")
    return kept


def _examples(experiment: Experiment, spec: JobSpec, phoenix: Phoenix) -> Sequence[Example]:
    try:
        name = experiment.dataset_name
        dataset = phoenix.datasets.fetch(name, split=spec.split, version_id=spec.version_of(name))
    except UsageError:
        raise
    except EvalwireError:
        return ()
    return dataset.examples


def _check_ids(ids: Iterable[str], known: Collection[str]) -> None:
    """Check that each ID belongs to an example.

    Raises:
        UsageError: no example has an ID.
    """
    if known and (unknown := [name for name in ids if name not in known]):
        close = [near for name in unknown for near in difflib.get_close_matches(name, known, n=2)]
        advice = f" Did you mean {' or '.join(map(repr, close[:_MOST_NAMED]))}?" if close else ""
        raise UsageError(
            f"no example of the selected experiments has the ID {', '.join(map(repr, unknown[:_MOST_NAMED]))}.{advice}"
        )


def _nothing_selected(selection: ExampleSelection, examples: Collection[Example], experiments: Sequence[str]) -> str:
    """Describe a selection without examples, with the words and IDs that are close to its text."""
    words = {word for example in examples for word in re.findall(r"\w+", str(dict(example.input)).casefold())}
    ids = {example.id for example in examples}
    close = difflib.get_close_matches(selection.text.casefold(), [*words, *ids], n=3) if selection.text else []
    advice = f"\nClose matches: {', '.join(close)}." if close else ""
    return f"no example of {', '.join(experiments)} matches {selection}, so there is nothing to run.{advice}"


def partial_run(
    selection: ExampleSelection | None, results: Sequence[ExperimentResult], *, gates: int
) -> PartialRun | None:
    """Return the size of a partial run from its results; None for a run of all examples.

    Args:
        selection: the selection of the job.
        results: the results of the experiments.
        gates: the number of configured gates.
    """
    if selection is None:
        return None
    facts = [partial_facts(result.experiment_metadata) or {"of": result.example_count} for result in results]
    return PartialRun(
        selection=str(selection),
        examples=sum(result.example_count for result in results),
        of=sum(found.get("of", 0) for found in facts),
        gates=gates,
    )
