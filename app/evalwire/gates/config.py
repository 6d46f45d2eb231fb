"""What `[gates]` of evalwire.toml and `--gate` ask for, and, once the experiments are known, of what."""

from __future__ import annotations

import difflib
import math
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from evalwire.errors import UsageError

if TYPE_CHECKING:
    from evalwire.model import Direction, Rule


OnInconclusive = Literal["pass", "fail"]

Mode = Literal["significance", "strict"]

_OF_EVALUATION: tuple[Rule, ...] = ("min", "max", "min_pass_rate", "max_pass_rate", "max_drop", "min_examples")

_OF_EXPERIMENT: tuple[Rule, ...] = ("max_error_rate", "max_p95_seconds", "max_total_tokens", "max_cost_usd")

_MANNERS = ("significance", "on_inconclusive", "mode")

_SHARES = ("min_pass_rate", "max_pass_rate", "max_error_rate")

# what a --gate may measure, with <= and with >=
_MEASURES: dict[str, tuple[Rule | None, Rule | None]] = {
    "mean": ("max", "min"),
    "pass_rate": ("max_pass_rate", "min_pass_rate"),
    "drop": ("max_drop", None),
    "examples": (None, "min_examples"),
}

_GATE = re.compile(r"(?P<left>.*?\S)\s*(?P<sign>>=|<=|==|=|>|<)\s*(?P<value>\S+)")

