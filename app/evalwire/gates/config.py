"""Parse gates from evalwire.toml and `--gate`, before the experiments are known."""

from __future__ import annotations

import difflib
import json
import math
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, get_args

from evalwire.errors import UsageError
from evalwire.gates.calibration_policy import read_age, read_corrected

if TYPE_CHECKING:
    from evalwire.model import Direction, Rule


T = TypeVar("T")

OnInconclusive = Literal["pass", "fail"]

OnMissing = Literal["fail", "ignore"]

Mode = Literal["significance", "strict"]

OnNoBaseline = Literal["pass", "fail"]

OnEvaluatorChange = Literal["rescore", "fail"]

OF_EVALUATION: tuple[Rule, ...] = (
    "min",
    "max",
    "min_pass_rate",
    "max_pass_rate",
    "max_drop",
    "min_examples",
    "min_kappa",
)

OF_EXPERIMENT: tuple[Rule, ...] = (
    "max_error_rate",
    "max_p95_seconds",
    "max_total_tokens",
    "max_cost_usd",
    "min_llm_calls",
)

LABEL_SHARE = "label_share"  # table of labels in an evaluation's table, each with `min`, `max` or both

_DROP_POLICY = (
    "significance",
    "on_inconclusive",
    "mode",
    "on_no_baseline",
    "on_evaluator_change",
    "min_paired",
    "max_minimum_detectable",
)

CORRECTED = "corrected"  # key of an evaluation's table

_POLICY = (*_DROP_POLICY, "missing", "max_calibration_age")

_SHARES = ("min_pass_rate", "max_pass_rate", "min_label_share", "max_label_share", "max_error_rate")

# measures of --gate, with the rule for <= and the rule for >=
_MEASURES: dict[str, tuple[Rule | None, Rule | None]] = {
    "mean": ("max", "min"),
    "pass_rate": ("max_pass_rate", "min_pass_rate"),
    "label_share": ("max_label_share", "min_label_share"),
    "drop": ("max_drop", None),
    "examples": (None, "min_examples"),
    "kappa": (None, "min_kappa"),
}

_GATE = re.compile(r"(?P<left>.*?\S)\s*(?P<sign>>=|<=|==|=|>|<)\s*(?P<value>\S+)")

