"""Size and times of `report.html` for many or large runs: `python -m benchmarks.pages`.

Write a page of 10,000 examples, whose inputs, outputs and expected outputs have 1 KB of English text each, with
outputs of the baseline that differ; and a page of 300 failures with tracebacks of 100 KB. Open both in Chromium.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks import machine
from evalwire.gates import compare_results
from evalwire.model import (
    Baseline,
    Dataset,
    Evaluation,
    Example,
    Experiment,
    ExperimentResult,
    Failure,
    OpenExperiment,
    Report,
    TaskRun,
)
from evalwire.reports import html, write

_BEGAN = datetime(2026, 11, 20, tzinfo=UTC)
_NAME = "answers"
_PARTS = {
    "{who}": "customer driver seller manager neighbour visitor supplier doctor teacher agent buyer tenant",
    "{did}": "asked_for returned could_not_find already_paid_for wanted_to_change complained_about ordered waited_for "
    "received lost sent_back reported",
    "{what}": "invoice parcel refund contract password delivery booking ticket receipt voucher warranty account "
    "keyboard charger battery jacket suitcase camera bicycle lamp",
    "{how}": "broken expired second missing new wrong late cheap damaged heavy old blue",
    "{when}": "yesterday last_week on_Monday in_March two_days_ago this_morning before_the_holiday at_the_weekend "
    "after_the_move on_the_phone",
    "{why}": "the_address_was_wrong the_order_was_never_confirmed the_label_could_not_be_read nobody_was_at_home "
    "the_card_was_refused the_form_was_incomplete the_price_had_changed the_shop_was_closed",
}
_PHRASES = {part: [phrase.replace("_", " ") for phrase in phrases.split()] for part, phrases in _PARTS.items()}
_SENTENCES = (
    "The {who} {did} the {how} {what} {when}.",
    "A {who} {did} a {what}, because {why}.",
    "{when} the {who} {did} the {what} that the {who} {did}.",
    "If the {what} is {how}, then the {who} {did} the {what} {when}.",
    "The {what} of the {who} was {how}, and {why}.",
)
_WORDS = [word for phrases in _PHRASES.values() for phrase in phrases for word in phrase.split()]


def text(chance: random.Random, size: int) -> str:
    """Return English sentences of a support desk, of at least `size` characters."""
    found: list[str] = []
    length = 0
    while length < size:
        words = re.split(r"(\{\w+\})", chance.choice(_SENTENCES))
        sentence = "".join(chance.choice(_PHRASES[word]) if word in _PHRASES else word for word in words)
        found.append(sentence[0].upper() + sentence[1:])
        length += len(sentence) + 1
    return " ".join(found)


def another(chance: random.Random, output: str) -> str:
    """Return an output in which a tenth of the words are others."""
    return " ".join(chance.choice(_WORDS) if chance.random() < 0.1 else word for word in output.split())  # noqa: PLR2004


def compared(examples: int, size: int) -> Report:
    """Return a report of an experiment with a baseline, all of whose outputs differ."""
    chance = random.Random(examples)  # noqa: S311 - no secret
    now, then = [], []
    for number in range(examples):
        example = _example(number, {"question": text(chance, size)}, {"answer": text(chance, size)})
        output = text(chance, size)
        now.append(_run(example, output, _evaluations(chance, output)))
        before = another(chance, output)
        then.append(_run(example, before, _evaluations(chance, before)))
    result = _result(now, "new")
    return _report(result, (compare_results(result, _result(then, "old"), asked="auto"),))


def passed(examples: int, size: int) -> Report:
    """Return a report of an experiment without a baseline, all of whose runs passed: long inputs, short outputs."""
    chance = random.Random(examples)  # noqa: S311 - no secret
    runs = []
    for number in range(examples):
        example = _example(number, {"question": text(chance, size)}, {"answer": "yes"})
        output = text(chance, 60)
        _, similar = _evaluations(chance, output)
        correct = Evaluation(
            name="correct", evaluator="correct", score=1.0, label="True", usage=(), start_time=_BEGAN, end_time=_BEGAN
        )
        runs.append(_run(example, output, (correct, similar)))
    return replace(_report(_result(runs, "new"), ()), outcome="passed", exit_code=0)


def failed(runs: int, size: int) -> Report:
    """Return a report of runs that failed, with long tracebacks that differ."""
    chance = random.Random(runs)  # noqa: S311 - no secret
    found = []
    frames = [
        f'  File "/work/agent/{name}.py", line {line}, in {name}_{line}\n    return {name}({text(chance, 40)!r})\n'
        for name in sorted(set(_WORDS))
        for line in chance.sample(range(1, 999), k=3)
    ]
    for number in range(runs):
        traceback = "".join(chance.choices(frames, k=size // 100))
        failure = Failure(kind="user", stage="task", type="ValueError", message=f"no {number}", traceback=traceback)
        found.append(_run(_example(number, {"question": text(chance, 60)}, {}), None, (), failure))
    return _report(_result(found, "new"), ())


def _example(number: int, question: dict[str, str], expected: dict[str, str]) -> Example:
    return Example(
        id=f"q{number}", node_id=f"RGF0YXNldEV4YW1wbGU6{number}", input=question, output=expected, metadata={}
    )


def _evaluations(chance: random.Random, output: str) -> tuple[Evaluation, ...]:
    times = {"start_time": _BEGAN, "end_time": _BEGAN}
    passed = chance.random() < 0.9  # noqa: PLR2004
    label = str(passed)
    exact = Evaluation(name="correct", evaluator="correct", score=float(passed), label=label, usage=(), **times)
    similar = Evaluation(name="similarity", evaluator="similarity", score=len(output) % 97 / 97, usage=(), **times)
    return exact, similar


def _run(
    example: Example, output: str | None, evaluations: tuple[Evaluation, ...], failure: Failure | None = None
) -> TaskRun:
    end = _BEGAN + timedelta(milliseconds=len(example.input["question"]) % 900)
    return TaskRun(
        example=example,
        output=output,
        failure=failure,
        evaluations=evaluations,
        start_time=_BEGAN,
        end_time=end,
        usage=(),
        trace_id=hashlib.sha256(example.id.encode()).hexdigest()[:32],
        id=example.node_id,
    )


def _result(runs: Sequence[TaskRun], id_: str) -> ExperimentResult:
    opened = OpenExperiment(
        experiment=Experiment(name=_NAME, dataset_name=_NAME, path=Path("/work"), task=None),
        dataset=Dataset(id="D1", name=_NAME, version_id="V1", examples=()),
        recorded_name=f"eval_{id_}",
        id=id_,
        url=f"https://phoenix.example.com/datasets/D1/compare?experimentId={id_}",
        project_name=None,
        repetitions=1,
        metadata={},
    )
    return ExperimentResult(
        name=_NAME,
        dataset_name=_NAME,
        evaluator_names=("correct", "similarity"),
        opened=opened,
        runs=tuple(runs),
        example_count=len(runs),
        seconds=60.0,
    )


def _report(result: ExperimentResult, baselines: tuple[Baseline, ...]) -> Report:
    return Report(
        outcome="errors", exit_code=1, results=(result,), started_at=_BEGAN, seconds=60.0, baselines=baselines
    )


# --- in a browser ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The figures of a page.

    Attributes:
        megabytes: size of the file in MB.
        write_ms: processor time to write the file, in milliseconds for each example.
        usable_ms: time from opening the file until its runs can be filtered and sorted, in milliseconds.
        sort_ms: time to sort all runs.
        filter_ms: time to filter the failed runs.
        search_ms: time to search all texts for an ID.
        open_ms: time to open the last run.
    """

    page: str
    megabytes: float
    write_ms: float
    usable_ms: float | None = None
    sort_ms: float | None = None
    filter_ms: float | None = None
    search_ms: float | None = None
    open_ms: float | None = None


