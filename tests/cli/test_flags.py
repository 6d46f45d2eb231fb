"""Flags are made from the table of settings, and what is given arrives as text at the settings' own parsers."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.main import get_command

from conftest import EVALWIRE, quiet_environment
from evalwire.cli.app import app
from evalwire.cli.entry import prepare
from evalwire.cli.examples import EXAMPLES
from evalwire.cli.flags import Command, DryRun, FailFast, repeated_arguments, takes
from evalwire.settings import OPTIONS

OF_SETTINGS = {option.name: option for option in OPTIONS}
NOT_MADE = {("gate", "report_dir")}  # there it writes only where the flag says so


def leaves(command: Any) -> Iterator[Any]:
    if hasattr(command, "commands"):
        for child in command.commands.values():
            yield from leaves(child)
    else:
        yield command


COMMANDS = {command.name: command for command in leaves(get_command(app))}
MADE = [
    (verb, param)
    for verb, command in COMMANDS.items()
    for param in command.params
    if param.name in OF_SETTINGS and (verb, param.name) not in NOT_MADE
]


def test_every_setting_with_a_flag_is_a_flag_of_some_command_and_no_other_is():
    assert {param.name for _, param in MADE} == {option.name for option in OPTIONS if option.flag}


@pytest.mark.parametrize(("verb", "param"), MADE, ids=lambda one: getattr(one, "name", one))
def test_a_flag_says_what_its_setting_is(verb, param):
    """Its name, its word for the value, its panel, its sentence and its default stand in the table only."""
    option = OF_SETTINGS[param.name]
    assert (param.opts, param.metavar, param.rich_help_panel) == ([option.flag], option.metavar, option.panel)
    assert param.help.startswith(option.help.removesuffix("."))
    assert ("(default: " in param.help) or not option.default_text
    assert param.multiple == option.is_repeatable


@pytest.mark.parametrize("verb", COMMANDS)
def test_help_is_an_imperative_sentence_and_a_value_has_a_word(verb):
    for param in COMMANDS[verb].params:
        assert param.help[0].isupper(), param.name
        assert param.help.endswith("."), param.name
        assert param.is_flag if param.param_type_name == "option" and not param.metavar else True, param.name


def test_a_default_is_shown_once_as_it_is_written():
    run = {param.name: param.help for param in COMMANDS["run"].params}
    assert run["concurrency"] == "Maximum number of experiments to run in parallel (default: 1)."
    assert run["timeout_seconds"] == "Timeout for each call of a task or an evaluator, in seconds (default: 300)."
    assert run["split"] == "Use only the examples in this dataset split (default: all examples)."
    validate = {param.name: param.help for param in COMMANDS["validate"].params}
    assert validate["input_keys"].endswith("(default: user_query).")


@pytest.mark.parametrize(
    ("words", "number", "proposed"),
    [("evalwire exp", 1, ["export"]), ("evalwire run --task", 2, ["--task-concurrency"])],
)
def test_a_shell_completes_commands_and_flags(words, number, proposed):
    environ = quiet_environment(_EVALWIRE_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(number))
    program = "import sys; sys.argv[0] = 'evalwire'; from evalwire.cli import main; main([])"
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
    assert done.stdout.split() == proposed, done.stderr


def test_the_script_for_the_shell_is_shown():
    command = f"{shlex.join([*EVALWIRE, '--show-completion'])}; exit $?"  # so that the shell stays, and is the parent
    done = subprocess.run(["bash", "-c", command], env=quiet_environment(), capture_output=True, text=True)
    assert (done.returncode, "_EVALWIRE_COMPLETE=complete_bash" in done.stdout) == (0, True), done.stderr


# --- examples ----------------------------------------------------------------------------------------------


def named(command: Any) -> Iterator[Any]:
    yield command
    for child in getattr(command, "commands", {}).values():
        yield from named(child)


def parse(line: str) -> str:
    """Parse a command line without running it; return the name of its command."""
    program, *arguments = shlex.split(line)
    assert program == "evalwire"
    command, arguments = get_command(app), prepare(arguments)
    while hasattr(command, "commands"):
        with command.make_context(command.name, arguments[:1]) as context:
            _, command, _ = command.resolve_command(context, arguments[:1])
        arguments = arguments[1:]
    command.make_context(command.name, arguments).close()
    return command.name


@pytest.mark.parametrize("command", list(named(get_command(app))), ids=lambda command: command.name)
def test_help_ends_with_one_or_two_examples_that_parse(command):
    title, *lines = command.epilog.split("\n\n")
    assert title == ("Example:" if len(lines) == 1 else "Examples:")
    assert 1 <= len(lines) <= 2
    for line in lines:
        assert line.startswith("$ ")
        assert len(line) < 79, "does not fit a terminal of 80 columns"
        assert parse(line.removeprefix("$ ")) == command.name or hasattr(command, "commands")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("evalwire run --locale", "No such option"),
        ("evalwire rum --local", "No such command"),
        ("evalwire compare branch:main", "Missing parameter"),
    ],
)
def test_an_example_with_an_error_does_not_parse(line, error):
    with pytest.raises(Exception, match=error):
        parse(line)


@pytest.mark.parametrize("command", list(named(get_command(app))), ids=lambda command: command.name)
def test_a_paragraph_of_help_has_no_line_break(command):
    """The help keeps a line break within a paragraph, at any width of the terminal."""
    assert not [part for part in command.help.strip().split("\n\n") if "\n" in part]


def test_examples_belong_to_commands():
    assert set(EXAMPLES) == {command.name for command in named(get_command(app))}


def test_commands_are_listed_in_the_order_of_use():
    shown = list(get_command(app).commands)
    assert shown[:9] == ["init", "new", "check", "list", "validate", "upload", "run", "score", "resume"]
    assert shown[-2:] == ["serve", "local"]


@pytest.mark.parametrize("verb", ["run", "check", "list", "plan"])
def test_arguments_are_names_of_experiments_in_addition_to_those_of_the_flag(verb, project):
    for name in ("a", "b", "c"):
        project.experiment(name)
    flags = ["--shards", "2"] if verb == "plan" else []
    done = project.run(verb, "a", "bb", "--name", "c", *flags)
    assert done.returncode == 1
    assert "no experiment 'bb' in experiments/" in done.stderr.replace(f"{project.directory}/", "")
    done = project.run("list", "b", "--name", "c")
    assert [line for line in done.stdout.splitlines() if not line.startswith(" ")] == ["b", "c"]


def test_flags_are_repeated_for_another_process_without_the_names():
    found: list[str] = []
    typer_app = typer.Typer()

    @typer_app.command(cls=Command)
    @takes("names", "gate", "timeout_seconds", "sync", has_loudness=True, has_names=True, has_examples=True)
    def run(given, *, dry_run: DryRun = None, fail_fast: FailFast = False, context: typer.Context):
        found[:] = repeated_arguments(context, without=("names", "experiment_names"))

    given = '--no-upload --timeout 3 --gate "a >= 1" --gate "b >= 2" -k "it\'s" --example x --failing --dry-run 2'
    typer_app([*shlex.split(given), "-x", "-q", "name", "--name", "other"], standalone_mode=False)
    assert sorted(found[1:]) == sorted([*shlex.split(given), "--fail-fast", "--quiet"])
