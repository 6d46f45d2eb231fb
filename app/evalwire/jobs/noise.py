"""Find recorded experiments of the same code, and measure the noise between them."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from evalwire.gates import KnownNames, measure_noise, resolve_gates, unstable_limits
from evalwire.model import (
    ExperimentNoise,
    Inputs,
    baseline_obstacle,
    count,
    history_entry,
    is_noise_run,
    own_metadata,
    source_facts,
    usage_cost,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from evalwire.gates import Gate
    from evalwire.jobs.names import RecordedNames
    from evalwire.model import ExperimentResult
    from evalwire.phoenix import Phoenix
    from evalwire.settings import Settings

_MOST_RECORDS = 1_000  # experiments of a dataset to consider
_MOST_RUNS = 6  # experiments of the same code, of which all pairs are compared
_MORE_RUNS = "Run `evalwire noise --runs 2`"


@dataclass(frozen=True, slots=True, kw_only=True)
class SameCode:
    """The recorded experiments of the same code and data.

    Attributes:
        name: the name of the experiment.
        records: the experiments, oldest first; empty if there are none to compare.
        scored: the records of new scores of their newest outputs, by the same evaluators.
        is_current: whether the newest complete experiment is one of them.
        note: the reason why there are none; empty if there are.
    """

    name: str
    records: Sequence[Mapping[str, Any]] = ()
    scored: Sequence[Mapping[str, Any]] = ()
    is_current: bool = True
    note: str = ""


def is_complete_record(record: Mapping[str, Any], *, has_noise: bool = False) -> bool:
    """Check whether a recorded experiment ran all examples with its task.

    Args:
        record: Phoenix's record of the experiment.
        has_noise: whether experiments that measured noise count, too.
    """
    metadata = record.get("metadata") or {}
    facts = own_metadata(metadata)
    if facts.get("outcome") is None or record.get("missing_run_count") or facts.get("mixed"):
        return False
    if has_noise and is_noise_run(metadata):
        return source_facts(metadata) is None
    return not baseline_obstacle(metadata)


def find_same_code(names: RecordedNames, name: str) -> SameCode:
    """Return the newest recorded experiments of an experiment that have the same code and data.

    Experiments without the digests of their inputs are not compared, but repetitions within an experiment are.

    Args:
        names: the recorded experiments of the project.
        name: the name of the experiment.

    Raises:
        EvalwireError: Phoenix cannot be reached.
    """
    records = list(itertools.islice(names.records(name), _MOST_RECORDS))
    complete = [record for record in records if is_complete_record(record, has_noise=True) and _is_of_code(record)]
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for record in complete:
        groups.setdefault(_code_of(record) or f"only {record['id']}", []).append(record)
    for number, group in enumerate(groups.values()):
        if len(group) > 1 or group[0].get("repetitions", 1) > 1:
            own = group[:_MOST_RUNS]
            return SameCode(
                name=name,
                records=list(reversed(own)),
                scored=list(_scored(records, own[0])),
                is_current=number == 0,
            )
    has = f"has {count(len(complete), 'complete recorded experiment')}"
    if len(complete) > 1:
        has += ", each of other code or data"
    return SameCode(name=name, note=f"needs 2 complete recorded experiments of the same code, and {has}. {_MORE_RUNS}")


def _is_of_code(record: Mapping[str, Any]) -> bool:
    """Check whether the scores of an experiment show its code: a provider may cause too many errors."""
    return own_metadata(record.get("metadata")).get("outcome") in ("passed", "gate_failed")


def _code_of(record: Mapping[str, Any]) -> str | None:
    """Return the digests of the code, the data, the settings and the models of an experiment; None if unknown."""
    facts = own_metadata(record.get("metadata"))
    parts = [facts.get(key) for key in ("data", "settings", "inputs", "models", "variant")]
    if not all(parts[:3]) or not Inputs.from_json(facts["inputs"]).is_known:
        return None
    return json.dumps(parts, sort_keys=True)


def _scored(records: Iterable[Mapping[str, Any]], of: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the complete records of new scores of an experiment's outputs, if its evaluators scored them."""
    wanted = _evaluators_of(of)
    for record in records:
        source = source_facts(record.get("metadata"))
        is_ended = own_metadata(record.get("metadata")).get("outcome") is not None
        is_whole = is_ended and not record.get("missing_run_count")
        is_source = source is not None and source.get("experiment") == of["id"]
        if is_whole and is_source and wanted is not None and _evaluators_of(record) == wanted:
            yield record


