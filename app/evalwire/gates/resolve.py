"""Resolve gates to the experiments of a job."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evalwire.errors import UsageError
from evalwire.gates.calibration_policy import CORRECTED_RULES, CalibrationPolicy
from evalwire.gates.config import DropPolicy, FlagLimit, GateConfig, GateTable, Limit, moved
from evalwire.model import gate_name

if TYPE_CHECKING:
    from evalwire.gates.config import OnMissing
    from evalwire.model import Direction, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A limit on an evaluation of an experiment, or on the experiment itself.

    Attributes:
        experiment: directory name of the experiment.
        evaluation: name of a score; None for a limit on the experiment.
        rule: kind of limit.
        threshold: the limit; for a share, from 0 to 1.
        is_relative: whether a `max_drop` is a share of the baseline's mean.
        direction: whether higher or lower scores are better.
        drop_policy: rules for a gate on a drop.
        source: place where the gate is set, for messages.
        label: label whose share is limited; None for other rules.
        calibration: rules for an evaluator that people calibrate.
        missing: whether missing scores of runs that did not fail make the gate fail, or are ignored.
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
    calibration: CalibrationPolicy = field(default_factory=CalibrationPolicy)

    @property
    def name(self) -> str:
        """Return the name of the gate within its experiment."""
        return gate_name(self.evaluation, self.rule, self.label)

    @property
    def is_corrected(self) -> bool:
        """Check whether the rate is corrected for the errors of the evaluator."""
        return self.calibration.corrected and self.rule in CORRECTED_RULES

    @property
    def refuses_change(self) -> bool:
        """Check whether the evaluator and the task must not change together."""
        return self.drop_policy.on_evaluator_change == "fail"


ANY_ERROR = Gate(experiment="", evaluation=None, rule="max_error_rate", threshold=0.0, source="default")
"""The limit on the error rate of an experiment without such a limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownNames:
    """The experiments that gates may name.

    Attributes:
        gated: experiments that gates apply to, each with the names of its scores or evaluators; None for an
            experiment that could not be loaded.
        others: other experiments that exist.
        variants: by the name of a variant's experiment, the experiment whose gates also apply to it.
        is_lenient: whether the file may name unknown experiments, because the results were recorded elsewhere.
    """

    gated: Mapping[str, Collection[str] | None]
    others: Collection[str] = ()
    variants: Mapping[str, str] = field(default_factory=dict)
    is_lenient: bool = False

    def scores_of(self, name: str) -> Collection[str] | None:
        """Return the scores of an experiment, or of its variants if only they are gated; None if they are unknown."""
        variants = [variant for variant, of in self.variants.items() if of == name]
        return self.gated.get(name if name in self.gated or not variants else variants[0])

    def is_gated(self, name: str) -> bool:
        """Check whether gates of an experiment apply to it, or to a variant of it."""
        return name in self.gated or name in self.variants.values()


def resolve_gates(config: GateConfig, known: KnownNames) -> list[Gate]:
    """Return the gates of the experiments; gates of a single experiment win over gates of all experiments.

    Raises:
        UsageError: a gate names an experiment or an evaluation that does not exist.
    """
    _check_names(config, known)
    found: dict[tuple[str, str | None, Rule, str | None], Gate] = {}
    for experiment, evaluations in known.gated.items():
        for gate in _of_experiment(config, experiment, evaluations, known):
            found[gate.experiment, gate.evaluation, gate.rule, gate.label] = gate
    gates = list(found.values())
    _check_corrections(config, gates)
    return gates


def _check_corrections(config: GateConfig, gates: Collection[Gate]) -> None:
    """Check that the keys for calibrated evaluators have a limit to which they apply.

    Raises:
        UsageError: `corrected = true` is set without a limit on a pass rate, or with a limit on a mean; or
            `max_calibration_age` is set without a limit that needs a calibration.
    """
    tables = (config.everywhere, *config.experiments.values())
    for name, table in (named for own in tables for named in own.evaluations.items()):
        own_gates = [gate for gate in gates if gate.evaluation in (name, name.partition(".")[2])]
        is_corrected = any(gate.is_corrected for gate in own_gates)
        if table.policy.get("corrected") and own_gates and not is_corrected:
            raise UsageError(
                f"{table.place}: corrected = true has no effect without {', '.join(CORRECTED_RULES[:-1])} or "
                f"{CORRECTED_RULES[-1]}. Set one of them."
            )
        is_used = is_corrected or any(gate.rule == "min_kappa" for gate in own_gates)
        if "max_calibration_age" in table.policy and own_gates and not is_used:
            raise UsageError(
                f"{table.place}: max_calibration_age has no effect without min_kappa or corrected = true. Set one of "
                "them."
            )
    for gate in gates:
        if gate.calibration.corrected and gate.rule in ("min", "max"):
            raise UsageError(
                f"{gate.source}: limits a mean, which corrected = true does not correct. Limit the pass rate instead: "
                f"{gate.rule}_pass_rate in evalwire.toml, or pass_rate in --gate."
            )