PAGES: dict[str, tuple[Callable[[int, int], Report], int, int]] = {
    "10,000 examples of 3 x 1 KB, and 1 KB of the baseline": (compared, 10_000, 1_024),
    "300 failures with tracebacks of 100 KB": (failed, 300, 102_400),
}

# Each action ends when the browser has drawn the result.
_DRAWN = "new Promise(done => requestAnimationFrame(() => setTimeout(done)))"
_STATUS = "document.getElementById('f-status').textContent"
_SET = (
    "((name, value) => { const field = document.getElementById(`f-${name}`); field.value = value;"
    " field.dispatchEvent(new Event('input', {bubbles: true})) })"
)


def _measure(name: str, path: Path, browser: Any, *, share: int) -> Measured:
    make, examples, size = PAGES[name]
    report = make(examples // share, size)
    began = time.process_time()
    write(path, html.pieces(report))
    seconds = time.process_time() - began
    figures = {"megabytes": path.stat().st_size / 1e6, "write_ms": seconds * 1000 / (examples // share)}
    return Measured(page=name, **figures, **(_times(path, browser, examples // share) if browser else {}))


def _times(path: Path, browser: Any, runs: int) -> dict[str, float]:
    with browser.page() as page:
        began = time.perf_counter()
        page.open(path.as_uri())
        page.wait_for(f"{_STATUS} !== ''")
        page.js(_DRAWN)
        usable = (time.perf_counter() - began) * 1000

        def timed(action: str, until: str) -> float:
            began = time.perf_counter()
            page.js(f"{action}; 0")
            page.wait_for(until)
            page.js(_DRAWN)
            return (time.perf_counter() - began) * 1000

        head = "document.querySelector('#t0 th:last-child')"
        all_runs = f"/^[0-9,]+ runs$/.test({_STATUS})"
        reset = "document.getElementById('f-reset').click()"
        sort = timed(f"{head}.querySelector('button').click()", f"{head}.ariaSort === 'ascending'")
        filter_ = timed(f"{_SET}('kind', 'failed')", f"!{all_runs} || {runs} < 1000")
        timed(reset, all_runs)
        search = timed(f"{_SET}('text', 'q17')", f"!{all_runs} && !{_STATUS}.startsWith('searching')")
        timed(reset, all_runs)
        opened = timed(
            f"location.hash = 'r0-{runs - 1}'", f"document.querySelector('#r0-{runs - 1} .run pre') !== null"
        )
        return {"usable_ms": usable, "sort_ms": sort, "filter_ms": filter_, "search_ms": search, "open_ms": opened}


@contextlib.contextmanager
def _browser() -> Iterator[Any]:
    """Start the Chromium of the tests; yield None without one."""
    sys.path.append(str(machine.ROOT / "tests" / "support"))
    support = importlib.import_module("browser")
    program = support.find()
    if program is None:
        print("there is no Chromium, so only sizes and writing are measured", file=sys.stderr)
        yield None
        return
    with support.browser(program) as found:
        yield found


def _table(measured: Sequence[Measured]) -> str:
    headings = ("page", "size", "write, each", "usable", "sort", "filter", "search all text", "open the last run")
    rows = [headings, ("---",) * len(headings)]
    for entry in measured:
        times = (entry.usable_ms, entry.sort_ms, entry.filter_ms, entry.search_ms, entry.open_ms)
        shown = ["" if time is None else f"{time:,.0f} ms" for time in times]
        rows.append((entry.page, f"{entry.megabytes:.1f} MB", f"{entry.write_ms:.2f} ms", *shown))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the pages, measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="use a tenth of the examples")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the pages in this directory")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    options = parser.parse_args(argv)
    said = machine.facts()
    with tempfile.TemporaryDirectory() as temporary, _browser() as browser:
        directory = options.keep or Path(temporary)
        share = 10 if options.quick else 1
        measured = [
            _measure(name, directory / f"{number}.html", browser, share=share) for number, name in enumerate(PAGES)
        ]
    print(_table(measured))
    print(f"\n{machine.sentence(said)}")
    if options.json:
        values = {**said, "quick": options.quick, "measured": [asdict(entry) for entry in measured]}
        options.json.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
