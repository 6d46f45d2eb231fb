"""`evalwire noise`: show how much scores change between runs of the same code, and what the gates can find."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from evalwire import reports
from evalwire.errors import NothingToRunError, UsageError
from evalwire.experiments import check_requirements
from evalwire.jobs import (
    Job,
    Listing,
    RecordedNames,
    Signals,
    budget_of,
    engine_limits,
    find_same_code,
    job_spec,
    loaded_experiments,
    measured_noise,
    recorded_outputs,
    run_and_report,
    say_sources,
    scored_spec,
    with_task_files,
    with_uploads,
)
from evalwire.masking import masked
from evalwire.model import Amount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from evalwire.cli.invocation import Invocation
    from evalwire.jobs import SameCode
    from evalwire.model import Budget

DIRECTORY = "noise"
"""The directory of the reports and journals of the additional runs, in the report directory."""


def noise(
    invocation: Invocation,
    *,
    runs: int = 0,
    judges: bool = False,
    local: bool = False,
    format_: str = "",
    output: Path | None = None,
) -> int:
    """Show the noise of the experiments, and return 0, or the exit code of the first run that failed.

    Args:
        invocation: settings, streams, and how to reach Phoenix.
        runs: the number of additional runs of the same code.
        judges: whether to score the newest outputs again.
        local: whether the invocation connects to the local Phoenix.
        format_: a name in `evalwire.reports.noise.FORMATS`; empty for the format of the file, or text.
        output: the file to write; None for standard output.

    Raises:
        NothingToRunError: the experiments directory contains no experiments.
        UsageError: the format is unknown, the output cannot be written, or the job is a shard.
        EvalwireError: Phoenix cannot be reached.
        Interrupted: a signal arrived before the engine started, or a second signal arrived.
    """
    format_ = format_ or reports.noise.format_of(output)
    if format_ not in reports.noise.FORMATS:
        raise UsageError(f"--format {format_}: expected one of: {', '.join(reports.noise.FORMATS)}.")
    again = _Again(invocation, local=local)
    if runs or judges:
        again.check()
    phoenix = invocation.connect(None)
    for number in range(1, runs + 1):
        invocation.console.say(f"run {number} of {runs} to measure noise. Drops and limits on scores are not applied")
        if code := again.run():
            invocation.console.warn(f"run {number} of {runs} failed, so the noise is not shown")
            return code
    found = _same_code(invocation)
    if judges and (code := again.score([same for same in found if same.records])):
        invocation.console.warn("not all outputs were scored again, so the noise is not shown")
        return code
    found = _same_code(invocation) if judges else found
    measured = [masked(each, invocation.console.mask) for each in measured_noise(invocation.settings, phoenix, found)]
    pieces = reports.noise.pieces(measured, format_, width=invocation.console.width)
    if output is None:
        for piece in pieces:
            invocation.console.out.write(piece)
        return 0
    _write(output, pieces)
    invocation.console.say(f"noise report in {output}")
    return 0


def _same_code(invocation: Invocation) -> list[SameCode]:
    names = RecordedNames(invocation.settings, Listing(invocation.connect(None)))
    if not names.datasets:
        raise NothingToRunError(
            f"no experiment in {invocation.settings.experiments.resolve()}/, so no scores can be compared."
        )
    return [find_same_code(names, name) for name in names.datasets]


def _write(output: Path, pieces: Iterable[str]) -> None:
    try:
        reports.write(output, pieces)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror or error}.") from error


class _Again:
    """Runs the experiments again, and scores outputs again, as jobs that measure noise.

    The jobs share a budget. Their reports go to standard error and to a directory of their own, so that they do not
    replace the reports of `evalwire run`.

    Args:
        invocation: settings, streams, and how to reach Phoenix.
        local: whether the invocation connects to the local Phoenix.
    """

    def __init__(self, invocation: Invocation, *, local: bool) -> None:
        settings = replace(invocation.settings, report_dir=invocation.settings.report_dir / DIRECTORY, stop_early=False)
        self._own = replace(
            invocation, settings=settings, console=replace(invocation.console, out=invocation.console.err)
        )
        self._local = local
        self._budget = budget_of(settings)

    def check(self) -> None:
        """Check that the job is not a shard.

        Raises:
            UsageError: the job is a shard.
        """
        settings = self._own.settings
        for name in ("shard", "plan"):
            if getattr(settings, name) is not None:
                raise UsageError(
                    f"noise cannot be measured by shards: {name} is set (from: {settings.source(name)}). Run all "
                    "examples in a single job."
                )

    def run(self) -> int:
        """Run the experiments, and return the exit code of the job."""
        own, settings = self._own, self._own.settings

        @contextlib.contextmanager
        def begin(signals: Signals) -> Iterator[Job]:
            with loaded_experiments(own.inherited(is_local=self._local), signals) as loaded:
                if self._local:
                    check_requirements(loaded.experiments)
                spec = replace(job_spec(settings, own.environ), is_noise=True)
                phoenix = own.connect(None)
                yield Job(
                    experiments=loaded.experiments,
                    phoenix=phoenix,
                    spec=with_uploads(settings, own.console, phoenix, loaded.experiments, spec, local=self._local),
                    limits=engine_limits(settings, self._budget),
                    environ=own.environ,
                    mask=own.console.mask,
                    record_connections=settings.record_connections,
                    trace_evaluators=settings.trace_evaluators,
                    processes=loaded.processes,
                )

        return self._finish(begin)

    def score(self, found: list[SameCode]) -> int:
        """Score the newest outputs of experiments, and return the exit code of the job; 0 without experiments."""
        if not found:
            return 0
        own, settings = self._own, self._own.settings

        @contextlib.contextmanager
        def begin(signals: Signals) -> Iterator[Job]:
            phoenix = own.connect(None)
            ids = [same.records[-1]["id"] for same in found]
            outputs = recorded_outputs(settings, phoenix, experiments=ids, path=None)
            spec = replace(scored_spec(job_spec(settings, own.environ), outputs), is_noise=True)
            with loaded_experiments(own.inherited(is_local=self._local), signals, list(outputs)) as loaded:
                say_sources(outputs, own.console.say)
                yield Job(
                    experiments=with_task_files(loaded.experiments, spec),
                    processes=loaded.processes,
                    phoenix=phoenix,
                    spec=spec,
                    limits=engine_limits(settings, self._budget),
                    environ=own.environ,
                    mask=own.console.mask,
                    record_connections=settings.record_connections,
                    trace_evaluators=settings.trace_evaluators,
                    past={name: each.past for name, each in outputs.items()},
                )

        return self._finish(begin)

    def _finish(self, begin: Callable[[Signals], AbstractContextManager[Job]]) -> int:
        own = self._own
        code = run_and_report(own.settings, own.environ, own.console, begin, announce=own.announce)
        if code == 0 and self._budget.is_set:
            self._budget = _rest(self._budget, own.settings.report_dir / "results.json")
        return code


def _rest(budget: Budget, results: Path) -> Budget:
    """Return a budget from which the job with these results was paid."""
    use = reports.load_results(results).budget
    if use is None:
        return budget
    spent = Amount(usd=use.spent_usd, tokens=use.spent_tokens)
    return replace(budget, spent=spent, spent_seconds=use.spent_seconds)
