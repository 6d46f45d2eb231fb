"""Typer flags -> Settings -> a command; errors -> exit codes. Commands are given the environment from here."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, TextIO, cast

import typer

from evalwire import __version__, environment, masking, settings
from evalwire.context import Context
from evalwire.errors import EvalwireError, Interrupted

if TYPE_CHECKING:
    from evalwire.gateway import Phoenix

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
    "report",
    "resume",
    "run",
    "serve",
    "upload",
    "validate",
)

_WHAT = "What to run"
_HOW = "How to run it"
_JUDGED = "What passes"
_SHOWN = "What is shown"

Experiments = Annotated[
    Path | None,
    typer.Option("--experiments", metavar="DIR", help="Folder of the experiments.", rich_help_panel=_WHAT),
]
Names = Annotated[
    list[str] | None,
    typer.Option("--name", metavar="NAME", help="Only this experiment; repeatable.", rich_help_panel=_WHAT),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Read this instead of ./evalwire.toml.", rich_help_panel=_WHAT),
]
EnvFile = Annotated[
    Path | None,
    typer.Option("--env-file", metavar="FILE", help="Read this instead of ./.env.", rich_help_panel=_WHAT),
]
FetchAttempts = Annotated[
    int | None,
    typer.Option("--fetch-attempts", metavar="N", help="Tries to fetch or create (5).", rich_help_panel=_HOW),
]
FetchTimeout = Annotated[
    float | None,
    typer.Option("--fetch-timeout", metavar="SECONDS", help="For all those tries (120).", rich_help_panel=_HOW),
]
Concurrency = Annotated[
    int | None,
    typer.Option("--concurrency", metavar="N", help="Experiments in parallel (1).", rich_help_panel=_HOW),
]
TaskConcurrency = Annotated[
    str | None,
    typer.Option(
        "--task-concurrency",
        metavar="N|auto",
        help="Examples in flight (10); auto: as many as the provider bears.",
        rich_help_panel=_HOW,
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", metavar="SECONDS", help="For one call of your code (300).", rich_help_panel=_HOW),
]
Retries = Annotated[
    int | None,
    typer.Option(
        "--retries",
        metavar="N",
        help="Further calls after rate limits, time-outs, connection errors.",
        rich_help_panel=_HOW,
    ),
]
MaxFailures = Annotated[
    str | None,
    typer.Option(
        "--max-failures", metavar="N|P%", help="Stop after so many failures, or such a share.", rich_help_panel=_HOW
    ),
]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop after the first failure.", rich_help_panel=_HOW)]
Gates = Annotated[
    list[str] | None,
    typer.Option(
        "--gate",
        metavar="LIMIT",
        help="Such as 'top_k >= 0.8', 'top_k drop <= 0.02'; repeatable.",
        rich_help_panel=_JUDGED,
    ),
]
BaselineOption = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        metavar="WHICH",
        help="auto, none, branch:NAME, tag:NAME, file:PATH or an experiment's id.",
        rich_help_panel=_JUDGED,
    ),
]
Testset = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", help="The testset: CSV, or .jsonl with lines of JSON.")
]
InputKeys = Annotated[
    str | None, typer.Option("--input-keys", metavar="A,B", help="Columns of the input (user_query).")
]
OutputKeys = Annotated[
    str | None, typer.Option("--output-keys", metavar="A,B", help="Expected output (expected_output).")
]
TagColumn = Annotated[
    str | None, typer.Option("--tag-column", metavar="NAME", help="Names the datasets of a row (tags).")
]
Delimiter = Annotated[str | None, typer.Option("--delimiter", metavar="C", help="Separates tags in a cell (|).")]
ReportDir = Annotated[
    Path | None,
    typer.Option("--report-dir", metavar="DIR", help="Folder for the reports and the journal.", rich_help_panel=_SHOWN),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only the result and errors.", rich_help_panel=_SHOWN)]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Also tracebacks and debug logs.", rich_help_panel=_SHOWN)
]


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
            rich_help_panel=_WHAT,
        ),
    ] = None,
    local: Annotated[
        bool,
        typer.Option("--local", help="Start a Phoenix for this run; upload the testset.", rich_help_panel=_WHAT),
    ] = False,
    prefix: Annotated[
        str | None,
        typer.Option("--prefix", metavar="P", help="First part of the recorded names.", rich_help_panel=_WHAT),
    ] = None,
    config: Config = None,
    env_file: EnvFile = None,
    concurrency: Concurrency = None,
    task_concurrency: TaskConcurrency = None,
    timeout: Timeout = None,
    retries: Retries = None,
    repetitions: Annotated[
        int | None,
        typer.Option("--repetitions", metavar="N", help="Runs of each example (1).", rich_help_panel=_WHAT),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", metavar="NAME", help="Only this split of the datasets.", rich_help_panel=_WHAT),
    ] = None,
    dataset_version: Annotated[
        str | None,
        typer.Option("--dataset-version", metavar="ID", help="Not the newest version.", rich_help_panel=_WHAT),
    ] = None,
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
    from evalwire.commands.run import run as command  # noqa: PLC0415 - `--help` need not pay for it

    if dry_run is not None and dry_run < 1:
        raise typer.BadParameter("at least 1 example; without --dry-run, all are run", param_hint="--dry-run")
    flags = {
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
        "max_failures": _max_failures(max_failures, fail_fast=fail_fast),
        "gate": gate,
        "baseline": baseline,
        "fetch_attempts": fetch_attempts,
        "fetch_timeout_seconds": fetch_timeout,
        "report_dir": report_dir,
    }
    _execute(
        lambda context: command(context, dry_run=dry_run, local=local),
        flags,
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
        typer.Option("--experiment", metavar="ID", help="Complete this Phoenix experiment.", rich_help_panel=_WHAT),
    ] = None,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Also what had failed, tasks and evaluators.", rich_help_panel=_WHAT),
    ] = False,
    local: Annotated[
        bool, typer.Option("--local", help="In the local Phoenix of `run --local`.", rich_help_panel=_WHAT)
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
    from evalwire.commands.resume import resume as command  # noqa: PLC0415 - `--help` need not pay for it

    if journal is not None and experiment is not None:
        raise typer.BadParameter("a journal or an experiment, not both", param_hint="--experiment")
    flags = {
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
    _execute(
        lambda context: command(
            context, path=journal, experiment_id=experiment, retry_failed=retry_failed, local=local
        ),
        flags,
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
        typer.Option("--experiment", metavar="ID", help="Of Phoenix; repeatable.", rich_help_panel=_WHAT),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            "--results", metavar="FILE", help="A results.json (that of the report folder).", rich_help_panel=_WHAT
        ),
    ] = None,
    gate_: Gates = None,
    baseline: BaselineOption = None,
    config: Config = None,
    env_file: EnvFile = None,
    report_dir: Annotated[
        Path | None,
        typer.Option("--report-dir", metavar="DIR", help="Write the reports there, too.", rich_help_panel=_SHOWN),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Judge what is recorded by the gates, without running anything; exit as the run would have."""
    from evalwire.commands.gate import gate as command  # noqa: PLC0415 - `--help` need not pay for it

    if experiment and results is not None:
        raise typer.BadParameter("experiments or a file, not both", param_hint="--results")
    _execute(
        lambda context: command(context, experiment_ids=experiment or (), results=results),
        {"gate": gate_, "baseline": baseline, "report_dir": report_dir},
        config=config,
        env_file=env_file,
        quiet=quiet,
        verbose=verbose,
    )


