"""Simulate whole experiments with four drop gates that may end early, through the steps of a job."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from benchmarks.early_drops import SEED, Cell
from benchmarks.systems import NOISY
from evalwire.gates import ExperimentStopping, Gate, apply_gates, compare_results, with_shares
from evalwire.model import Evaluation, Example, ExperimentResult, Stopping, StoppingRules, TaskRun

GATES = 4
_NAME = "search"
_NAMES = tuple(f"evaluator {number}" for number in range(GATES))
_ASKED = tuple(Gate(experiment=_NAME, evaluation=name, rule="max_drop", threshold=0.0) for name in _NAMES)
_RULES = with_shares(StoppingRules(), _ASKED)
_BEGAN = datetime(2026, 11, 20, tzinfo=UTC)


def four_gates(n: int, worse: int, drop: float, *, part: int, count: int) -> Cell:
    """Simulate experiments with four evaluators of passes and failures, some of which fall by `drop`."""
    chance = random.Random(f"{SEED} gates {n} {worse} {drop} {part}")  # noqa: S311 - no secret
    cell = Cell(row=f"four gates, {worse} worse", n=n, drop=drop)
    for _ in range(count):
        now, then = _drawn(chance, n, [drop] * worse + [0.0] * (GATES - worse))
        cell.count(_decide(now, then))
    return cell


def _decide(now: ExperimentResult, then: ExperimentResult) -> tuple[bool, bool, float, float]:
    red = _is_red(now, then)
    examples = [run.example for run in now.runs]
    count = len(examples)
    order = range(count)  # the examples are drawn in a random order
    early = ExperimentStopping(
        _ASKED, examples, order=order, repetitions=1, rules=_RULES, before=then, changed=(), prices={}
    )
    seen = next((place for place, run in enumerate(now.runs, 1) if early.add(run)), count)
    part = replace(now, runs=now.runs[:seen], example_count=seen)
    if seen == count:
        early.end(now)
    stopping = Stopping(seen=seen, of=count, decisions=early.decisions)
    return red, _is_red(replace(part, stopping=stopping), then), seen / count, 1.0


def _is_red(now: ExperimentResult, then: ExperimentResult) -> bool:
    baseline = compare_results(now, then, asked="auto", changed={})
    applied = apply_gates([now], _ASKED, baselines={_NAME: baseline}, prices={})
    if len(applied) != GATES or any(result.status == "no baseline" for result in applied):
        raise AssertionError(f"not every gate was applied: {applied}")
    return any(result.is_red for result in applied)


def _drawn(chance: random.Random, n: int, falls: Sequence[float]) -> tuple[ExperimentResult, ExperimentResult]:
    columns = [NOISY.pairs(chance, n, drop) for drop in falls]
    examples = [
        Example(id=f"{number}", node_id=f"{number}", input={}, output={}, metadata={}, recorded_hash=f"{number}")
        for number in range(n)
    ]
    before, after = (
        tuple(_run(example, [column[number][side] for column in columns]) for number, example in enumerate(examples))
        for side in (0, 1)
    )
    return _result(after), _result(before)


def _run(example: Example, scores: Sequence[float]) -> TaskRun:
    times = {"start_time": _BEGAN, "end_time": _BEGAN}
    evaluations = tuple(
        Evaluation(name=name, evaluator=name, score=score, kind="bool", **times)
        for name, score in zip(_NAMES, scores, strict=True)
    )
    return TaskRun(example=example, output=None, failure=None, evaluations=evaluations, **times)


def _result(runs: tuple[TaskRun, ...]) -> ExperimentResult:
    return ExperimentResult(name=_NAME, dataset_name=_NAME, evaluator_names=_NAMES, runs=runs, example_count=len(runs))