def unapplied_gates(config: GateConfig, known: KnownNames) -> list[str]:
    """Return the tables of the file without effect, because their experiments or evaluations are not in the job."""
    evaluations = [name for name in config.everywhere.evaluations if not _is_anywhere(name, known)]
    return evaluations + [name for name in config.experiments if not known.is_gated(name)]


def _of_experiment(
    config: GateConfig, experiment: str, evaluations: Collection[str] | None, known: KnownNames
) -> Iterator[Gate]:
    """Yield the gates of an experiment, in increasing order of precedence."""
    own = config.experiments.get(known.variants.get(experiment, experiment), GateTable())
    parts = (config.everywhere, own)
    tables = [named for part in parts for named in part.evaluations.items() if _has(evaluations, named[0])]

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
            calibration=CalibrationPolicy(
                corrected=policy.pop("corrected", False), max_age_days=policy.pop("max_calibration_age", None)
            ),
            drop_policy=DropPolicy(**policy),
            source=limit.source,
            label=limit.label,
        )

    yield from (gate(limit, None) for part in parts for limit in part.limits)
    yield from (gate(limit, name) for name, table in tables for limit in table.limits)
    named = [(flag.limit, *_target(flag, known)) for flag in config.flags]
    for limit, of, name in sorted(named, key=lambda target: target[1] is not None):
        if of in (None, experiment, known.variants.get(experiment, experiment)) and (
            name is None or _has(evaluations, name)
        ):
            yield gate(limit, name)


def _has(evaluations: Collection[str] | None, name: str) -> bool:
    """Check whether an experiment has a score with this name, or the evaluator of `evaluator.score`."""
    return evaluations is not None and (name in evaluations or name.partition(".")[0] in evaluations)


def _is_anywhere(name: str, known: KnownNames) -> bool:
    return any(_has(evaluations, name) for evaluations in known.gated.values())


def _score_name(name: str | None, evaluations: Collection[str] | None) -> str | None:
    if name is None or evaluations is None or name in evaluations:
        return name
    return name.partition(".")[2] or name


def _target(flag: FlagLimit, known: KnownNames) -> tuple[str | None, str | None]:
    """Return the experiment and the evaluation that `a.b` names, with the longest experiment name that matches."""
    if flag.name is None:
        return flag.experiment, None
    fitting = [name for name in (*known.gated, *known.others) if flag.name.startswith(f"{name}.")]
    experiment = max(fitting, key=len, default=None)
    return (None, flag.name) if experiment is None else (experiment, flag.name[len(experiment) + 1 :])


def _check_names(config: GateConfig, known: KnownNames) -> None:
    everywhere = {name for evaluations in known.gated.values() for name in evaluations or ()}
    is_whole = None not in known.gated.values() and not known.others and not known.is_lenient
    for name, table in config.everywhere.evaluations.items():
        if _has(everywhere, name):
            continue
        if name in known.gated or name in known.others:
            raise moved(table.place, name, table.written)
        if is_whole:
            raise _unknown(table.place, "evaluation", name, [*everywhere, *known.gated])
    for experiment, own in config.experiments.items():
        _check_own(experiment, own, known)
    for flag in config.flags:
        _check_flag(flag, known, everywhere)


def _check_own(experiment: str, own: GateTable, known: KnownNames) -> None:
    evaluations = known.scores_of(experiment)
    for name in own.evaluations:
        if evaluations is not None and not _has(evaluations, name):
            raise _unknown(own.place, "evaluation", name, evaluations)
    if experiment not in known.gated and experiment not in known.others and not known.is_lenient:
        raise _unknown(own.place, "experiment", experiment, [*known.gated, *known.others])


def _check_flag(flag: FlagLimit, known: KnownNames, everywhere: Collection[str]) -> None:
    of, name = _target(flag, known)
    source = flag.limit.source
    if of is not None and not known.is_gated(of):
        if of in known.others:
            raise UsageError(f"{source}: the experiment {of!r} is not part of this job.")
        raise _unknown(source, "experiment", of, known.gated)
    unloaded = None in known.gated.values() if of is None else known.scores_of(of) is None
    if name is None or unloaded:  # an experiment that cannot be loaded fails the job anyway
        return
    if not _has(known.scores_of(of) or () if of else everywhere, name):
        qualified = [f"{experiment}.{score}" for experiment, names in known.gated.items() for score in names or ()]
        raise _unknown(source, "evaluation", flag.name or "", [*everywhere, *qualified, *known.gated])


def _unknown(place: str, kind: str, name: str, known: Collection[str]) -> UsageError:
    close = difflib.get_close_matches(name, known, n=1)
    advice = f"Perhaps you meant {close[0]!r}." if close else f"Available: {', '.join(sorted(known)) or 'none'}."
    return UsageError(f"{place}: there is no {kind} {name!r}. {advice}")
