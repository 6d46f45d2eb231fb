"""Settings: each declared once, found by one precedence, remembering where its value came from."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from evalwire.errors import UsageError

CONFIG_FILE = "evalwire.toml"
ENV_FILE = ".env"

# Every name under which the Phoenix client looks for its server. They are one group: see `merge_env_file`.
ENDPOINT_VARIABLES = (
    "PHOENIX_ENDPOINT",
    "PHOENIX_COLLECTOR_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "PHOENIX_BASE_URL",
    "PHOENIX_HOST",
    "PHOENIX_PORT",
)
CREDENTIAL_VARIABLES = ("PHOENIX_API_KEY", "PHOENIX_API_KEY_FILE", "PHOENIX_CLIENT_HEADERS")


# --- kinds of values -----------------------------------------------------------------------------------


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("expected text that is not empty")
    return value


def _character(value: Any) -> str:
    if not isinstance(value, str) or len(value) != 1:
        raise ValueError("expected one character")
    return value


def _path(value: Any) -> Path:
    return value if isinstance(value, Path) else Path(_text(value))


def _texts(value: Any) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise ValueError("expected a list of texts, or a comma-separated text")
    return tuple(item.strip() for item in items if item.strip())


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("expected a number")
    try:
        number = float(value)
    except ValueError:
        raise ValueError("expected a number") from None
    if not 0 < number < float("inf"):
        raise ValueError("expected a number above 0")
    return number


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("expected a whole number")
    try:
        number = int(value)
    except ValueError:
        raise ValueError("expected a whole number") from None
    if number < 1:
        raise ValueError("expected a whole number, 1 or more")
    return number


def _one_of(*words: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in words:
            raise ValueError(f"expected one of: {', '.join(words)}")
        return str(value)

    return parse


# --- the options ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One setting.

    Attributes:
        name: its name in the program.
        key: its place in `evalwire.toml`, as `section.key`; None when it cannot be set there.
        flag: its flag on the command line, for the documentation.
        parse: checks and converts a value; raises ValueError saying what was expected.
        default: its value when nobody sets it.
        is_path: whether a relative value in `evalwire.toml` is relative to that file.
    """

    name: str
    key: str | None
    flag: str | None
    parse: Callable[[Any], Any]
    default: Any
    help: str
    is_path: bool = False

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return f"EVALWIRE_{self.name.upper()}"


OPTIONS = (
    Option(
        name="experiments",
        key="experiments.dir",
        flag="--experiments",
        parse=_path,
        default=Path("experiments"),
        help="folder of the experiments",
        is_path=True,
    ),
    Option(
        name="names",
        key=None,
        flag="--name",
        parse=_texts,
        default=(),
        help="only these experiments; all when empty",
    ),
    Option(
        name="prefix",
        key="experiments.prefix",
        flag="--prefix",
        parse=_text,
        default="eval",
        help="first part of the experiments' names in Phoenix",
    ),
    Option(
        name="helpers",
        key="experiments.helpers",
        flag=None,
        parse=_texts,
        default=(),
        help="files in experiment folders that are no evaluators (beside helpers.py and _*.py)",
    ),
    Option(
        name="concurrency",
        key="experiments.concurrency",
        flag="--concurrency",
        parse=_count,
        default=1,
        help="experiments in parallel",
    ),
    Option(
        name="task_concurrency",
        key="experiments.task_concurrency",
        flag="--task-concurrency",
        parse=_count,
        default=10,
        help="examples in flight over the whole job",
    ),
    Option(
        name="timeout_seconds",
        key="experiments.timeout_seconds",
        flag="--timeout",
        parse=_number,
        default=300.0,
        help="seconds for one call of a task or an evaluator",
    ),
    Option(
        name="grace_seconds",
        key="experiments.grace_seconds",
        flag=None,
        parse=_number,
        default=8.0,
        help="seconds for what is in flight when the job is interrupted",
    ),
    Option(
        name="endpoint",
        key="phoenix.endpoint",
        flag=None,
        parse=_text,
        default=None,
        help="Phoenix's address, where none of the client's own variables is set",
    ),
    Option(
        name="public_endpoint",
        key="phoenix.public_endpoint",
        flag=None,
        parse=_text,
        default=None,
        help="Phoenix's address in links, where people reach it by another one than this job",
    ),
    Option(
        name="fetch_attempts",
        key="phoenix.fetch_attempts",
        flag="--fetch-attempts",
        parse=_count,
        default=5,
        help="tries to fetch a dataset or create an experiment",
    ),
    Option(
        name="fetch_timeout_seconds",
        key="phoenix.fetch_timeout_seconds",
        flag="--fetch-timeout",
        parse=_number,
        default=120.0,
        help="seconds for all those tries together, waits included",
    ),
    Option(
        name="record_attempts",
        key="phoenix.record_attempts",
        flag=None,
        parse=_count,
        default=8,
        help="tries to record one run or evaluation",
    ),
    Option(
        name="record_timeout_seconds",
        key="phoenix.record_timeout_seconds",
        flag=None,
        parse=_number,
        default=120.0,
        help="seconds for all those tries together, waits included",
    ),
    Option(
        name="record_connections",
        key="phoenix.record_connections",
        flag=None,
        parse=_count,
        default=4,
        help="connections that record at once (a Phoenix on SQLite is fastest at about 4)",
    ),
    Option(
        name="report_dir",
        key="reports.dir",
        flag="--report-dir",
        parse=_path,
        default=Path("test-results"),
        help="folder for results.json",
        is_path=True,
    ),
    Option(
        name="local_dir",
        key="local.dir",
        flag=None,
        parse=_path,
        default=Path(".evalwire"),
        help="folder of the Phoenix that --local starts",
        is_path=True,
    ),
    Option(
        name="csv_path",
        key="dataset.csv_path",
        flag="--csv",
        parse=_path,
        default=None,
        help="testset that `evalwire upload`, and `run --local`, upload",
        is_path=True,
    ),
    Option(
        name="on_exist",
        key="dataset.on_exist",
        flag="--on-exist",
        parse=_one_of("skip", "overwrite", "append"),
        default="skip",
        help="what `evalwire upload` does with a dataset that exists: skip, overwrite, append",
    ),
    Option(
        name="input_keys",
        key="dataset.input_keys",
        flag="--input-keys",
        parse=_texts,
        default=("user_query",),
        help="columns of the testset that become the example's input",
    ),
    Option(
        name="output_keys",
        key="dataset.output_keys",
        flag="--output-keys",
        parse=_texts,
        default=("expected_output",),
        help="columns of the testset that become the expected output",
    ),
    Option(
        name="tag_column",
        key="dataset.tag_column",
        flag="--tag-column",
        parse=_text,
        default="tags",
        help="column that names the datasets a row belongs to",
    ),
    Option(
        name="delimiter",
        key="dataset.delimiter",
        flag="--delimiter",
        parse=_character,
        default="|",
        help="what separates the tags in one cell",
    ),
)

