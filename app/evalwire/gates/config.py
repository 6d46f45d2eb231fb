"""Read gates from evalwire.toml and `--gate`, before the experiments are known."""

from __future__ import annotations

import difflib
import json
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

OnMissing = Literal["fail", "ignore"]

Mode = Literal["significance", "strict"]

OnNoBaseline = Literal["pass", "fail"]

OnEvaluatorChange = Literal["rescore", "fail"]

OF_EVALUATION: tuple[Rule, ...] = ("min", "max", "min_pass_rate", "max_pass_rate", "max_drop", "min_examples")

OF_EXPERIMENT: tuple[Rule, ...] = ("max_error_rate", "max_p95_seconds", "max_total_tokens", "max_cost_usd")

LABEL_SHARE = "label_share"  # an evaluation's table of labels, each with a `min`, a `max` or both

_DROP_POLICY = ("significance", "on_inconclusive", "mode", "on_no_baseline", "on_evaluator_change", "min_paired")

_POLICY = (*_DROP_POLICY, "missing")

_SHARES = ("min_pass_rate", "max_pass_rate", "min_label_share", "max_label_share", "max_error_rate")

# what a --gate may measure, with <= and with >=
_MEASURES: dict[str, tuple[Rule | None, Rule | None]] = {
    "mean": ("max", "min"),
    "pass_rate": ("max_pass_rate", "min_pass_rate"),
    "label_share": ("max_label_share", "min_label_share"),
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
        on_no_baseline: what a run that is not on the base branch comes to where there is nothing to compare with.
        on_evaluator_change: `rescore` lets a changed evaluator score the baseline's outputs again; `fail` refuses a run
            in which the task was changed too.
        min_paired: the share of the run's examples that a baseline has to have.
    """

    significance: float = 0.05
    on_inconclusive: OnInconclusive = "pass"
    mode: Mode = "significance"
    on_no_baseline: OnNoBaseline = "pass"
    on_evaluator_change: OnEvaluatorChange = "rescore"
    min_paired: float = 0.8


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit as it was written."""

    rule: Rule
    threshold: float
    is_relative: bool
    source: str
    label: str | None = None


@dataclass(frozen=True, slots=True)
class FlagLimit:
    """A limit of `--gate`: on an experiment, or on what `name` says: an evaluation, or both with a dot between."""

    limit: Limit
    experiment: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class GateTable:
    """The limits in one table: on every experiment, on one experiment, or, within such a table, on one evaluation.

    Attributes:
        limits: as they were written.
        policy: `missing`, and the fields of `DropPolicy`, as far as the table has them.
        direction: whether higher or lower scores are better; None where the table does not say it.
        evaluations: the tables within this one.
        written: the table itself, for messages.
        place: the file and the name of the table.
    """

    limits: tuple[Limit, ...] = ()
    policy: Mapping[str, Any] = field(default_factory=dict)
    direction: Direction | None = None
    evaluations: Mapping[str, GateTable] = field(default_factory=dict)
    written: Mapping[str, Any] = field(default_factory=dict)
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig:
    """All limits as they were written, before it is known which experiments there are.

    Attributes:
        everywhere: on every experiment.
        experiments: on one experiment, by name.
        flags: of `--gate`.
    """

    everywhere: GateTable = field(default_factory=GateTable)
    experiments: Mapping[str, GateTable] = field(default_factory=dict)
    flags: tuple[FlagLimit, ...] = ()

    def with_flags(self, texts: Iterable[str], *, source: str = "--gate") -> GateConfig:
        """Return these limits and those of `--gate`, which win over the file's.

        Raises:
            ValueError: a text is not a gate.
        """
        return replace(self, flags=(*self.flags, *(_parse_flag(text, source) for text in texts)))

    @property
    def is_empty(self) -> bool:
        """True if no gate was asked for."""
        return self == GateConfig()


def read_gates(table: Mapping[str, Any], place: str, *, is_of_one: bool = False) -> GateTable:
    """Read the gates of every experiment, `[gates]`, or of one, `[experiments.NAME.gates]`.

    Args:
        table: the table as it is written.
        place: the file and the name of the table, such as `evalwire.toml: [gates]`.
        is_of_one: whether the gates are of one experiment.

    Raises:
        UsageError: a key that is not known, or a value that cannot be used.
    """
    tables = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    evaluations = {}
    for name, inner in tables.items():
        where = f"{place.removesuffix(']')}.{_toml_key(name)}]"
        if not is_of_one and any(
            key in OF_EXPERIMENT or (isinstance(value, Mapping) and key != LABEL_SHARE) for key, value in inner.items()
        ):
            raise moved(where, name, inner)
        evaluations[name] = _read(inner, where, (*OF_EVALUATION, "direction", LABEL_SHARE))
    own = _read({key: value for key, value in table.items() if key not in tables}, place, OF_EXPERIMENT)
    return replace(own, evaluations=evaluations)


def _read(table: Mapping[str, Any], place: str, known: Collection[str]) -> GateTable:
    limits: list[Limit] = []
    policy, direction = {}, None
    for key, value in table.items():
        where = f"{place} {key}"
        if key == LABEL_SHARE and key in known:
            limits += _label_shares(value, where)
        elif isinstance(value, Mapping):
            raise UsageError(f"{where}: a table is one level too deep here.")
        elif key in _POLICY:
            policy[key] = _policy_word(key, value, where)
        elif key not in known:
            close = difflib.get_close_matches(key, [*known, *_POLICY], n=1)
            advice = f"Perhaps you meant {close[0]!r}." if close else f"Known: {', '.join(sorted([*known, *_POLICY]))}."
            raise UsageError(f"{place}: unknown key {key!r}. {advice}")
        elif key == "direction":
            direction = cast("Direction", _word(value, ("maximize", "minimize"), where))
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
            rule = cast("Rule", f"{side}_{LABEL_SHARE}")
            threshold, is_relative = _threshold(rule, value, f"{place}.{side}")
            yield Limit(rule, threshold, is_relative, f"{place}.{side}", label)


def moved(place: str, experiment: str, table: Mapping[str, Any]) -> UsageError:
    """Return the error for gates of one experiment below `[gates]`, where they stood before."""
    lines = [f"{_toml_key(key)} = {_toml(value)}" for key, value in table.items()]
    new = "\n".join([f"[experiments.{_toml_key(experiment)}.gates]", *lines])
    return UsageError(f"{place} is for an evaluation; gates of one experiment stand with it. Write instead:\n{new}")


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def _toml(value: Any) -> str:
    """Return a value as TOML writes it on one line."""
    match value:
        case Mapping():
            return f"{{ {', '.join(f'{_toml_key(key)} = {_toml(one)}' for key, one in value.items())} }}"
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case bool() | str():
            return json.dumps(value, ensure_ascii=False)
    return str(value)


def _policy_word(key: str, value: Any, where: str) -> Any:
    match key:
        case "significance":
            number, _ = _number(value, where)
            if not 0 < number < 1:
                raise UsageError(f"{where} = {value!r}: expected a number between 0 and 1.")
            return number
        case "min_paired":
            number, _ = _number(value, where)
            if not 0 <= number <= 1:
                raise UsageError(f"{where} = {value!r}: expected a share from 0 to 1, or a percentage.")
            return number
        case "on_inconclusive":
            return _word(value, get_args(OnInconclusive), where)
        case "on_no_baseline":
            return _word(value, get_args(OnNoBaseline), where)
        case "on_evaluator_change":
            return _word(value, get_args(OnEvaluatorChange), where)
        case "missing":
            return _word(value, get_args(OnMissing), where)
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


def _parse_flag(text: str, source: str) -> FlagLimit:
    found = _GATE.fullmatch(text.strip())
    if found is None or found["sign"] not in (">=", "<="):
        raise ValueError(f"{text!r} is no gate. {_FORM}")
    name, given, label = _measured(found["left"])
    measure = given or "mean"
    is_floor = found["sign"] == ">="
    last = name.rpartition(".")[2].removeprefix("max_")
    of_experiment = next((rule for rule in OF_EXPERIMENT if rule == f"max_{last}"), None)
    if measure not in _MEASURES:
        raise ValueError(f"{text!r}: unknown measure {measure!r}: one of {', '.join(_MEASURES)}, last. {_FORM}")
    if (measure == LABEL_SHARE) != bool(label):
        raise ValueError(f"{text!r}: label_share needs a label. Expected such as 'judge label_share.incorrect <= 10%'.")
    if of_experiment is not None and given:
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
    limit = Limit(rule, threshold, is_relative, f"{source} {text!r}", label)
    if of_experiment is not None:
        return FlagLimit(limit, experiment=name.rpartition(".")[0] or None)
    return FlagLimit(limit, name=name)


def _measured(left: str) -> tuple[str, str | None, str | None]:
    """Return the name, the measure and the label that stand before the sign of a `--gate`.

    A folder's name may have spaces: a last word with a point in it is of the name.
    """
    name, found, label = left.partition(f" {LABEL_SHARE}.")
    if found:
        return name.strip(), LABEL_SHARE, label
    *words, last = left.strip().rsplit(maxsplit=1)
    if not words or "." in last:
        return left.strip(), None, None
    return words[0], last, None
