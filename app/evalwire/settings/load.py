"""Find every setting by one precedence: flag, variable, file, default."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalwire.errors import UsageError
from evalwire.gates import GateConfig, read_gates
from evalwire.model import Price
from evalwire.settings.settings import EXPERIMENT_OPTIONS, OPTIONS, ExperimentTable, Settings, Value
from evalwire.settings.text_files import read_toml
from evalwire.settings.unread import is_there, reject_ignored_gates

if TYPE_CHECKING:
    from evalwire.gates import GateTable
    from evalwire.settings.options import Option

CONFIG_FILE = "evalwire.toml"

_BY_NAME = {option.name: option for option in OPTIONS}
_KEYS: dict[str, list[str]] = {}
for _option in OPTIONS:
    if _option.key:
        _KEYS.setdefault(_option.section, []).append(_option.key.partition(".")[2])


def load_settings(
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    *,
    from_env_file: Collection[str] = (),
    config: Path | None = None,
    directory: Path | None = None,
) -> Settings:
    """Return settings from flags, then `EVALWIRE_*` variables, then `evalwire.toml`, then defaults.

    Args:
        flags: values of flags by setting name; None where a flag was not given. A command that selects experiments has
            `experiments` among them, and is refused where gates beside these would be ignored.
        environ: the environment, the `.env` file already merged into it.
        from_env_file: the names that came from that file.
        config: the file to read instead of `./evalwire.toml`; it must exist.
        directory: where `evalwire.toml` is looked for; the working directory by default.

    Raises:
        UsageError: a value that cannot be used, an unknown key, a file that is missing or not TOML, or gates in another
            file that would be ignored.
    """
    file = config or (directory or Path()) / CONFIG_FILE
    if config is not None and not config.is_file():
        raise UsageError(f"the configuration file {config} does not exist.")
    document = read_config(file) if is_there(file) else {}
    values, sources = {}, {}
    for option in OPTIONS:
        value = _value(option, flags, environ, document, file)
        values[option.name] = value.value
        where = " in the .env file" if value.source in from_env_file else ""
        sources[option.name] = f"{value.source}{where}"
    _reject_unknown_variables(environ)
    if config is None and "experiments" in flags:
        reject_ignored_gates(values["experiments"], file)
    tables, gates = _experiment_tables(document.get("experiments", {}), file)
    everywhere = {key: value for key, value in document.get("gates", {}).items() if key not in _KEYS["gates"]}
    asked = GateConfig(everywhere=read_gates(everywhere, f"{file}: [gates]"), experiments=gates)
    flag = "--gate" if sources["gate"] == "flag" else sources["gate"]
    return Settings(
        **values,
        sources=sources,
        tables=tables,
        thresholds=asked.with_flags(values["gate"], source=flag),
        prices=_prices(document.get("prices", {}), file),
    )


def parse_option(name: str, value: Any) -> Any:
    """Return a setting's value, checked and converted as it is in a flag or a file.

    Raises:
        UsageError: the value cannot be used.
    """
    return _parse(_BY_NAME[name], value, name)


def _parse(option: Option, value: Any, place: str) -> Any:
    try:
        return option.parser.parse(value)
    except ValueError as error:
        raise UsageError(f"{place} = {value!r}: {error}.") from error


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
        return Value(_parse(option, raw, option.flag or option.name), "flag")
    if raw := environ.get(option.variable):
        return Value(_parse(option, raw, option.variable), option.variable)
    if not key or key not in document.get(section, {}):
        return Value(option.default, "default")
    value = _parse(option, document[section][key], f"{file}: [{section}] {key}")
    if option.is_path:
        beside = file.parent / value
        value = value if option.is_read and value.exists() and not beside.exists() else beside
    return Value(value, str(file))


def experiment_table(name: str) -> str:
    """Return the name of an experiment's table in `evalwire.toml`; that of a setting needs another form."""
    key = f"./{name}" if name in _KEYS["experiments"] else name
    return f"experiments.{key}" if re.fullmatch(r"[A-Za-z0-9_-]+", key) else f"experiments.{json.dumps(key)}"


def _experiment_tables(
    section: Mapping[str, Any], file: Path
) -> tuple[dict[str, ExperimentTable], dict[str, GateTable]]:
    """Return the `[experiments.NAME]` tables, and the gates in them, by experiment."""
    known = {option.name: option for option in EXPERIMENT_OPTIONS}
    tables, gates = {}, {}
    for written, table in section.items():
        if not isinstance(table, dict):
            continue
        name = written.removeprefix("./")
        place = experiment_table(name)
        values = {}
        for key, value in table.items():
            _require_known(key, [*known, "gates"], file, f"key in [{place}]")
            if key != "gates":
                values[key] = _parse(known[key], value, f"{file}: [{place}] {key}")
            elif isinstance(value, dict):
                gates[name] = read_gates(value, f"{file}: [{place}.gates]", is_of_one=True)
            else:
                raise UsageError(f"{file}: [{place}] gates = {value!r}: expected a table: write [{place}.gates].")
        tables[name] = ExperimentTable(**values)
    return tables, gates


def _prices(table: Mapping[str, Any], file: Path) -> dict[str, Price]:
    """Return the `[prices]` of models, in US dollars per million tokens."""
    found = {}
    for model, price in table.items():
        place = f"{file}: [prices.{model!r}]"
        if not isinstance(price, dict):
            raise UsageError(f"{place}: expected a table such as {{ input = 2.5, output = 10.0 }}.")
        for key, value in price.items():
            _require_known(key, ("input", "output"), file, f"key in [prices.{model!r}]")
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not 0 <= value < float("inf"):
                raise UsageError(f"{place} {key} = {value!r}: expected US dollars per million tokens.")
        if len(price) < 2:  # noqa: PLR2004 - both of them
            raise UsageError(f"{place}: expected both, input and output, in US dollars per million tokens.")
        found[model] = Price(input=float(price["input"]), output=float(price["output"]))
    return found


def _reject_unknown_variables(environ: Mapping[str, str]) -> None:
    known = [option.variable for option in OPTIONS]
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
    document = read_toml(file)
    for section, table in document.items():
        _require_known(section, [*_KEYS, "prices"], file, "section")
        if not isinstance(table, dict):
            raise UsageError(f"{file}: `{section}` is a section: write [{section}].")
        if section in ("gates", "prices"):  # their keys are checked where their tables are read
            continue
        for key, value in table.items():
            is_table = section == "experiments" and isinstance(value, dict)
            if is_table and key in _KEYS[section]:
                raise UsageError(
                    f"{file}: [experiments] {key} = {value!r}: this is a setting, not an experiment.\n"
                    f"For an experiment of this name, write [{experiment_table(key)}]."
                )
            if not is_table:
                _require_known(key, _KEYS[section], file, f"key in [{section}]")
    return document


def _require_known(name: str, known: Collection[str], file: Path, what: str) -> None:
    if name in known:
        return
    close = difflib.get_close_matches(name, known, n=1)
    advice = f"Perhaps you meant {close[0]!r}." if close else f"Known: {', '.join(sorted(known))}."
    raise UsageError(f"{file}: unknown {what}: {name!r}. {advice}")
