"""Run a command: set up settings, streams and Phoenix, and map errors to exit codes."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, cast

import typer

from evalwire import masking, phoenix
from evalwire.cli.invocation import Invocation
from evalwire.cli.parent import parent_pipe
from evalwire.errors import EvalwireError, Interrupted, PhoenixUnreachable
from evalwire.jobs import Console, Signals, local_server
from evalwire.settings import (
    Settings,
    api_key_from_file,
    load_settings,
    merge_env_file,
    phoenix_variables,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from evalwire.jobs import Connect
    from evalwire.phoenix import Phoenix


def execute(
    command: Callable[[Invocation], int],
    flags: Mapping[str, Any],
    *,
    config: Path | None,
    env_file: Path | None,
    local: bool = False,
    quiet: bool = False,
    verbose: bool = False,
    error_code: int | None = None,
) -> NoReturn:
    """Load the settings, run the command, and exit with its code or with the code of its error.

    A command that has a single exit code for all expected errors passes it as `error_code`. With `local`, the first
    connection to the configured server starts the local Phoenix, or uses the running one, and connects to it.
    """
    try:
        network = dict(os.environ)  # the .env file must not set a proxy or certificates for evalwire's connection
        added = merge_env_file(network, env_file)
        os.environ.update(added)
        environ = dict(os.environ)  # a copy: evalwire ignores later changes by user code
        key = api_key_from_file(environ)
        mask = masking.Mask([key] if key else [])
        mask.learn(environ)
        console = _console(mask, quiet=quiet, verbose=verbose)
        _set_up_logs(verbose=verbose, quiet=quiet)
        settings = load_settings(flags, environ, from_env_file=added, config=config)
        rules = masking.SecretRules(named=frozenset(settings.secrets), excepted=frozenset(settings.not_secrets))
        mask.follow(rules, environ)
        mask.watch()
        invocation = Invocation(
            settings=settings,
            environ=environ,
            from_env_file=added,
            console=console,
            connect=_connector(settings, environ, network, key),
            announce=parent_pipe.announce,
        )
        for note in settings.notes:
            console.say(f"note: {note}")
        with _connected(invocation, local=local) as connected:
            code = command(connected)
    except EvalwireError as error:
        sys.stderr.write(f"evalwire: {masking.plain(str(error))}\n")
        code = error_code or error.exit_code
    except Interrupted as interrupted:
        sys.stderr.write("evalwire: interrupted\n")
        code = interrupted.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("evalwire: interrupted\n")
        code = 130
    except SystemExit as asked:  # from a signal handler of user code; exit code 0 is not a success
        sys.stderr.write(f"evalwire: a signal handler of your code called sys.exit({asked.code})\n")
        code = asked.code if isinstance(asked.code, int) and asked.code else 1
    parent_pipe.decide(code)  # before user code can exit with another code
    raise typer.Exit(code)


@contextlib.contextmanager
def _connected(invocation: Invocation, *, local: bool) -> Iterator[Invocation]:
    """Yield the invocation; with `local`, the local Phoenix is the configured server."""
    if not local:
        try:
            yield invocation
        except PhoenixUnreachable as error:
            if not _has_results_of_local(invocation.settings):
                raise
            raise type(error)(
                f"{error}\nThis project has results in a local Phoenix. To use them, add --local."
            ) from error
        return
    with contextlib.ExitStack() as running:

        @functools.cache
        def url() -> str:
            running.enter_context(Signals())
            server = local_server(invocation.settings, invocation.environ, invocation.console)
            return running.enter_context(server).url

        yield replace(invocation, connect=lambda address: invocation.connect(address or url()))


def _has_results_of_local(settings: Settings) -> bool:
    """Check whether no server is configured, although `run --local` recorded results in this project."""
    is_configured = settings.endpoint or any(os.environ.get(name) for name in phoenix.ENDPOINT_VARIABLES)
    return not is_configured and (settings.local_dir / "phoenix.db").exists()


def _console(mask: masking.Mask, *, quiet: bool, verbose: bool) -> Console:
    """Mask secrets in the standard streams, also for user code."""
    of_out, of_err, of_log = [[masking.CommandFilter()] if masking.reads_commands(os.environ) else [] for _ in range(3)]
    # both streams may end in the same log, where a line of the first can continue with text from the second
    out = masking.MaskedStream(sys.stdout, mask, filters=of_out + of_log, mark=parent_pipe.mark)
    err = masking.MaskedStream(sys.stderr, mask, filters=of_err + of_log)
    sys.stdout, sys.stderr = cast("TextIO", out), cast("TextIO", err)
    return Console(
        out=sys.stdout,
        err=sys.stderr,
        mask=mask,
        write_command=out.write_command,
        color=_wants_color(os.environ),
        width=_width(),
        quiet=quiet,
        verbose=verbose,
    )


def _connector(
    settings: Settings, environ: Mapping[str, str], network: Mapping[str, str], api_key: str | None
) -> Connect:
    """Return a function that connects to Phoenix with the variables from the start of the command.

    It returns the same connection each time, and another one in a process of a variant.
    """
    variables = phoenix_variables(environ)

    @functools.cache
    def connect_in(_: int, address: str | None) -> Phoenix:
        if address is None:
            access = phoenix.read_access(variables, network=network, endpoint=settings.endpoint, api_key=api_key)
        else:  # the local Phoenix: no proxy, no API key, and the tracing of user code must use it too
            access = phoenix.Access(address=address)
            for name in (*phoenix.ENDPOINT_VARIABLES, *phoenix.CREDENTIAL_VARIABLES):
                os.environ.pop(name, None)
            os.environ.update(PHOENIX_ENDPOINT=address, PHOENIX_COLLECTOR_ENDPOINT=address)
        fetch = phoenix.RetryPolicy(attempts=settings.fetch_attempts, total_seconds=settings.fetch_timeout_seconds)
        record = phoenix.RetryPolicy.for_records(settings.record_timeout_seconds)
        return phoenix.Phoenix(
            phoenix.open_connection(access),
            fetch=fetch,
            record=record,
            public_endpoint=settings.public_endpoint,
            proxy=access.proxy_variable,
        )

    return lambda address: connect_in(os.getpid(), address)  # processes do not share connections


class _PlainFormatter(logging.Formatter):
    """Formats messages as plain text, because they contain dataset names and server answers."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        return masking.plain(super().format(record))


def _set_up_logs(*, verbose: bool, quiet: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_PlainFormatter("evalwire: %(message)s" if not verbose else "%(name)s: %(message)s"))
    own = logging.getLogger("evalwire")
    own.handlers[:] = [handler]
    own.propagate = False
    own.setLevel(logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO)


def _wants_color(environ: Mapping[str, str]) -> bool:
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or (sys.stdout.isatty() and environ.get("TERM") != "dumb")


def _width() -> int | None:
    return shutil.get_terminal_size(fallback=(120, 24)).columns if sys.stdout.isatty() else None