@app.command()
def compare(
    before: Annotated[str, typer.Argument(metavar="A", help="An experiment's id, branch:, tag: or file:.")],
    after: Annotated[str, typer.Argument(metavar="B", help="Likewise: what is compared with A.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.", rich_help_panel=_SHOWN)] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="As Markdown.", rich_help_panel=_SHOWN)] = False,
    experiments: Experiments = None,
    name: Names = None,
    config: Config = None,
    env_file: EnvFile = None,
) -> None:
    """Show how B differs from A: scores, intervals, and the examples that went either way."""
    from evalwire.commands.compare import compare as command  # noqa: PLC0415 - `--help` need not pay for it

    if as_json and as_markdown:
        raise typer.BadParameter("JSON or Markdown, not both", param_hint="--markdown")
    _execute(
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
    from evalwire.commands import report as commands  # noqa: PLC0415 - `--help` need not pay for it

    if experiment is not None and results is not None:
        raise typer.BadParameter("a file or an experiment, not both", param_hint="--experiment")
    if experiment is not None and format_ not in (None, "markdown"):
        raise typer.BadParameter(
            "an experiment is shown in Markdown; evalwire export writes CSV and JSON", param_hint="--format"
        )
    _execute(
        lambda context: (
            commands.report(context, path=results, format_=format_ or "console", output=output)
            if experiment is None
            else commands.report_experiment(context, experiment_id=experiment, output=output)
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
    from evalwire.commands.export import export as command  # noqa: PLC0415 - `--help` need not pay for it

    _execute(
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
    from evalwire.commands.baseline import pin as command  # noqa: PLC0415 - `--help` need not pay for it

    _execute(lambda context: command(context, experiment_id=experiment, tag=tag), {}, config=config, env_file=env_file)


@app.command(name="list")
def list_(experiments: Experiments = None, name: Names = None, config: Config = None, env_file: EnvFile = None) -> None:
    """Show what was discovered; talk to nobody."""
    from evalwire.commands.list_ import list_ as command  # noqa: PLC0415 - `--help` need not pay for it

    _execute(command, {"experiments": experiments, "names": name}, config=config, env_file=env_file)


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
        typer.Option("--show-settings", help="Each setting and where it came from.", rich_help_panel=_SHOWN),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="What was found, as JSON.", rich_help_panel=_SHOWN)] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Look at everything that a run needs, without running it."""
    from evalwire.commands.check import check as command  # noqa: PLC0415 - `--help` need not pay for it

    _execute(
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
    from evalwire.commands.upload import upload as command  # noqa: PLC0415 - `--help` need not pay for it

    flags = {
        "csv_path": csv,
        "on_exist": on_exist,
        "input_keys": input_keys,
        "output_keys": output_keys,
        "tag_column": tag_column,
        "delimiter": delimiter,
    }
    _execute(
        lambda context: command(context, strict=strict, dry_run=dry_run),
        flags,
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
    from evalwire.commands.validate import validate as command  # noqa: PLC0415 - `--help` need not pay for it

    flags = {
        "csv_path": csv,
        "input_keys": input_keys,
        "output_keys": output_keys,
        "tag_column": tag_column,
        "delimiter": delimiter,
    }
    _execute(command, flags, config=config, env_file=env_file, error_code=2)


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Made when missing.", show_default=False)] = Path(),
    ci: Annotated[
        Literal["github", "gitlab"] | None, typer.Option("--ci", metavar="github|gitlab", help="Its workflow, too.")
    ] = None,
) -> None:
    """Write a small project that runs as it is, to start your own from; change no file that is there."""
    from evalwire.commands.init import init as command  # noqa: PLC0415 - `--help` need not pay for it

    _execute(lambda context: command(context, directory, ci=ci), {}, config=None, env_file=None, error_code=2)


@app.command()
def serve(
    port: Annotated[int | None, typer.Option("--port", metavar="N", help="Port on 127.0.0.1 (6006).")] = None,
    config: Config = None,
    env_file: EnvFile = None,
) -> None:
    """Serve the Phoenix of `run --local`, to look at its results."""
    from evalwire.commands.serve import serve as command  # noqa: PLC0415 - `--help` need not pay for it

    _execute(lambda context: command(context, port=port), {}, config=config, env_file=env_file)


# --- the edge ------------------------------------------------------------------------------------------


def _execute(
    command: Callable[[Context], int],
    flags: Mapping[str, Any],
    *,
    config: Path | None,
    env_file: Path | None,
    quiet: bool = False,
    verbose: bool = False,
    error_code: int | None = None,
) -> NoReturn:
    """Find the settings, run the command, and end with its exit code or with that of its error.

    A command whose contract has one code for every expected error gives it as `error_code`.
    """
    try:
        added = environment.merge_env_file(os.environ, env_file)
        os.environ.update(added)
        key = environment.api_key_from_file(os.environ)
        secrets = [*masking.secrets_in(os.environ), *([key] if key else [])]
        mask = masking.Mask(secrets)
        is_ci = any(os.environ.get(name) for name in ("GITHUB_ACTIONS", "TF_BUILD"))
        out = masking.MaskedStream(sys.stdout, mask, is_harmless=is_ci)
        sys.stdout = cast("TextIO", out)
        sys.stderr = cast("TextIO", masking.MaskedStream(sys.stderr, mask, is_harmless=is_ci))
        _set_up_logs(verbose=verbose, quiet=quiet)
        found = settings.load(flags, os.environ, from_env_file=added, config=config)
        context = Context(
            settings=found,
            environ=os.environ,
            from_env_file=added,
            out=sys.stdout,
            err=sys.stderr,
            connect=_connector(found, key),
            mask=mask,
            command=out.write_command,
            learn_secrets=lambda: mask.add(masking.secrets_in(os.environ)),
            color=_wants_color(os.environ),
            width=_width(),
            quiet=quiet,
            verbose=verbose,
        )
        code = command(context)
    except EvalwireError as error:
        sys.stderr.write(f"evalwire: {error}\n")
        code = error_code or error.exit_code
    except Interrupted as interrupted:
        sys.stderr.write("evalwire: interrupted\n")
        code = interrupted.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("evalwire: interrupted\n")
        code = 130
    raise typer.Exit(code)


def _connector(found: settings.Settings, key: str | None) -> Callable[[str | None], Phoenix]:
    def connect(address: str | None) -> Phoenix:
        from evalwire.gateway import Phoenix, connect  # noqa: PLC0415 - 0.5 s, for those who talk to it
        from evalwire.retries import RetryPolicy  # noqa: PLC0415 - likewise

        api_key = key
        if address is not None:  # the local one: the user's own tracing must go there too, and no key anywhere
            api_key = None
            for name in (*environment.ENDPOINT_VARIABLES, *environment.CREDENTIAL_VARIABLES):
                os.environ.pop(name, None)
            os.environ.update(PHOENIX_ENDPOINT=address, PHOENIX_COLLECTOR_ENDPOINT=address)
        elif not any(os.environ.get(name, "").strip() for name in environment.PHOENIX_ADDRESSES):
            address = found.endpoint
        fetch = RetryPolicy(attempts=found.fetch_attempts, total_seconds=found.fetch_timeout_seconds)
        record = RetryPolicy.for_records(found.record_timeout_seconds)
        client = connect(base_url=address, api_key=api_key)
        return Phoenix(client, fetch=fetch, record=record, public_endpoint=found.public_endpoint)

    return connect


def _set_up_logs(*, verbose: bool, quiet: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("evalwire: %(message)s" if not verbose else "%(name)s: %(message)s"))
    own = logging.getLogger("evalwire")
    own.handlers[:] = [handler]
    own.propagate = False
    own.setLevel(logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO)


def _wants_color(environ: Mapping[str, str]) -> bool:
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or (sys.stdout.isatty() and environ.get("TERM") != "dumb")


def _width() -> int:
    return shutil.get_terminal_size(fallback=(120, 24)).columns if sys.stdout.isatty() else 120


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