_FORM = (
    "Examples: 'es_search.top_k >= 0.8', 'exact_match pass_rate >= 90%', 'exact_match drop <= 0.02', "
    "'es_search.error_rate <= 5%'."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropPolicy:
    """The rules for a gate on a drop.

    Attributes:
        significance: largest p-value at which a drop is significant.
        on_inconclusive: whether an inconclusive gate passes or fails the job.
        mode: `significance` fails the gate only on a significant drop; `strict` ignores the p-value.
        on_no_baseline: whether a missing baseline passes or fails the job; on the base branch, it passes.
        on_evaluator_change: `rescore` lets a changed evaluator score the baseline's outputs again; `fail` also fails
            the gate if the task changed too.
        min_paired: share of the run's examples that the baseline must have unchanged, from 0 to 1.
        max_minimum_detectable: the drop that the gate must be able to find in 4 of 5 cases, or else fails; None for no
            requirement.
    """

    significance: float = 0.05
    on_inconclusive: OnInconclusive = "pass"
    mode: Mode = "significance"
    on_no_baseline: OnNoBaseline = "pass"
    on_evaluator_change: OnEvaluatorChange = "rescore"
    min_paired: float = 0.8
    max_minimum_detectable: float | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit as written in the file or in `--gate`."""

    rule: Rule
    threshold: float
    is_relative: bool
    source: str
    label: str | None = None


@dataclass(frozen=True, slots=True)
class FlagLimit:
    """A limit of `--gate` on an experiment, or on `name`: an evaluation, or an experiment and an evaluation (`a.b`)."""

    limit: Limit
    experiment: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class GateTable:
    """The limits of a table: for all experiments, for a single experiment, or (in an inner table) for an evaluation.

    Attributes:
        limits: limits as written.
        policy: values of `missing` and of the fields of `DropPolicy` that the table sets.
        direction: whether higher or lower scores are better; None if the table does not set it.
        evaluations: inner tables by evaluation.
        written: the table itself, for messages.
        place: file and name of the table.
    """

    limits: tuple[Limit, ...] = ()
    policy: Mapping[str, Any] = field(default_factory=dict)
    direction: Direction | None = None
    evaluations: Mapping[str, GateTable] = field(default_factory=dict)
    written: Mapping[str, Any] = field(default_factory=dict)
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig:
    """All limits as written, before the experiments are known.

    Attributes:
        everywhere: limits for all experiments.
        experiments: limits by experiment name.
        flags: limits of `--gate`.
    """

    everywhere: GateTable = field(default_factory=GateTable)
    experiments: Mapping[str, GateTable] = field(default_factory=dict)
    flags: tuple[FlagLimit, ...] = ()

    def with_flags(self, texts: Iterable[str], *, source: str = "--gate") -> GateConfig:
        """Return these limits with limits of `--gate` added, which win over the limits of the file.

        Raises:
            ValueError: a text is not a gate.
        """
        return replace(self, flags=(*self.flags, *(_parse_flag(text, source) for text in texts)))

    @property
    def is_empty(self) -> bool:
        """Check whether no gate is set."""
        return self == GateConfig()


def read_gates(table: Mapping[str, Any], place: str, *, is_of_experiment: bool = False) -> GateTable:
    """Parse the gates of all experiments (`[gates]`) or of a single experiment (`[experiments.NAME.gates]`).

    Args:
        table: the table as written.
        place: file and name of the table, such as `evalwire.toml: [gates]`.
        is_of_experiment: whether the gates belong to a single experiment.

    Raises:
        UsageError: a key is unknown, or a value is invalid.
    """
    tables = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    evaluations = {}
    for name, inner in tables.items():
        where = f"{place.removesuffix(']')}.{_toml_key(name)}]"
        if not is_of_experiment and any(
            key in OF_EXPERIMENT or (isinstance(value, Mapping) and key != LABEL_SHARE) for key, value in inner.items()
        ):
            raise moved(where, name, inner)
        evaluations[name] = _read(inner, where, (*OF_EVALUATION, "direction", LABEL_SHARE, CORRECTED))
    own = _read({key: value for key, value in table.items() if key not in tables}, place, OF_EXPERIMENT)
    return replace(own, evaluations=evaluations)


def _read(table: Mapping[str, Any], place: str, known: Collection[str]) -> GateTable:
    limits: list[Limit] = []
    policy: dict[str, Any] = {}
    direction: Direction | None = None
    for key, value in table.items():
        where = f"{place} {key}"
        if key == LABEL_SHARE and key in known:
            limits += _label_shares(value, where)
        elif isinstance(value, Mapping):
            raise UsageError(f"{where}: unexpected table. This level accepts values only.")
        elif key in _POLICY or key == CORRECTED in known:
            policy[key] = _policy_word(key, value, where)
        elif key not in known:
            close = difflib.get_close_matches(key, [*known, *_POLICY])
            names = ", ".join(sorted([*known, *_POLICY]))
            advice = f"Perhaps you meant {close[0]!r}." if close else f"Known keys: {names}."
            raise UsageError(f"{place}: unknown key {key!r}. {advice}")
        elif key == "direction":
            direction = _word(value, ("maximize", "minimize"), where)
        else:
            rule = cast("Rule", key)
            threshold, is_relative = _threshold(rule, value, where)
            limits.append(Limit(rule, threshold, is_relative, where))
    return GateTable(tuple(limits), policy, direction, written=table, place=place)


def _label_shares(table: Any, where: str) -> Iterator[Limit]:
    """Yield the limits on the shares of labels."""
    if not isinstance(table, Mapping) or not table:
        raise UsageError(f"{where} = {table!r}: expected a table of labels, such as {{ incorrect = {{ max = 0.1 }} }}.")
    for label, limits in table.items():
        place = f"{where}.{_toml_key(label)}"
        if not isinstance(limits, Mapping) or not limits or not {"min", "max"}.issuperset(limits):
            raise UsageError(f"{place} = {limits!r}: expected `min`, `max` or both, such as {{ max = 0.1 }}.")
        for side, value in limits.items():
            rule: Rule = "min_label_share" if side == "min" else "max_label_share"
            threshold, is_relative = _threshold(rule, value, f"{place}.{side}")
            yield Limit(rule, threshold, is_relative, f"{place}.{side}", label)


def moved(place: str, experiment: str, table: Mapping[str, Any]) -> UsageError:
    """Return the error for gates of a single experiment under `[gates]`, where earlier versions accepted them."""
    lines = [f"{_toml_key(key)} = {_toml(value)}" for key, value in table.items()]
    new = "\n".join([f"[experiments.{_toml_key(experiment)}.gates]", *lines])
    return UsageError(f"{place} is for gates on an evaluation, not on an experiment. Write instead:\n{new}")


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def _toml(value: Any) -> str:
    """Return a value as TOML on a single line."""
    match value:
        case Mapping():
            return f"{{ {', '.join(f'{_toml_key(key)} = {_toml(inner)}' for key, inner in value.items())} }}"
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case bool() | str():
            return json.dumps(value, ensure_ascii=False)
    return str(value)


def _policy_word(key: str, value: Any, where: str) -> Any:
    match key:
        case "corrected":
            return read_corrected(value, where)
        case "max_calibration_age":
            return read_age(value, where)
        case "significance" | "min_paired" | "max_minimum_detectable":
            return _policy_number(key, value, where)
        case "on_inconclusive":
            return _word(value, get_args(OnInconclusive), where)
        case "on_no_baseline":
            return _word(value, get_args(OnNoBaseline), where)
        case "on_evaluator_change":
            return _word(value, get_args(OnEvaluatorChange), where)
        case "missing":
            return _word(value, get_args(OnMissing), where)
    return _word(value, get_args(Mode), where)


def _policy_number(key: str, value: Any, where: str) -> float:
    number, _ = _number(value, where)
    if key == "significance" and not 0 < number < 1:
        raise UsageError(f"{where} = {value!r}: expected a number between 0 and 1.")
    if key == "min_paired" and not 0 <= number <= 1:
        raise UsageError(f"{where} = {value!r}: expected a share from 0 to 1, or a percentage.")
    if key == "max_minimum_detectable" and number <= 0:
        raise UsageError(f"{where} = {value!r}: expected a drop above 0, such as 0.05 or '5%'.")
    return number


def _word(value: Any, words: Sequence[T], where: str) -> T:
    for word in words:
        if value == word:
            return word
    known = ", ".join(map(str, words))
    raise UsageError(f"{where} = {value!r}: expected one of: {known}.")


def _threshold(rule: Rule, value: Any, where: str) -> tuple[float, bool]:
    number, is_share = _number(value, where)
    if rule in _SHARES and not 0 <= number <= 1:
        raise UsageError(f"{where} = {value!r}: expected a share from 0 to 1, or a percentage.")
    if rule == "min_kappa" and not 0 < number <= 1:
        raise UsageError(f"{where} = {value!r}: expected a number above 0 and up to 1, such as 0.6.")
    if rule not in ("min", "max") and number < 0:
        raise UsageError(f"{where} = {value!r}: expected a number that is 0 or greater.")
    if is_share and rule not in (*_SHARES, "min", "max", "max_drop"):
        raise UsageError(f"{where} = {value!r}: expected a number, not a percentage.")
    return number, is_share and rule == "max_drop"


def _number(value: Any, where: str) -> tuple[float, bool]:
    """Return a number, and whether it was written as a percentage."""
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


def _parse_flag(text: str, source: str) -> FlagLimit:
    found = _GATE.fullmatch(text.strip())
    if found is None or found["sign"] not in (">=", "<="):
        raise ValueError(f"{text!r} is not a gate. {_FORM}")
    name, given, label = _measured(found["left"])
    measure = given or "mean"
    is_floor = found["sign"] == ">="
    last = name.rpartition(".")[2].removeprefix("max_").removeprefix("min_")
    of_experiment = next((rule for rule in OF_EXPERIMENT if rule in (f"max_{last}", f"min_{last}")), None)
    if measure not in _MEASURES:
        raise ValueError(f"{text!r}: unknown measure {measure!r}. Known measures: {', '.join(_MEASURES)}. {_FORM}")
    if (measure == LABEL_SHARE) != bool(label):
        raise ValueError(f"{text!r}: label_share needs a label. Example: 'judge label_share.incorrect <= 10%'.")
    if of_experiment is not None and given:
        raise ValueError(f"{text!r}: {last} does not take the measure {measure!r}. {_FORM}")
    rule = of_experiment if of_experiment and of_experiment.startswith("min") == is_floor else None
    if of_experiment is None:
        rule = _MEASURES[measure][is_floor]
    if rule is None:
        raise ValueError(f"{text!r}: {last if of_experiment else measure} does not accept {found['sign']}. {_FORM}")
    try:
        threshold, is_relative = _threshold(rule, found["value"], text)
    except UsageError as error:
        raise ValueError(str(error)) from None
    limit = Limit(rule, threshold, is_relative, f"{source} {text!r}", label)
    if of_experiment is not None:
        return FlagLimit(limit, experiment=name.rpartition(".")[0] or None)
    return FlagLimit(limit, name=name)


def _measured(left: str) -> tuple[str, str | None, str | None]:
    """Return the name, the measure and the label before the sign of a `--gate`.

    A directory name may contain spaces. A last word that contains a dot belongs to the name.
    """
    name, found, label = left.partition(f" {LABEL_SHARE}.")
    if found:
        return name.strip(), LABEL_SHARE, label
    *words, last = left.strip().rsplit(maxsplit=1)
    if not words or "." in last:
        return left.strip(), None, None
    return words[0], last, None
