"""Settings: found by one precedence, each remembering where its value came from."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalwire.errors import UsageError
from evalwire.gates import GateConfig
from evalwire.gates import read_gates as read_thresholds
from evalwire.model import Price
from evalwire.settings.options import OPTIONS, Option, as_text, as_texts, one_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

CONFIG_FILE = "evalwire.toml"

# keys of [gates] that are settings, and no limits
_GATE_OPTIONS = [option.key.removeprefix("gates.") for option in OPTIONS if option.key and option.key[:6] == "gates."]

# of an [experiments.NAME] table
_OWN_KEYS: dict[str, Callable[[Any], Any]] = {"helpers": as_texts, "dataset": as_text, "isolate": one_of("thread")}


@dataclass(frozen=True, slots=True)
class Value:
    """A setting's value and where it came from: `flag`, a variable's or a file's name, or `default`."""

    value: Any
    source: str


class Settings:
    """All settings, as attributes: `settings.concurrency`; `settings.source("concurrency")` says where from."""

    def __init__(
        self,
        values: Mapping[str, Value],
        *,
        experiments: Mapping[str, Mapping[str, Any]],
        thresholds: GateConfig,
        prices: Mapping[str, Price],
    ) -> None:
        self._values = dict(values)
        self._experiments = experiments
        self.thresholds = thresholds
        self.prices = prices

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
        own = {name: as_texts(table["helpers"]) for name, table in self._experiments.items() if "helpers" in table}
        return {"*": self._values["helpers"].value, **own}

    @property
    def dataset_names(self) -> dict[str, str]:
        """Datasets that are not named like their experiment's folder."""
        return {name: table["dataset"] for name, table in self._experiments.items() if "dataset" in table}

    @property
    def isolated_experiments(self) -> list[str]:
        """Experiments whose async functions run each on a thread of their own."""
        return [name for name, table in self._experiments.items() if "isolate" in table]


def load_settings(
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
    gates = {key: value for key, value in document.get("gates", {}).items() if key not in _GATE_OPTIONS}
    asked = read_thresholds(gates, file=str(file)).with_flags(values["gate"].value, source=_shown(values["gate"]))
    return Settings(values, experiments=tables, thresholds=asked, prices=_prices(document.get("prices", {}), file))


def _shown(value: Value) -> str:
    return "--gate" if value.source == "flag" else value.source


def _prices(table: Mapping[str, Any], file: Path) -> dict[str, Price]:
    """The `[prices]` of models, in US dollars per million tokens."""
    found = {}
    for model, price in table.items():
        place = f"{file}: [prices.{model!r}]"
        if not isinstance(price, dict):
            raise UsageError(f"{place}: expected a table such as {{ input = 2.5, output = 10.0 }}.")
        for key, value in price.items():
            _known(key, ("input", "output"), file, f"key in [prices.{model!r}]")
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not 0 <= value < float("inf"):
                raise UsageError(f"{place} {key} = {value!r}: expected US dollars per million tokens.")
        if len(price) < 2:  # noqa: PLR2004 - both of them
            raise UsageError(f"{place}: expected both, input and output, in US dollars per million tokens.")
        found[model] = Price(input=float(price["input"]), output=float(price["output"]))
    return found


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
        beside = file.parent / value
        value = value if option.is_read and value.exists() and not beside.exists() else beside
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
        _known(section, {*sections, "prices"}, file, "section")
        if not isinstance(table, dict):
            raise UsageError(f"{file}: `{section}` is a section: write [{section}].")
        if section not in ("gates", "prices"):  # keys there are names of the user's; see `load`
            _check_keys(section, table, sections[section], file)
    return document


def _check_keys(section: str, table: Mapping[str, Any], known: Collection[str], file: Path) -> None:
    for key, value in table.items():
        if section == "experiments" and isinstance(value, dict):
            for own, entry in value.items():
                _known(own, _OWN_KEYS, file, f"key in [experiments.{key}]")
                _check_own(own, entry, f"{file}: [experiments.{key}] {own}")
        else:
            _known(key, known, file, f"key in [{section}]")


def _check_own(key: str, value: Any, place: str) -> None:
    try:
        _OWN_KEYS[key](value)
    except ValueError as error:
        raise UsageError(f"{place} = {value!r}: {error}.") from error


def _known(name: str, known: Collection[str], file: Path, what: str) -> None:
    if name in known:
        return
    close = difflib.get_close_matches(name, known, n=1)
    advice = f"Perhaps you meant {close[0]!r}." if close else f"Known: {', '.join(sorted(known))}."
    raise UsageError(f"{file}: unknown {what}: {name!r}. {advice}")
