"""Resolve gates to the experiments that are judged."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evalwire.errors import UsageError
from evalwire.gates.config import DropPolicy, FlagLimit, GateConfig, GateTable, Limit, moved

if TYPE_CHECKING:
    from evalwire.gates.config import OnMissing
    from evalwire.model import Direction, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One limit on one evaluation of an experiment, or on the experiment.

    Attributes:
        experiment: the name of its folder.
        evaluation: the name of a score; None for a limit on the experiment.
        rule: which limit.
        threshold: the limit; for a share, from 0 to 1.
        is_relative: whether a `max_drop` is a share of the baseline's mean.
        direction: whether higher or lower scores are better.
        drop_policy: how a drop is judged.
        source: where it was asked for.
        label: the label whose share is limited; None for another rule.
        missing: what scores that are missing, though their runs did not fail, come to.
    """

    experiment: str
    evaluation: str | None
    rule: Rule
    threshold: float
    is_relative: bool = False
    direction: Direction = "maximize"
    drop_policy: DropPolicy = field(default_factory=DropPolicy)
    source: str = ""
    label: str | None = None
    missing: OnMissing = "fail"

    @property
    def refuses_change(self) -> bool:
        """Check whether the evaluator of the gate may only be changed where the task is not."""
        return self.drop_policy.on_evaluator_change == "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownNames:
    """The experiments that limits may name.

    Attributes:
        judged: the names of the scores, or of the evaluators, of each experiment that is judged; None where they
            cannot be known, because it could not be loaded.
        others: experiments that exist beside them.
        is_lenient: whether the file may name experiments that are not known: what is judged was recorded elsewhere.
    """

    judged: Mapping[str, Collection[str] | None]
    others: Collection[str] = ()
    is_lenient: bool = False


def resolve_gates(config: GateConfig, known: KnownNames) -> list[Gate]:
    """Return the gates of the experiments that are judged; what is said of one wins over what is said of all.

    Raises:
        UsageError: a limit names an experiment or an evaluation that does not exist.
    """
    _check_names(config, known)
    found: dict[tuple[str, str | None, Rule, str | None], Gate] = {}
    for experiment, evaluations in known.judged.items():
        for gate in _of_experiment(config, experiment, evaluations, known):
            found[gate.experiment, gate.evaluation, gate.rule, gate.label] = gate
    return list(found.values())


def unjudged_gates(config: GateConfig, known: KnownNames) -> list[str]:
    """Return the tables of the file that judge nothing: their experiments, or evaluations, are not there."""
    evaluations = [name for name in config.everywhere.evaluations if not _is_anywhere(name, known)]
    return evaluations + [name for name in config.experiments if name not in known.judged]


def _of_experiment(
    config: GateConfig, experiment: str, evaluations: Collection[str] | None, known: KnownNames
) -> Iterator[Gate]:
    """Yield the gates of one experiment; of several on the same, the last one wins."""
    own = config.experiments.get(experiment, GateTable())
    parts = (config.everywhere, own)
    tables = [one for part in parts for one in part.evaluations.items() if _has(evaluations, one[0])]

    def gate(limit: Limit, name: str | None) -> Gate:
        score = _score_name(name, evaluations)
        of_name = [table for other, table in tables if _score_name(other, evaluations) == score]
        policy: dict[str, Any] = {}
        for table in (*parts, *of_name):
            policy |= table.policy
        directions = [table.direction for table in of_name if table.direction]
        return Gate(
            experiment=experiment,
            evaluation=score,
            rule=limit.rule,
            threshold=limit.threshold,
            is_relative=limit.is_relative,
            direction=directions[-1] if directions else "maximize",
            missing=policy.pop("missing", "fail"),
            drop_policy=DropPolicy(**policy),
            source=limit.source,
            label=limit.label,
        )

    yield from (gate(limit, None) for part in parts for limit in part.limits)
    yield from (gate(limit, name) for name, table in tables for limit in table.limits)
    named = [(flag.limit, *_target(flag, known)) for flag in config.flags]
    for limit, of, name in sorted(named, key=lambda one: one[1] is not None):
        if of in (None, experiment) and (name is None or _has(evaluations, name)):
            yield gate(limit, name)


def _has(evaluations: Collection[str] | None, name: str) -> bool:
    """Check whether an experiment has a score of this name, or an evaluator that gives it: `evaluator.score`."""
    return evaluations is not None and (name in evaluations or name.partition(".")[0] in evaluations)


def _is_anywhere(name: str, known: KnownNames) -> bool:
    return any(_has(evaluations, name) for evaluations in known.judged.values())


def _score_name(name: str | None, evaluations: Collection[str] | None) -> str | None:
    if name is None or evaluations is None or name in evaluations:
        return name
    return name.partition(".")[2] or name


def _target(flag: FlagLimit, known: KnownNames) -> tuple[str | None, str | None]:
    """Return the experiment and the evaluation that `a.b` names; the longest experiment that fits."""
    if flag.name is None:
        return flag.experiment, None
    fitting = [one for one in (*known.judged, *known.others) if flag.name.startswith(f"{one}.")]
    experiment = max(fitting, key=len, default=None)
    return (None, flag.name) if experiment is None else (experiment, flag.name[len(experiment) + 1 :])


def _check_names(config: GateConfig, known: KnownNames) -> None:
    everywhere = {name for evaluations in known.judged.values() for name in evaluations or ()}
    is_whole = None not in known.judged.values() and not known.others and not known.is_lenient
    for name, table in config.everywhere.evaluations.items():
        if _has(everywhere, name):
            continue
        if name in known.judged or name in known.others:
            raise moved(table.place, name, table.written)
        if is_whole:
            raise _unknown(table.place, "evaluation", name, [*everywhere, *known.judged])
    for experiment, own in config.experiments.items():
        _check_own(experiment, own, known)
    for flag in config.flags:
        _check_flag(flag, known, everywhere)


def _check_own(experiment: str, own: GateTable, known: KnownNames) -> None:
    evaluations = known.judged.get(experiment)
    for name in own.evaluations:
        if evaluations is not None and not _has(evaluations, name):
            raise _unknown(own.place, "evaluation", name, evaluations)
    if experiment not in known.judged and experiment not in known.others and not known.is_lenient:
        raise _unknown(own.place, "experiment", experiment, [*known.judged, *known.others])


def _check_flag(flag: FlagLimit, known: KnownNames, everywhere: Collection[str]) -> None:
    of, name = _target(flag, known)
    source = flag.limit.source
    if of in known.others:
        raise UsageError(f"{source}: the experiment {of!r} is not among those that are judged.")
    if of is not None and of not in known.judged:
        raise _unknown(source, "experiment", of, known.judged)
    unloaded = None in known.judged.values() if of is None else known.judged[of] is None
    if name is None or unloaded:  # what could not be loaded is red for that
        return
    if not _has(known.judged[of] if of else everywhere, name):
        qualified = [f"{one}.{two}" for one, names in known.judged.items() for two in names or ()]
        raise _unknown(source, "evaluation", flag.name or "", [*everywhere, *qualified, *known.judged])


def _unknown(place: str, what: str, name: str, known: Collection[str]) -> UsageError:
    close = difflib.get_close_matches(name, known, n=1)
    advice = f"Perhaps you meant {close[0]!r}." if close else f"There are: {', '.join(sorted(known)) or 'none'}."
    return UsageError(f"{place}: there is no {what} {name!r}. {advice}")
