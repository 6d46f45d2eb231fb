"""Load settings in order of precedence: flag, variable, file, default."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalwire.errors import UsageError
from evalwire.gates import GateConfig, read_gates
from evalwire.masking import SecretRules
from evalwire.model import Price
from evalwire.settings.experiment_settings import ExperimentTable, Value
from evalwire.settings.gate_lines import with_lines
from evalwire.settings.known_keys import KEYS, experiment_table, notes_on_keys, notes_on_variables, require_known
from evalwire.settings.settings import EXPERIMENT_OPTIONS, OPTIONS, Settings
from evalwire.settings.text_files import parse_toml, read_text, read_toml
from evalwire.settings.unread import is_there, reject_ignored_gates
from evalwire.settings.variants import read_variants

if TYPE_CHECKING:
    from evalwire.gates import GateTable
    from evalwire.settings.options import Option

CONFIG_FILE = "evalwire.toml"

_BY_NAME = {option.name: option for option in OPTIONS}


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
        flags: the values of flags by setting name; None for a flag that was not given. Commands that select
            experiments include the key `experiments`. For these commands, gates in an ignored file are an error.
        environ: the environment, merged with the `.env` file.
        from_env_file: the names of the variables from the `.env` file.
        config: the file to read instead of `./evalwire.toml`; it must exist.
        directory: the directory of `evalwire.toml`; the working directory by default.

    Raises:
        UsageError: a value or a key is invalid, the file is missing or not valid TOML, or gates in another file would
            be ignored.
    """
    file = config or (directory or Path()) / CONFIG_FILE
    if config is not None and not config.is_file():
        raise UsageError(f"the configuration file {config} does not exist.")
    text = read_text(file) if is_there(file) else ""
    written = parse_toml(text, file)
    notes = [*notes_on_keys(written, file), *notes_on_variables(environ)]
    document = _with_endpoint(written)
    values, sources = {}, {}
    for option in OPTIONS:
        value = _value(option, flags, environ, document, file)
        values[option.name] = value.value
        where = " in the .env file" if value.source in from_env_file else ""
        sources[option.name] = f"{value.source}{where}"
    if config is None and "experiments" in flags:
        reject_ignored_gates(values["experiments"], file)
    rules = SecretRules(named=frozenset(values["secrets"]), excepted=frozenset(values["not_secrets"]))
    tables, gates = _experiment_tables(document.get("experiments", {}), file, rules)
    everywhere = {key: value for key, value in document.get("gates", {}).items() if key not in KEYS["gates"]}
    asked = with_lines(GateConfig(everywhere=read_gates(everywhere, f"{file}: [gates]"), experiments=gates), file, text)
    flag = "--gate" if sources["gate"] == "flag" else sources["gate"]
    return Settings(
        **values,
        sources=sources,
        tables=tables,
        thresholds=asked.with_flags(values["gate"], source=flag),
        prices=_prices(document.get("prices", {}), file),
        notes=notes,
    )


def gate_settings(gates: Mapping[str, Any] | Sequence[str], experiments: Path) -> Settings:
    """Return settings with the gates of a script.

    Args:
        gates: texts as of `--gate`, or a table as `[gates]`.
        experiments: the directory of the experiments.

    Raises:
        UsageError: a gate or a key is invalid.
    """
    if not isinstance(gates, Mapping):
        texts = _parse(_BY_NAME["gate"], gates, "gates")
        return Settings(experiments=experiments, gate=texts, thresholds=GateConfig().with_flags(texts, source="gates"))
    values = {key: _parse(_BY_NAME[key], gates[key], f"gates: [gates] {key}") for key in KEYS["gates"] if key in gates}
    table = read_gates({key: value for key, value in gates.items() if key not in values}, "gates: [gates]")
    return Settings(experiments=experiments, thresholds=GateConfig(everywhere=table), **values)


def _with_endpoint(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the configuration with `[phoenix] base_url`, the key of 0.6, as the endpoint."""
    phoenix = document.get("phoenix", {})
    if "base_url" not in phoenix or "endpoint" in phoenix:
        return document
    return {**document, "phoenix": {**phoenix, "endpoint": phoenix["base_url"]}}


def parse_option(name: str, value: Any) -> Any:
    """Return a setting's value, checked and converted like the value of a flag.

    Raises:
        UsageError: the value is invalid.
    """
    return _parse(_BY_NAME[name], value, name)


def _parse(option: Option, value: Any, place: str) -> Any:
    try:
        return option.parser.parse(value)
    except ValueError as error:
        raise UsageError(f"{place} = {value!r}: {str(error).removesuffix('.')}.") from error


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
        from_file = file.parent / value
        value = value if option.is_read and value.exists() and not from_file.exists() else from_file
    return Value(value, str(file))


def _experiment_tables(
    section: Mapping[str, Any], file: Path, rules: SecretRules
) -> tuple[dict[str, ExperimentTable], dict[str, GateTable]]:
    """Return the `[experiments.NAME]` tables and their gates, by experiment."""
    known = {option.name: option for option in EXPERIMENT_OPTIONS}
    tables, gates = {}, {}
    for written, table in section.items():
        if not isinstance(table, dict):
            continue
        name = written.removeprefix("./")
        place = experiment_table(name)
        values: dict[str, Any] = {}
        for key, value in table.items():
            require_known(key, [*known, "gates", "variants"], file, f"key in [{place}]")
            if key == "variants":
                values[key] = read_variants(name, value, file, rules)
            elif key != "gates":
                values[key] = _parse(known[key], value, f"{file}: [{place}] {key}")
            elif isinstance(value, dict):
                gates[name] = read_gates(value, f"{file}: [{place}.gates]", is_of_experiment=True)
            else:
                raise UsageError(f"{file}: [{place}] gates = {value!r}: expected a table: write [{place}.gates].")
        tables[name] = ExperimentTable(**values)
    return tables, gates


def _prices(table: Mapping[str, Any], file: Path) -> dict[str, Price]:
    """Return the `[prices]` of models, in USD per million tokens."""
    found = {}
    for model, price in table.items():
        place = f"{file}: [prices.{model!r}]"
        if not isinstance(price, dict):
            raise UsageError(f"{place}: expected a table such as {{ input = 2.5, output = 10.0 }}.")
        for key, value in price.items():
            require_known(key, ("input", "output"), file, f"key in [prices.{model!r}]")
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not 0 <= value < float("inf"):
                raise UsageError(f"{place} {key} = {value!r}: expected USD per million tokens.")
        if len(price) < 2:  # noqa: PLR2004 - input and output
            raise UsageError(f"{place}: expected both input and output, in USD per million tokens.")
        found[model] = Price(input=float(price["input"]), output=float(price["output"]))
    return found


def read_config(file: Path) -> dict[str, Any]:
    """Read `evalwire.toml`.

    Raises:
        UsageError: the file cannot be read, is not valid TOML, or has an unknown key.
    """
    document = read_toml(file)
    list(notes_on_keys(document, file))
    return document
