"""The commands and their flags, and the way in; what is around every command is in `evalwire.cli.process`."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from evalwire._version import __version__
from evalwire.cli.flags import (
    SHOWN,
    WHAT,
    BaselineOption,
    Concurrency,
    Config,
    DatasetVersion,
    Delimiter,
    EnvFile,
    Experiments,
    FailFast,
    FetchAttempts,
    FetchTimeout,
    Gates,
    InputKeys,
    MaxFailures,
    Names,
    OutputKeys,
    PlanFile,
    Prefix,
    Quiet,
    Repetitions,
    ReportDir,
    Retries,
    Split,
    TagColumn,
    TaskConcurrency,
    Testset,
    Timeout,
    Verbose,
)
from evalwire.cli.process import execute

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(
    name="evalwire",
    help="Run LLM evaluation experiments against Arize Phoenix, and exit honestly.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

VERBS = (
    "baseline",
    "check",
    "compare",
    "export",
    "gate",
    "init",
    "list",
    "plan",
    "report",
    "resume",
    "run",
    "serve",
    "upload",
    "validate",
)


@app.callback()
def _top(
    version: Annotated[bool, typer.Option("--version", help="Show the version.", is_eager=True)] = False,
) -> None:
    """Handled before Typer, so that it costs no import; declared here to be in the help."""
    del version


@app.command()
def run(
    experiments: Experiments = None,
    name: Names = None,
    dry_run: Annotated[
        int | None,
        typer.Option(
            "--dry-run",
            metavar="[N]",
            help="Only the first N examples (1) of each; record nothing.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    local: Annotated[
        bool,
        typer.Option("--local", help="Start a Phoenix for this run; upload the testset.", rich_help_panel=WHAT),
    ] = False,
    prefix: Prefix = None,
    config: Config = None,
    env_file: EnvFile = None,
    concurrency: Concurrency = None,
    task_concurrency: TaskConcurrency = None,
    timeout: Timeout = None,
    retries: Retries = None,
    repetitions: Repetitions = None,
    split: Split = None,
    dataset_version: DatasetVersion = None,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            help="Only the I-th of N parts of every experiment; auto: as CI's parallel jobs have it.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    plan: PlanFile = None,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="A shard: not what an earlier attempt began.", rich_help_panel=WHAT),
    ] = False,
    max_failures: MaxFailures = None,
    fail_fast: FailFast = False,
    gate: Gates = None,
    baseline: BaselineOption = None,
    fetch_attempts: FetchAttempts = None,
    fetch_timeout: FetchTimeout = None,
    report_dir: ReportDir = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Run the experiments; exit 0 only if every one of them held."""
    from evalwire.cli.commands.run import run as command  # noqa: PLC0415 - `--help` need not pay for it

    if dry_run is not None and dry_run < 1:
        raise typer.BadParameter("at least 1 example; without --dry-run, all are run", param_hint="--dry-run")
    given = {
        "experiments": experiments,
        "names": name,
        "prefix": prefix,
        "concurrency": concurrency,
        "task_concurrency": task_concurrency,
        "timeout_seconds": timeout,
        "retries": retries,
        "repetitions": repetitions,
        "split": split,
        "dataset_version": dataset_version,
        "shard": shard,
        "plan": plan,
        "max_failures": _max_failures(max_failures, fail_fast=fail_fast),
        "gate": gate,
        "baseline": baseline,
        "fetch_attempts": fetch_attempts,
        "fetch_timeout_seconds": fetch_timeout,
        "report_dir": report_dir,
    }
    execute(
        lambda context: command(context, dry_run=dry_run, local=local, fresh=fresh),
        given,
        config=config,
        env_file=env_file,
        quiet=quiet,
        verbose=verbose,
    )


