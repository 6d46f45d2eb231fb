"""Render a list of recorded experiments as text or as JSON."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalwire.model import count, means_to_json, score_text, usage_cost
from evalwire.reports.text import cut, plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from evalwire.model import HistoryEntry, Price

_TIME_WIDTH, _COMMIT_WIDTH, _LEAST_BRANCH = 16, 9, 8  # characters
_GAP = "  "


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedExperiment:
    """A recorded experiment in the list.

    Attributes:
        experiment: the name of the experiment's directory.
        recorded_name: the name in Phoenix.
        url: the address of the experiment's page.
        entry: the other data of the experiment.
    """

    experiment: str
    recorded_name: str
    url: str
    entry: HistoryEntry


def as_text(
    listed: Sequence[ListedExperiment], prices: Mapping[str, Price], *, width: int, cut_off: Collection[str] = ()
) -> str:
    """Return the list as text, with a group of lines for each directory.

    Args:
        listed: the experiments, newest first.
        prices: the prices of models whose spans do not report a cost.
        width: the width of the text in characters.
        cut_off: the names of the directories with older experiments that are not listed.
    """
    names = sorted({each.experiment for each in listed})
    groups = [
        _group([each for each in listed if each.experiment == name], prices, width, is_cut=name in cut_off)
        for name in names
    ]
    date = max((usage_cost(each.entry.usage or (), prices).as_of for each in listed), default="")
    last = [[f"Costs are at the prices of {date}."]] if date else []
    return "\n".join("".join(f"{line}\n" for line in group) for group in [*groups, *last])


def as_json(listed: Sequence[ListedExperiment], prices: Mapping[str, Price]) -> str:
    """Return the list as JSON text, newest first."""
    return json.dumps([_to_json(each, prices) for each in listed], indent=2, ensure_ascii=False) + "\n"


def _group(
    group: Sequence[ListedExperiment], prices: Mapping[str, Price], width: int, *, is_cut: bool
) -> Iterator[str]:
    outcomes = {each.entry.experiment_id: plain(_outcome(each.entry)) for each in group}
    outcome_width = max(len("outcome"), *map(len, outcomes.values()))
    id_width = max(len(each.entry.experiment_id) for each in group)
    branch_width = width - _TIME_WIDTH - _COMMIT_WIDTH - outcome_width - id_width - 4 * len(_GAP)
    branch_width = max(_LEAST_BRANCH, min(branch_width, max(len(each.entry.branch or "") for each in group)))
    widths = (_TIME_WIDTH, branch_width, _COMMIT_WIDTH, outcome_width)

    def line(*cells: str) -> str:
        padded = [f"{cell:{size}}" for cell, size in zip(cells, widths, strict=False)]
        return _GAP.join([*padded, *cells[len(padded) :]]).rstrip()

    size = count(len(group), "recorded experiment")
    yield f"{plain(group[0].experiment)}: {f'the newest {size}' if is_cut else size}"
    yield line("time (UTC)", "branch", "commit", "outcome", "ID")
    for each in group:
        entry = each.entry
        branch = cut(plain(entry.branch or "-"), branch_width)
        yield line(
            entry.time_text,
            branch,
            plain(entry.commit_text) or "-",
            outcomes[entry.experiment_id],
            plain(entry.experiment_id),
        )
        indent = " " * (_TIME_WIDTH + len(_GAP))
        yield from textwrap.wrap(
            _GAP.join(_facts(entry, prices)),
            max(width, 2 * len(indent)),
            initial_indent=indent,
            subsequent_indent=indent,
            break_on_hyphens=False,
        )
    if any(each.entry.is_dirty for each in group):
        yield "* with changes that the commit does not have"


def _facts(entry: HistoryEntry, prices: Mapping[str, Price]) -> Iterator[str]:
    """Yield the scores and the cost; no-break spaces keep a name and its number on the same line."""
    for score in entry.scores:
        yield f"{plain(score.name)} {score_text(score.mean, is_rate=score.is_rate)}".replace(" ", "\xa0")
    cost = usage_cost(entry.usage or (), prices)
    if cost.usd or cost.unknown:
        yield cost.text.replace(" ", "\xa0")


def _outcome(entry: HistoryEntry) -> str:
    return f"{entry.outcome_text} ({entry.part})" if entry.part else entry.outcome_text


def _to_json(each: ListedExperiment, prices: Mapping[str, Price]) -> dict[str, Any]:
    entry = each.entry
    return {
        "experiment": each.experiment,
        "experiment_id": entry.experiment_id,
        "recorded_name": each.recorded_name,
        "url": each.url,
        "time": entry.time.isoformat(),
        "branch": entry.branch,
        "commit": entry.commit,
        "dirty": entry.is_dirty,
        "outcome": entry.outcome or None,
        "part": entry.part or None,
        "scored": entry.is_scored,
        "scores": means_to_json(entry.scores),
        "cost_usd": None if entry.usage is None else usage_cost(entry.usage, prices).usd,
    }
