"""`evalwire run --watch`: run the experiments again in a new process when their files change."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from evalwire import clocks, reports
from evalwire.errors import Interrupted, UsageError
from evalwire.jobs import Signals, WatchedFiles, directory_of
from evalwire.model import count
from evalwire.settings import is_ci

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from evalwire.cli.invocation import Invocation
    from evalwire.model import ExperimentResult

_POLL_SECONDS = 0.3  # files must also be unchanged for as long, because editors save in several steps
_MOST_NAMED = 3  # changed files in a message


def watch(
    invocation: Invocation,
    *,
    arguments: Sequence[str],
    settings_files: Sequence[Path],
    uploads: bool,
    is_dry_run: bool,
) -> int:
    """Run the selected experiments, and run them again whenever their files change, until a signal arrives.

    Each run is a process of its own, because Python does not import changed modules again. Only experiments that a
    change affects run again.

    Args:
        invocation: settings, streams, and how to reach Phoenix.
        arguments: the command to run and its flags, without names of experiments.
        settings_files: the settings file and the environment file, which may be missing.
        uploads: whether a run uploads the testset even if the setting `sync` is off.
        is_dry_run: whether the runs are dry runs, whose report has another name.

    Raises:
        UsageError: the command runs in CI, without a terminal, or with shards.
        Interrupted: a signal arrived. The exit code is 130 or 143, because a watched run has no final result.
    """
    settings, console = invocation.settings, invocation.console
    _check(invocation)
    environ = {name: text for name, text in invocation.environ.items() if name not in invocation.from_env_file}
    results_file = settings.report_dir / next(iter(reports.files(is_dry_run=is_dry_run)))
    is_uploaded = uploads or settings.sync
    testset = [settings.csv_path] if is_uploaded and settings.csv_path is not None else []
    directories = tuple(dict.fromkeys(directory_of(settings, name) for name in settings.names))
    files = WatchedFiles(settings.experiments, directories, [*settings_files, *testset])
    calls: dict[str, tuple[int, int]] = {}
    names: Sequence[str] = settings.names
    with Signals():
        while True:
            started_at = clocks.now()
            _run([*arguments, *(part for name in names for part in ("--name", name))], environ)
            results = _results(results_file, since=started_at.timestamp())
            files.note_run(results)
            calls |= {result.name: _calls_of(result) for result in results if result.expected_runs}
            watched = count(files.count, "file")
            console.say("")
            console.say(f"watching {watched}. A change causes {_cost(calls, calls)}. Press Ctrl-C to stop")
            changed, affected = _next_change(files)
            own = [name for name in settings.names if directory_of(settings, name) in affected]
            names = own or affected
            console.say(f"changed: {_named(changed)}. Running {', '.join(names)} again: {_cost(calls, names)}")
            console.say("")


def _check(invocation: Invocation) -> None:
    """Check that a person can see and stop the runs.

    Raises:
        UsageError: the command runs in CI, without a terminal, or with shards.
    """
    settings = invocation.settings
    if is_ci(invocation.environ):
        raise UsageError("--watch cannot be used in CI, where it would never end. Omit --watch.")
    if settings.shard is not None or settings.plan is not None:
        raise UsageError("--watch cannot be used with shards. Omit --shard and --plan, or omit --watch.")
    if not invocation.console.err.isatty():
        raise UsageError(
            "--watch needs a terminal, where you can see and stop the runs. Run it without redirecting standard error, "
            "in a container with `docker run -it`."
        )


def _run(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Run a command of evalwire to its end; forward a signal to it, and wait for it.

    Raises:
        Interrupted: a signal arrived.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    process = subprocess.Popen([sys.executable, "-m", "evalwire", *arguments], env=environ)  # noqa: S603 - the user's own
    try:
        process.wait()
    except Interrupted as interrupted:
        process.send_signal(interrupted.exit_code - 128)
        while process.poll() is None:
            try:
                process.wait()
            except Interrupted:  # the second signal, which the terminal sends to the run too
                process.send_signal(signal.SIGTERM)
        raise


def _results(path: Path, *, since: float) -> Sequence[ExperimentResult]:
    """Return the results that a run wrote; empty if it wrote none."""
    try:
        report = reports.load_results(path)
    except UsageError:
        return ()
    return report.results if report.started_at.timestamp() >= since else ()


def _next_change(files: WatchedFiles) -> tuple[Collection[Path], Sequence[str]]:
    """Wait until files have changed and editors have saved them; return the files and the affected experiments."""
    while True:
        time.sleep(_POLL_SECONDS)
        changed = files.changed()
        if not changed:
            continue
        time.sleep(_POLL_SECONDS)
        if files.changed() != changed:
            continue
        names = files.affected(changed)
        files.accept(changed)
        if names:
            return changed, names


def _calls_of(result: ExperimentResult) -> tuple[int, int]:
    return result.expected_runs, result.expected_runs * len(result.evaluator_names)


def _cost(calls: Mapping[str, tuple[int, int]], names: Collection[str]) -> str:
    """Return the number of calls that the experiments make in a run, as far as it is known from an earlier run."""
    known = [
        made for experiment, made in calls.items() if {experiment, experiment.partition("@")[0]}.intersection(names)
    ]
    if not known:
        return "a run"
    tasks, evaluators = (sum(numbers) for numbers in zip(*known, strict=True))
    return f"{count(tasks, 'task call')} and {count(evaluators, 'evaluator call')}"


def _named(changed: Collection[Path]) -> str:
    here = Path.cwd()
    names = sorted(str(path.relative_to(here) if path.is_relative_to(here) else path) for path in changed)
    more = [f"{len(names) - _MOST_NAMED} more"] if len(names) > _MOST_NAMED else []
    return ", ".join([*names[:_MOST_NAMED], *more])