_FORM = (
    "Expected such as 'es_search.top_k >= 0.8', 'exact_match pass_rate >= 90%', 'exact_match drop <= 0.02', "
    "'es_search.error_rate <= 5%'."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropPolicy:
    """How a drop is judged.

    Attributes:
        significance: the p-value from which on a drop may be chance.
        on_inconclusive: what too few pairs come to.
        mode: `strict` lets the drop alone decide.
    """

    significance: float = 0.05
    on_inconclusive: OnInconclusive = "pass"
    mode: Mode = "significance"


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
        manner: how a drop is judged.
        source: where it was asked for.
    """

    experiment: str
    evaluation: str | None
    rule: Rule
    threshold: float
    is_relative: bool = False
    direction: Direction = "maximize"
    manner: DropPolicy = field(default_factory=DropPolicy)
    source: str = ""


@dataclass(frozen=True, slots=True)
class _Limit:
    """A limit as it was written: `name` is of an evaluation, of an experiment, or of both with a dot between."""

    rule: Rule
    threshold: float
    is_relative: bool
    source: str
    experiment: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class _Table:
    """A table below `[gates]`, whose name may be an experiment's or an evaluation's."""

    limits: tuple[_Limit, ...] = ()
    manner: Mapping[str, Any] = field(default_factory=dict)
    direction: Direction | None = None
    evaluations: Mapping[str, _Table] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig:
    """All limits as they were written, before it is known which experiments there are."""

    top: _Table = field(default_factory=_Table)
    flags: tuple[_Limit, ...] = ()
    file: str = ""

    def with_flags(self, texts: Iterable[str], *, source: str = "--gate") -> GateConfig:
        """These limits and those of `--gate`, which win over the file's.

        Raises:
            ValueError: a text that is no gate.
        """
        return replace(self, flags=(*self.flags, *(_parse_flag(text, source) for text in texts)))

    @property
    def is_empty(self) -> bool:
        """Whether nothing was asked for."""
        return self == replace(GateConfig(), file=self.file)


def read_gates(table: Mapping[str, Any], *, file: str) -> GateConfig:
    """The `[gates]` table of a file.

    Raises:
        UsageError: a key that is not known, or a value that cannot be used.
    """
    return GateConfig(top=_read(table, f"{file}: [gates]", depth=0), file=file)


def _read(table: Mapping[str, Any], place: str, *, depth: int) -> _Table:
    limits, manner, direction, below = [], {}, None, {}
    known = [*(_OF_EVALUATION if depth else ()), *(_OF_EXPERIMENT if depth < 2 else ()), *_MANNERS]  # noqa: PLR2004
    for key, value in table.items():
        where = f"{place} {key}"
        if isinstance(value, Mapping):
            if depth == 2:  # noqa: PLR2004 - an evaluation of an experiment
                raise UsageError(f"{where}: a table is one level too deep here.")
            below[key] = _read(value, f"{place.removesuffix(']')}.{key}]", depth=depth + 1)
        elif depth and key == "direction":
            direction = cast("Direction", _word(value, ("maximize", "minimize"), where))
        elif key in _MANNERS:
            manner[key] = _manner(key, value, where)
        elif key in known:
            rule = cast("Rule", key)
            threshold, is_relative = _threshold(rule, value, where)
            limits.append(_Limit(rule, threshold, is_relative, where))
        else:
            known += ["direction"] if depth else []
            close = difflib.get_close_matches(key, known, n=1)
            advice = f"Perhaps you meant {close[0]!r}." if close else f"Known: {', '.join(sorted(known))}."
            raise UsageError(f"{place}: unknown key {key!r}. {advice}")
    own = {limit.rule for limit in limits}
    is_evaluation = direction is not None or own.intersection(_OF_EVALUATION)
    if depth == 1 and is_evaluation and (below or own.intersection(_OF_EXPERIMENT)):
        raise UsageError(
            f"{place} has what belongs to an evaluation beside what belongs to an experiment.\n"
            "Write those of an evaluation as `NAME = { min = 0.8 }` in the table of its experiment."
        )
    return _Table(tuple(limits), manner, direction, below)


def _manner(key: str, value: Any, where: str) -> Any:
    match key:
        case "significance":
            number, _ = _number(value, where)
            if not 0 < number < 1:
                raise UsageError(f"{where} = {value!r}: expected a number between 0 and 1.")
            return number
        case "on_inconclusive":
            return _word(value, get_args(OnInconclusive), where)
    return _word(value, get_args(Mode), where)


def _word(value: Any, words: Sequence[str], where: str) -> str:
    if value not in words:
        raise UsageError(f"{where} = {value!r}: expected one of: {', '.join(words)}.")
    return str(value)


def _threshold(rule: Rule, value: Any, where: str) -> tuple[float, bool]:
    number, is_share = _number(value, where)
    if rule in _SHARES and not 0 <= number <= 1:
        raise UsageError(f"{where} = {value!r}: expected a share from 0 to 1, or a percentage.")
    if rule not in ("min", "max") and number < 0:
        raise UsageError(f"{where} = {value!r}: expected a number that is not below 0.")
    if is_share and rule not in (*_SHARES, "min", "max", "max_drop"):
        raise UsageError(f"{where} = {value!r}: expected a number, not a percentage.")
    return number, is_share and rule == "max_drop"


def _number(value: Any, where: str) -> tuple[float, bool]:
    """A number, and whether it was written as a percentage."""
    if isinstance(value, str):
        text = value.strip()
        try:
            number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            raise UsageError(f"{where} = {value!r}: expected a number, or a percentage such as '5%'.") from None
        if math.isfinite(number):
            return number, text.endswith("%")
    elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max:
        return float(value), False
    raise UsageError(f"{where} = {value!r}: expected a number.")


def _parse_flag(text: str, source: str) -> _Limit:
    found = _GATE.fullmatch(text.strip())
    if found is None or found["sign"] not in (">=", "<="):
        raise ValueError(f"{text!r} is no gate. {_FORM}")
    words = found["left"].split()
    has_measure = len(words) > 1
    measure = words.pop() if has_measure else "mean"
    name = " ".join(words)
    is_floor = found["sign"] == ">="
    last = name.rpartition(".")[2].removeprefix("max_")
    of_experiment = next((rule for rule in _OF_EXPERIMENT if rule == f"max_{last}"), None)
    if measure not in _MEASURES:
        raise ValueError(f"{text!r}: unknown measure {measure!r}: one of {', '.join(_MEASURES)}. {_FORM}")
    if of_experiment is not None and has_measure:
        raise ValueError(f"{text!r}: {measure} makes no sense here. {_FORM}")
    rule = None if is_floor else of_experiment
    if of_experiment is None:
        rule = _MEASURES[measure][is_floor]
    if rule is None:
        raise ValueError(f"{text!r}: {found['sign']} makes no sense here. {_FORM}")
    try:
        threshold, is_relative = _threshold(rule, found["value"], text)
    except UsageError as error:
        raise ValueError(str(error).removesuffix(".")) from None
    if of_experiment is not None:
        experiment = name.rpartition(".")[0] or None
        return _Limit(rule, threshold, is_relative, f"{source} {text!r}", experiment=experiment)
    return _Limit(rule, threshold, is_relative, f"{source} {text!r}", name=name)


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


def resolve_gates(thresholds: GateConfig, known: KnownNames) -> list[Gate]:
    """The gates of the experiments that are judged; what is said of one wins over what is said of all.

    Raises:
        UsageError: a limit names an experiment or an evaluation that does not exist.
    """
    found: dict[tuple[str, str | None, Rule], Gate] = {}
    _check_names(thresholds, known)
    for experiment, evaluations in known.judged.items():
        for gate in _of_experiment(thresholds, experiment, evaluations, known):
            found[gate.experiment, gate.evaluation, gate.rule] = gate
    return list(found.values())


def unjudged_gates(thresholds: GateConfig, known: KnownNames) -> list[str]:
    """The tables of the file that judge nothing: those of experiments, or of evaluations, that are not there."""
    names = [name for name in thresholds.top.evaluations if name not in known.judged]
    return [name for name in names if not any(_has(evaluations, name) for evaluations in known.judged.values())]


def _of_experiment(
    thresholds: GateConfig, experiment: str, evaluations: Collection[str] | None, known: KnownNames
) -> Iterator[Gate]:
    """Its gates, those that win last."""
    top = thresholds.top
    for_all = {name: table for name, table in top.evaluations.items() if _is_evaluation(table, name, known)}
    own = _Table() if experiment in for_all else top.evaluations.get(experiment, _Table())
    tables = [(name, table) for part in (for_all, own.evaluations) for name, table in part.items()]
    tables = [(name, table) for name, table in tables if _has(evaluations, name)]

    def gate(limit: _Limit, name: str | None) -> Gate:
        score = _score_name(name, evaluations)
        of_name = [table for other, table in tables if _score_name(other, evaluations) == score]
        manner: dict[str, Any] = {}
        for table in (top, own, *of_name):
            manner |= table.manner
        directions = [table.direction for table in of_name if table.direction]
        return Gate(
            experiment=experiment,
            evaluation=score,
            rule=limit.rule,
            threshold=limit.threshold,
            is_relative=limit.is_relative,
            direction=directions[-1] if directions else "maximize",
            manner=DropPolicy(**manner),
            source=limit.source,
        )

    yield from (gate(limit, None) for limit in (*top.limits, *own.limits))
    yield from (gate(limit, name) for name, table in tables for limit in table.limits)
    named = [
        (limit, *((limit.experiment, None) if limit.name is None else _split(limit.name, known)))
        for limit in thresholds.flags
    ]
    for limit, of, name in sorted(named, key=lambda one: one[1] is not None):
        if of in (None, experiment) and (name is None or _has(evaluations, name)):
            yield gate(limit, name)


def _is_evaluation(table: _Table, name: str, known: KnownNames) -> bool:
    """Whether a table below `[gates]` is of an evaluation, in whatever experiment; by its content, else its name."""
    rules = {limit.rule for limit in table.limits}
    if rules.intersection(_OF_EVALUATION) or table.direction:
        return True
    if rules or table.evaluations or name in known.judged or name in known.others:
        return False
    return any(_has(evaluations, name) for evaluations in known.judged.values() if evaluations is not None)


def _has(evaluations: Collection[str] | None, name: str) -> bool:
    """Whether an experiment has a score of this name, or an evaluator that gives it: `evaluator.score`."""
    return evaluations is not None and (name in evaluations or name.partition(".")[0] in evaluations)


def _score_name(name: str | None, evaluations: Collection[str] | None) -> str | None:
    if name is None or evaluations is None or name in evaluations:
        return name
    return name.partition(".")[2] or name


def _split(name: str, known: KnownNames) -> tuple[str | None, str]:
    """The experiment and the evaluation that `a.b` names; the longest experiment that fits."""
    fitting = [one for one in (*known.judged, *known.others) if name.startswith(f"{one}.")]
    experiment = max(fitting, key=len, default=None)
    return (None, name) if experiment is None else (experiment, name[len(experiment) + 1 :])


def _check_names(thresholds: GateConfig, known: KnownNames) -> None:
    everywhere = {name for evaluations in known.judged.values() for name in evaluations or ()}
    is_whole = None not in known.judged.values() and not known.others and not known.is_lenient
    for name, table in thresholds.top.evaluations.items():
        place = f"{thresholds.file}: [gates.{name}]"
        if _is_evaluation(table, name, known):
            is_folder = name in known.judged or name in known.others
            if (is_whole or is_folder) and not _has(everywhere, name):
                raise _unknown(place, "evaluation", name, everywhere)
        elif name in known.judged:
            _check_evaluations(known.judged[name], table.evaluations, place)
        elif name not in known.others and not known.is_lenient:
            raise _unknown(place, "experiment", name, [*known.judged, *known.others, *everywhere])
    for limit in thresholds.flags:
        _check_flag(limit, known, everywhere)


def _check_flag(limit: _Limit, known: KnownNames, everywhere: Collection[str]) -> None:
    of, name = (limit.experiment, None) if limit.name is None else _split(limit.name, known)
    if of in known.others:
        raise UsageError(f"{limit.source}: the experiment {of!r} is not among those that are judged.")
    if of is not None and of not in known.judged:
        raise _unknown(limit.source, "experiment", of, known.judged)
    unloaded = None in known.judged.values() if of is None else known.judged[of] is None
    if name is None or unloaded:  # what could not be loaded is red for that
        return
    if not _has(known.judged[of] if of else everywhere, name):
        qualified = [f"{one}.{two}" for one, names in known.judged.items() for two in names or ()]
        raise _unknown(limit.source, "evaluation", limit.name or "", [*everywhere, *qualified, *known.judged])


def _check_evaluations(evaluations: Collection[str] | None, tables: Mapping[str, _Table], place: str) -> None:
    for name in tables:
        if evaluations is not None and not _has(evaluations, name):
            raise _unknown(place, "evaluation", name, evaluations)


def _unknown(place: str, what: str, name: str, known: Collection[str]) -> UsageError:
    close = difflib.get_close_matches(name, known, n=1)
    advice = f"Perhaps you meant {close[0]!r}." if close else f"There are: {', '.join(sorted(known)) or 'none'}."
    return UsageError(f"{place}: there is no {what} {name!r}. {advice}")