_EXPERIMENT_KEYS = ("helpers", "dataset")  # of an [experiments.NAME] table


@dataclass(frozen=True, slots=True)
class Value:
    """A setting's value and where it came from: `flag`, a variable's or a file's name, or `default`."""

    value: Any
    source: str

    @property
    def is_default(self) -> bool:
        """Whether nobody set it."""
        return self.source == "default"


class Settings:
    """All settings, as attributes: `settings.concurrency`; `settings.source("concurrency")` says where from."""

    def __init__(self, values: Mapping[str, Value], *, experiments: Mapping[str, Mapping[str, Any]]) -> None:
        self._values = dict(values)
        self._experiments = experiments

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name].value
        except KeyError:
            raise AttributeError(name) from None

    def items(self) -> list[tuple[str, Value]]:
        """Every setting, in the order of `OPTIONS`."""
        return list(self._values.items())

    def source(self, name: str) -> str:
        """Where a setting's value came from."""
        return self._values[name].source

    @property
    def configured_experiments(self) -> list[str]:
        """The names of the `[experiments.NAME]` tables."""
        return list(self._experiments)

    @property
    def helpers_by_experiment(self) -> dict[str, Collection[str]]:
        """Helper files: for all experiments under `*`, and by experiment."""
        own = {name: _texts(table["helpers"]) for name, table in self._experiments.items() if "helpers" in table}
        return {"*": self._values["helpers"].value, **own}

    @property
    def dataset_names(self) -> dict[str, str]:
        """Datasets that are not named like their experiment's folder."""
        return {name: table["dataset"] for name, table in self._experiments.items() if "dataset" in table}


def load(
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    *,
    from_env_file: Collection[str] = (),
    config: Path | None = None,
    directory: Path | None = None,
) -> Settings:
    """Settings from flags, then `EVALWIRE_*` variables, then `evalwire.toml`, then defaults.

    Args:
        flags: values of flags by setting name; None where a flag was not given.
        environ: the environment, the `.env` file already merged into it.
        from_env_file: the names that came from that file.
        config: the file to read instead of `./evalwire.toml`; it must exist.
        directory: where `evalwire.toml` is looked for; the working directory by default.

    Raises:
        UsageError: a value that cannot be used, an unknown key, a file that is missing or not TOML.
    """
    file = config or (directory or Path()) / CONFIG_FILE
    if config is not None and not config.is_file():
        raise UsageError(f"the configuration file {config} does not exist.")
    document = read_config(file) if file.is_file() else {}
    tables = {name: table for name, table in document.get("experiments", {}).items() if isinstance(table, dict)}
    values = {}
    for option in OPTIONS:
        value = _value(option, flags, environ, document, file)
        if value.source in from_env_file:
            value = Value(value.value, f"{value.source} in the .env file")
        values[option.name] = value
    _reject_unknown_variables(environ)
    return Settings(values, experiments=tables)