@app.command()
def plan(
    shards: Annotated[int, typer.Option("--shards", metavar="N", min=1, help="How many jobs share the work.")],
    output: Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Instead of the screen.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Not the experiments that this pipeline run began already.")
    ] = False,
    experiments: Experiments = None,
    name: Names = None,
    prefix: Prefix = None,
    repetitions: Repetitions = None,
    split: Split = None,
    dataset_version: DatasetVersion = None,
    config: Config = None,
    env_file: EnvFile = None,
    fetch_attempts: FetchAttempts = None,
    fetch_timeout: FetchTimeout = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Create the experiments that several jobs will run together, and say which they are, for `run --plan`."""
    from evalwire.cli.commands.plan import plan as command  # noqa: PLC0415 - `--help` need not pay for it

    given = {
        "experiments": experiments,
        "names": name,
        "prefix": prefix,
        "repetitions": repetitions,
        "split": split,
        "dataset_version": dataset_version,
        "fetch_attempts": fetch_attempts,
        "fetch_timeout_seconds": fetch_timeout,
    }
    execute(
        lambda context: command(context, shards=shards, output=output, fresh=fresh),
        given,
        config=config,
        env_file=env_file,
        quiet=quiet,
        verbose=verbose,
    )


@app.command()
def resume(
    journal: Annotated[
        Path | None,
        typer.Argument(metavar="[JOURNAL]", help="The newest in the report folder by default.", show_default=False),
    ] = None,
    experiment: Annotated[
        str | None,
        typer.Option("--experiment", metavar="ID", help="Complete this Phoenix experiment.", rich_help_panel=WHAT),
    ] = None,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Also what had failed, tasks and evaluators.", rich_help_panel=WHAT),
    ] = False,
    local: Annotated[
        bool, typer.Option("--local", help="In the local Phoenix of `run --local`.", rich_help_panel=WHAT)
    ] = False,
    experiments: Experiments = None,
    name: Names = None,
    config: Config = None,
    env_file: EnvFile = None,
    concurrency: Concurrency = None,
    task_concurrency: TaskConcurrency = None,
    timeout: Timeout = None,
    retries: Retries = None,
    max_failures: MaxFailures = None,
    fail_fast: FailFast = False,
    gate: Gates = None,
    baseline: BaselineOption = None,
    fetch_attempts: FetchAttempts = None,
    fetch_timeout: FetchTimeout = None,
    report_dir: ReportDir = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Deliver what a journal holds, run what never finished, and end as the run would have."""
    from evalwire.cli.commands.resume import resume as command  # noqa: PLC0415 - `--help` need not pay for it

    if journal is not None and experiment is not None:
        raise typer.BadParameter("a journal or an experiment, not both", param_hint="--experiment")
    given = {
        "experiments": experiments,
        "names": name,
        "concurrency": concurrency,
        "task_concurrency": task_concurrency,
        "timeout_seconds": timeout,
        "retries": retries,
        "max_failures": _max_failures(max_failures, fail_fast=fail_fast),
        "gate": gate,
        "baseline": baseline,
        "fetch_attempts": fetch_attempts,
        "fetch_timeout_seconds": fetch_timeout,
        "report_dir": report_dir,
    }
    execute(
        lambda context: command(
            context, path=journal, experiment_id=experiment, retry_failed=retry_failed, local=local
        ),
        given,
        config=config,
        env_file=env_file,
        quiet=quiet,
        verbose=verbose,
    )


def _max_failures(number: str | None, *, fail_fast: bool) -> str | None:
    if fail_fast and number is not None:
        raise typer.BadParameter("--fail-fast is --max-failures 1: give one of them", param_hint="--fail-fast")
    return "1" if fail_fast else number


