"""Convert the nouns of the model to records with the same fields, and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from typing import Any

from evalwire import model
from evalwire.reports.results_json import (
    baseline_records,
    document,
    history_records,
    records,
    stopping_records,
    variant_records,
)
from evalwire.reports.results_json.records import Record
from evalwire.reports.text import cut_middle

_LONGEST_MESSAGE = 20_000  # characters: the text of an exception may contain a whole answer or page
_LONGEST_TRACEBACK = 100_000


def _failure(**fields: Any) -> model.Failure:
    """Return a failure, and derive its kind if the file is from an earlier version."""
    kind = fields.pop("kind") or model.kind_without_record(fields["stage"], fields["type"])
    return model.Failure(kind=kind, **fields)


_NOUNS: dict[type[Record], Callable[..., Any]] = {
    baseline_records.Baseline: model.Baseline,
    baseline_records.BaselineRun: model.BaselineRun,
    baseline_records.BaselineScore: model.BaselineScore,
    baseline_records.Comparison: model.Comparison,
    document.Evaluation: model.Evaluation,
    document.Failure: _failure,
    stopping_records.GateDecision: model.GateDecision,
    stopping_records.Stopping: model.Stopping,
    document.GateResult: model.GateResult,
    history_records.History: model.History,
    history_records.HistoryEntry: model.HistoryEntry,
    history_records.ScoreMean: model.ScoreMean,
    records.BudgetUse: model.BudgetUse,
    records.CalibrationState: model.CalibrationState,
    records.Forecast: model.Forecast,
    records.Interval: model.Interval,
    records.ModelUsage: model.ModelUsage,
    baseline_records.Pair: model.Pair,
    records.PartialRun: model.PartialRun,
    document.Price: model.Price,
    baseline_records.Rescored: model.Rescored,
    variant_records.ScoreDifference: model.ScoreDifference,
    variant_records.VariantComparison: model.VariantComparison,
}


def _maker(kind: type[Record]) -> Callable[[Any], Record]:
    """Return a function that makes a record of a noun with the same fields."""
    names = kind.__struct_fields__
    fields = attrgetter(*names)

    def make(noun: Any) -> Record:
        values = [value if type(value) in _PLAIN else to_record(value) for value in fields(noun)]
        return kind(**dict(zip(names, values, strict=True)))

    def make_in_order(noun: Any) -> Record:
        return kind(*[value if type(value) in _PLAIN else to_record(value) for value in fields(noun)])

    return make_in_order if len(kind.__match_args__) == len(names) else make


_KINDS: tuple[type[Record], ...] = (*_NOUNS, document.ExampleScore, document.ScoreSummary)
_RECORDS = {kind.__name__: _maker(kind) for kind in _KINDS}
_PLAIN = frozenset({str, int, float, bool, type(None)})


def to_record(value: Any) -> Any:
    """Return a noun, or a tuple of nouns, as the record of the same name; a time as text; any other value unchanged."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is datetime:
        return value.isoformat()  # msgspec would write `Z` for UTC
    if kind is tuple:
        return tuple(map(to_record, value))
    make = _RECORDS.get(kind.__name__)
    if make is None:
        return value
    if kind is model.Failure:
        value = replace(
            value,
            message=cut_middle(value.message, _LONGEST_MESSAGE),
            cause=value.cause and cut_middle(value.cause, _LONGEST_MESSAGE),
            traceback=cut_middle(value.traceback, _LONGEST_TRACEBACK),
        )
    return make(value)


def to_noun(value: Any) -> Any:
    """Return a record, or a tuple of records, as nouns; any other value unchanged."""
    if isinstance(value, Record):
        fields = {name: to_noun(getattr(value, name)) for name in value.__struct_fields__}
        return _NOUNS[type(value)](**fields)
    if isinstance(value, tuple):
        return tuple(map(to_noun, value))
    return model.EMPTY if value == {} else value