def _value(
    option: Option,
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    document: Mapping[str, Any],
    file: Path,
) -> Value:
    section, _, key = (option.key or "").partition(".")
    raw: Any
    if (raw := flags.get(option.name)) not in (None, []):
        source = "flag"
    elif raw := environ.get(option.variable):
        source = option.variable
    elif key and key in document.get(section, {}):
        raw, source = document[section][key], str(file)
    else:
        return Value(option.default, "default")
    try:
        value = option.parse(raw)
    except ValueError as error:
        place = {"flag": option.flag or option.name, str(file): f"{file}: [{section}] {key}"}.get(source, source)
        raise UsageError(f"{place} = {raw!r}: {error}.") from error
    if option.is_path and source == str(file):
        value = file.parent / value
    return Value(value, source)


def _reject_unknown_variables(environ: Mapping[str, str]) -> None:
    known = {option.variable for option in OPTIONS}
    for name in environ:
        if name.startswith("EVALWIRE_") and name not in known and not name.startswith("EVALWIRE_TEST_"):
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
            if close:  # others may belong to other tools of the same team
                raise UsageError(f"unknown variable {name}. Perhaps you meant {close[0]}.")


def read_config(file: Path) -> dict[str, Any]:
    """Read `evalwire.toml`.

    Raises:
        UsageError: it cannot be read, is not TOML, or has a key that evalwire does not know.
    """
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is not valid TOML: {error}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}.") from error
    sections: dict[str, set[str]] = {}
    for option in OPTIONS:
        if option.key:
            section, _, key = option.key.partition(".")
            sections.setdefault(section, set()).add(key)
    for section, table in document.items():
        _known(section, sections, file, "section")
        if not isinstance(table, dict):
            raise UsageError(f"{file}: `{section}` is a section: write [{section}].")
        for key, value in table.items():
            if section == "experiments" and isinstance(value, dict):
                for own, entry in value.items():
                    _known(own, _EXPERIMENT_KEYS, file, f"key in [experiments.{key}]")
                    _check_own(own, entry, f"{file}: [experiments.{key}] {own}")
            else:
                _known(key, sections[section], file, f"key in [{section}]")
    return document


def _check_own(key: str, value: Any, place: str) -> None:
    try:
        (_texts if key == "helpers" else _text)(value)
    except ValueError as error:
        raise UsageError(f"{place} = {value!r}: {error}.") from error


def _known(name: str, known: Collection[str], file: Path, what: str) -> None:
    if name in known:
        return
    close = difflib.get_close_matches(name, known, n=1)
    advice = f"Perhaps you meant {close[0]!r}." if close else f"Known: {', '.join(sorted(known))}."
    raise UsageError(f"{file}: unknown {what}: {name!r}. {advice}")


# --- the environment -----------------------------------------------------------------------------------


def merge_env_file(environ: Mapping[str, str], file: Path | None, *, directory: Path | None = None) -> dict[str, str]:
    """The variables that `.env` adds to an environment; it never overrides one.

    The names of Phoenix's endpoint are one group, and so are those of its credentials: when the environment
    has any of a group, the file's are left out, so that a `.env` cannot pull a key elsewhere by another name.

    Args:
        environ: the process environment.
        file: the file that was asked for by name; None for `.env` in `directory`, if there is one.
        directory: the working directory by default.

    Raises:
        UsageError: the file that was asked for does not exist, or cannot be read.
    """
    if file is not None and not file.is_file():
        raise UsageError(f"the environment file {file} does not exist.")
    path = file or (directory or Path()) / ENV_FILE
    if not path.is_file():
        return {}
    try:
        entries = dotenv_values(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from error
    added = {name: value for name, value in entries.items() if value is not None and name not in environ}
    for group in ((*ENDPOINT_VARIABLES, "EVALWIRE_ENDPOINT"), CREDENTIAL_VARIABLES):
        if any(environ.get(name, "").strip() for name in group):
            added = {name: value for name, value in added.items() if name not in group}
    return added


def api_key_from_file(environ: Mapping[str, str]) -> str | None:
    """The key in the file that `PHOENIX_API_KEY_FILE` names (a mounted secret); None when it names none.

    Raises:
        UsageError: the file cannot be read or is empty, or `PHOENIX_API_KEY` is set as well.
    """
    name = environ.get("PHOENIX_API_KEY_FILE", "").strip()
    if not name:
        return None
    if environ.get("PHOENIX_API_KEY", "").strip():
        raise UsageError("PHOENIX_API_KEY and PHOENIX_API_KEY_FILE are both set; set one of them.")
    try:
        key = Path(name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"PHOENIX_API_KEY_FILE: {name} cannot be read: {error}.") from error
    if not key:
        raise UsageError(f"PHOENIX_API_KEY_FILE: {name} is empty.")
    return key