@app.command()
def gate(
    experiment: Annotated[
        list[str] | None,
        typer.Option("--experiment", metavar="ID", help="Of Phoenix; repeatable.", rich_help_panel=WHAT),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            "--results", metavar="FILE", help="A results.json (that of the report folder).", rich_help_panel=WHAT
        ),
    ] = None,
    plan: PlanFile = None,
    shards: Annotated[
        int | None,
        typer.Option(
            "--shards",
            metavar="N",
            min=1,
            help="What N shards of this pipeline run recorded without a plan.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="With --shards, where they have it.", rich_help_panel=WHAT)
    ] = False,
    experiments: Experiments = None,
    name: Names = None,
    prefix: Prefix = None,
    repetitions: Repetitions = None,
    split: Split = None,
    dataset_version: DatasetVersion = None,
    gate_: Gates = None,
    baseline: BaselineOption = None,
    config: Config = None,
    env_file: EnvFile = None,
    report_dir: Annotated[
        Path | None,
        typer.Option("--report-dir", metavar="DIR", help="Write the reports there, too.", rich_help_panel=SHOWN),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Judge what is recorded by the gates, without running anything; exit as the run would have."""
    from evalwire.cli.commands.gate import gate as command  # noqa: PLC0415 - `--help` need not pay for it

    named = {"--experiment": experiment, "--results": results, "--plan": plan, "--shards": shards}
    if len(several := [flag for flag, value in named.items() if value]) > 1:
        raise typer.BadParameter(f"one of {', '.join(several)}", param_hint=several[-1])
    given = {
        "plan": plan,
        "experiments": experiments,
        "names": name,
        "prefix": prefix,
        "repetitions": repetitions,
        "split": split,
        "dataset_version": dataset_version,
        "gate": gate_,
        "baseline": baseline,
        "report_dir": report_dir,
    }
    execute(
        lambda context: command(context, experiment_ids=experiment or (), results=results, shards=shards, fresh=fresh),
        given,
        config=config,
        env_file=env_file,
        quiet=quiet,
        verbose=verbose,
    )


@app.command()
def compare(
    before: Annotated[str, typer.Argument(metavar="A", help="An experiment's id, branch:, tag: or file:.")],
    after: Annotated[str, typer.Argument(metavar="B", help="Likewise: what is compared with A.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.", rich_help_panel=SHOWN)] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="As Markdown.", rich_help_panel=SHOWN)] = False,
    experiments: Experiments = None,
    name: Names = None,
    config: Config = None,
    env_file: EnvFile = None,
) -> None:
    """Show how B differs from A: scores, intervals, and the examples that went either way."""
    from evalwire.cli.commands.compare import compare as command  # noqa: PLC0415 - `--help` need not pay for it

    if as_json and as_markdown:
        raise typer.BadParameter("JSON or Markdown, not both", param_hint="--markdown")
    execute(
        lambda context: command(
            context, before=before, after=after, form="json" if as_json else "markdown" if as_markdown else "text"
        ),
        {"experiments": experiments, "names": name},
        config=config,
        env_file=env_file,
        error_code=2,
    )


@app.command()
def report(
    results: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A results.json (that of the report folder).", show_default=False),
    ] = None,
    experiment: Annotated[
        str | None,
        typer.Option("--experiment", metavar="ID", help="Instead of a file: of Phoenix, in Markdown."),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option("--format", metavar="NAME", help="console (default), html, markdown, junit, json or annotations."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Instead of the screen.")] = None,
    config: Config = None,
    env_file: EnvFile = None,
) -> None:
    """Show a finished run in another format, or a recorded experiment."""
    from evalwire.cli.commands.report import report, report_experiment  # noqa: PLC0415 - `--help` need not pay for it

    if experiment is not None and results is not None:
        raise typer.BadParameter("a file or an experiment, not both", param_hint="--experiment")
    if experiment is not None and format_ not in (None, "markdown"):
        raise typer.BadParameter(
            "an experiment is shown in Markdown; evalwire export writes CSV and JSON", param_hint="--format"
        )
    execute(
        lambda context: (
            report(context, path=results, format_=format_ or "console", output=output)
            if experiment is None
            else report_experiment(context, experiment_id=experiment, output=output)
        ),
        {},
        config=config,
        env_file=env_file,
        error_code=2,
    )


@app.command()
def export(
    experiment: Annotated[str, typer.Option("--experiment", metavar="ID", help="Of Phoenix.")],
    format_: Annotated[
        str, typer.Option("--format", metavar="NAME", help="csv (default) or json.", show_default=False)
    ] = "csv",
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Where to (ID.csv or ID.json, here).")
    ] = None,
    config: Config = None,
    env_file: EnvFile = None,
) -> None:
    """Write a recorded experiment to a file, a row or an object for each run."""
    from evalwire.cli.commands.export import export as command  # noqa: PLC0415 - `--help` need not pay for it

    execute(
        lambda context: command(context, experiment_id=experiment, format_=format_, output=output),
        {},
        config=config,
        env_file=env_file,
        error_code=2,
    )


baseline_app = typer.Typer(help="Fixed points to compare with.", no_args_is_help=True)

app.add_typer(baseline_app, name="baseline")


@baseline_app.command()
def pin(
    experiment: Annotated[str, typer.Argument(metavar="ID", help="Of a Phoenix experiment.")],
    tag: Annotated[str, typer.Option("--tag", metavar="NAME", help="Such as release.")],
    config: Config = None,
    env_file: EnvFile = None,
) -> None:
    """Give an experiment a tag, for --baseline tag:NAME; another of its dataset that has it loses it."""
    from evalwire.cli.commands.baseline import pin as command  # noqa: PLC0415 - `--help` need not pay for it

    execute(lambda context: command(context, experiment_id=experiment, tag=tag), {}, config=config, env_file=env_file)


@app.command(name="list")
def list_(
    experiments: Experiments = None,
    name: Names = None,
    config: Config = None,
    env_file: EnvFile = None,
) -> None:
    """Show what was discovered; talk to nobody."""
    from evalwire.cli.commands.list_ import list_ as command  # noqa: PLC0415 - `--help` need not pay for it

    execute(command, {"experiments": experiments, "names": name}, config=config, env_file=env_file)


@app.command()
def check(
    experiments: Experiments = None,
    name: Names = None,
    config: Config = None,
    env_file: EnvFile = None,
    fetch_attempts: FetchAttempts = None,
    fetch_timeout: FetchTimeout = None,
    show_settings: Annotated[
        bool,
        typer.Option("--show-settings", help="Each setting and where it came from.", rich_help_panel=SHOWN),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="What was found, as JSON.", rich_help_panel=SHOWN)] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Look at everything that a run needs, without running it."""
    from evalwire.cli.commands.check import check as command  # noqa: PLC0415 - `--help` need not pay for it

    execute(
        lambda context: command(context, as_json=as_json, show_settings=show_settings),
        {
            "experiments": experiments,
            "names": name,
            "fetch_attempts": fetch_attempts,
            "fetch_timeout_seconds": fetch_timeout,
        },
        config=config,
        env_file=env_file,
        quiet=quiet,
        verbose=verbose,
    )


@app.command()
def upload(
    csv: Testset = None,
    on_exist: Annotated[
        str | None, typer.Option("--on-exist", metavar="WORD", help="skip (default), overwrite or append.")
    ] = None,
    input_keys: InputKeys = None,
    output_keys: OutputKeys = None,
    tag_column: TagColumn = None,
    delimiter: Delimiter = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Upload nothing of a file that has an issue at all.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and upload nothing.")] = False,
    config: Config = None,
    env_file: EnvFile = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Upload a testset to Phoenix, one dataset for each tag."""
    from evalwire.cli.commands.upload import upload as command  # noqa: PLC0415 - `--help` need not pay for it

    given = {
        "csv_path": csv,
        "on_exist": on_exist,
        "input_keys": input_keys,
        "output_keys": output_keys,
        "tag_column": tag_column,
        "delimiter": delimiter,
    }
    execute(
        lambda context: command(context, strict=strict, dry_run=dry_run),
        given,
        config=config,
        env_file=env_file,
        quiet=quiet,
        verbose=verbose,
        error_code=2,
    )


@app.command()
def validate(
    csv: Testset = None,
    input_keys: InputKeys = None,
    output_keys: OutputKeys = None,
    tag_column: TagColumn = None,
    delimiter: Delimiter = None,
    config: Config = None,
    env_file: EnvFile = None,
) -> None:
    """Look for everything that is wrong with a testset; talk to nobody."""
    from evalwire.cli.commands.validate import validate as command  # noqa: PLC0415 - `--help` need not pay for it

    given = {
        "csv_path": csv,
        "input_keys": input_keys,
        "output_keys": output_keys,
        "tag_column": tag_column,
        "delimiter": delimiter,
    }
    execute(command, given, config=config, env_file=env_file, error_code=2)


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Made when missing.", show_default=False)] = Path(),
    ci: Annotated[
        Literal["github", "gitlab"] | None, typer.Option("--ci", metavar="github|gitlab", help="Its workflow, too.")
    ] = None,
) -> None:
    """Write a small project that runs as it is, to start your own from; change no file that is there."""
    from evalwire.cli.commands.init import init as command  # noqa: PLC0415 - `--help` need not pay for it

    execute(lambda context: command(context, directory, ci=ci), {}, config=None, env_file=None, error_code=2)


@app.command()
def serve(
    port: Annotated[int | None, typer.Option("--port", metavar="N", help="Port on 127.0.0.1 (6006).")] = None,
    config: Config = None,
    env_file: EnvFile = None,
) -> None:
    """Serve the Phoenix of `run --local`, to look at its results."""
    from evalwire.cli.commands.serve import serve as command  # noqa: PLC0415 - `--help` need not pay for it

    execute(lambda context: command(context, port=port), {}, config=config, env_file=env_file)


def prepare(arguments: Sequence[str]) -> list[str]:
    """The one pass over the arguments before Typer.

    Typer has no option with an optional value, so a bare `--dry-run` becomes `--dry-run=1`. A flag without a
    verb is a flag of `run`, so that `docker run evalwire --dry-run` does what it says.
    """
    arguments = list(arguments)
    if arguments and arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version"):
        arguments.insert(0, "run")
    prepared: list[str] = []
    takes_number = arguments[:1] != ["upload"]
    for index, argument in enumerate(arguments):
        if argument == "--":
            return [*prepared, *arguments[index:]]
        following = arguments[index + 1] if index + 1 < len(arguments) else ""
        has_number = re.fullmatch(r"[+-]?\d+", following) is not None
        is_bare = argument == "--dry-run" and takes_number and not has_number
        prepared.append("--dry-run=1" if is_bare else argument)
    return prepared


class _Main:
    """The console command. Scripts and tests of 0.6 also use it as a command of Click's: `main.main(args, ...)`."""

    name = "evalwire"

    def __call__(self, arguments: Sequence[str] | None = None) -> NoReturn:
        """Run a command and end the process."""
        _main(arguments)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,  # noqa: ARG002 - the signature is Click's
        *,
        standalone_mode: bool = True,
        **extra: object,  # noqa: ARG002 - likewise
    ) -> int:
        """Run a command; its exit code, where the caller does not want the process to end."""
        try:
            _main(args)
        except SystemExit as ended:
            if standalone_mode:
                raise
            return ended.code if isinstance(ended.code, int) else 1


main = _Main()


def _main(arguments: Sequence[str] | None) -> NoReturn:
    """The console command; never returns.

    A thread that a user's function left behind must not keep the finished job from ending: with one alive, the
    process ends without waiting for it.
    """
    prepared = prepare(sys.argv[1:] if arguments is None else arguments)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started it
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for as long as we live
    if prepared[:1] == ["--version"]:
        sys.stdout.write(f"evalwire {__version__}\n")
        sys.exit(0)
    try:
        app(prepared, prog_name="evalwire")
    except SystemExit as ended:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
                stream.flush()
        others = [
            thread for thread in threading.enumerate() if not thread.daemon and thread is not threading.main_thread()
        ]
        if others:
            os._exit(ended.code if isinstance(ended.code, int) else 1)
        raise
    raise AssertionError("Typer ends every command with SystemExit")