def _evaluators_of(record: Mapping[str, Any]) -> Any:
    """Return the files and the models of the evaluators of an experiment; None if they are unknown."""
    facts = own_metadata(record.get("metadata"))
    inputs = Inputs.from_json(facts.get("inputs"))
    if not inputs.is_known:
        return None
    return inputs.evaluators, (facts.get("models") or {}).get("evaluators")


def measured_noise(settings: Settings, phoenix: Phoenix, found: Sequence[SameCode]) -> list[ExperimentNoise]:
    """Read the recorded experiments, and return the noise of each experiment of the project.

    Args:
        settings: the settings, with the gates.
        phoenix: the server of the experiments.
        found: the experiments of the same code, by `find_same_code`.

    Raises:
        UsageError: a gate has an unknown name.
        EvalwireError: Phoenix cannot be reached.
    """
    runs = {same.name: [phoenix.recorded.result(record["id"]) for record in same.records] for same in found}
    known = {name: _scores(results) if results else None for name, results in runs.items()}
    gates = resolve_gates(settings.thresholds, KnownNames(gated=known, is_lenient=True))
    return [_of_experiment(settings, phoenix, same, runs[same.name], gates) for same in found]


def _of_experiment(
    settings: Settings,
    phoenix: Phoenix,
    same: SameCode,
    results: Sequence[ExperimentResult],
    gates: Sequence[Gate],
) -> ExperimentNoise:
    if not results:
        return ExperimentNoise(name=same.name, note=same.note)
    own = [gate for gate in gates if gate.experiment == same.name]
    results = [replace(result, name=same.name) for result in results]  # another tool may have recorded them
    newest = results[-1]
    scores = measure_noise(
        results,
        own,
        drop_gates=sum(gate.rule == "max_drop" for gate in gates),
        scored=[phoenix.recorded.result(record["id"]) for record in same.scored],
        judges=_judges(same.records[-1]),
        prices=settings.prices,
    )
    return ExperimentNoise(
        name=same.name,
        note="" if scores else f"has no score that two runs of an example share. {_MORE_RUNS}",
        runs=len(results),
        repetitions=newest.repetitions,
        examples=newest.example_count,
        when=_when(same.records),
        is_current=same.is_current,
        usd=_cost_of_run(newest, settings),
        scores=tuple(scores),
        limits=tuple(unstable_limits(results, own, prices=settings.prices)),
    )


def _judges(record: Mapping[str, Any]) -> list[str]:
    """Return the evaluators of an experiment that called language models."""
    models = own_metadata(record.get("metadata")).get("models") or {}
    return [name for name, called in (models.get("evaluators") or {}).items() if called]


def _scores(results: Sequence[ExperimentResult]) -> list[str]:
    names = {name for result in results for name in result.evaluator_names}
    return sorted(names | {score.name for result in results for score in result.scores})


def _when(records: Sequence[Mapping[str, Any]]) -> str:
    """Return the times and the commit of experiments, such as `2026-11-30 10:00 to 12:00, commit 9e66459`."""
    entries = [history_entry(record) for record in records]
    first, last = entries[0], entries[-1]
    times = first.time_text if first.time_text == last.time_text else f"{first.time_text} to {last.time_text}"
    return f"{times} UTC" + (f", commit {last.commit_text}" if last.commit_text else "")


def _cost_of_run(result: ExperimentResult, settings: Settings) -> float | None:
    """Return the cost of a run of an example with its evaluators; None if it is not known."""
    cost = usage_cost(result.usage or (), settings.prices)
    if not result.usage or not result.runs or cost.unknown or cost.unpriced:
        return None
    return cost.usd / len(result.runs)
