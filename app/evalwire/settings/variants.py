"""Read the variants of an experiment, and check which environment variables they may set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalwire.errors import UsageError
from evalwire.model import DEFAULT_VARIANT, Variant
from evalwire.settings.known_keys import experiment_table, require_known

if TYPE_CHECKING:
    from evalwire.masking import SecretRules

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_REFUSED = {
    "PHOENIX_": "all variants of a job use the same Phoenix server. Set it for the whole job",
    "EVALWIRE_": "all variants of a job have the same settings. Set it for the whole job",
    "PYTHON": "Python reads it at its start, before the environment of a variant is set. Set it for the whole job",
}


def read_variants(directory: str, table: Any, file: Path, rules: SecretRules) -> dict[str, Variant]:
    """Return the variants of `[experiments.NAME.variants]`, by name.

    Args:
        directory: the name of the experiment's directory.
        table: the value of the key `variants`.
        file: the settings file, for messages.
        rules: the rules that identify variables with secrets.

    Raises:
        UsageError: a variant has an invalid name or key, or sets a variable that it may not set.
    """
    place = f"{experiment_table(directory)}.variants"
    if not isinstance(table, Mapping):
        raise UsageError(f"{file}: [{place[:-9]}] variants = {table!r}: expected tables: write [{place}.fast].")
    found = {}
    for name, entry in table.items():
        env = _read_variables(name, entry, f"{place}.{name}", file)
        for variable, value in env.items():
            _check_variable(variable, value, f"{file}: [{place}.{name}] env", rules)
        found[name] = Variant(name=name, directory=directory, env=dict(env))
    return found


def _read_variables(name: str, entry: Any, place: str, file: Path) -> Mapping[str, Any]:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{file}: [{place}]: {name!r} cannot name a variant. Use letters, digits, `-`, `_` and `.`, and begin with "
            "a letter or a digit."
        )
    if name == DEFAULT_VARIANT:
        raise UsageError(
            f"{file}: [{place}]: {name!r} is the experiment without the variables of a variant. Use another name."
        )
    if not isinstance(entry, Mapping) or not entry:
        raise UsageError(f'{file}: [{place}]: expected the variables of the variant: env = {{ MODEL = "..." }}.')
    for key in entry:
        require_known(key, ("env",), file, f"key in [{place}]")
    env = entry["env"]
    if not isinstance(env, Mapping) or not env:
        raise UsageError(f'{file}: [{place}] env = {env!r}: expected variables, such as {{ MODEL = "..." }}.')
    return env


def _check_variable(name: str, value: Any, place: str, rules: SecretRules) -> None:
    """Check that a variant may set a variable: its value is written to Phoenix and to reports.

    Raises:
        UsageError: it may not, or the value is not a string.
    """
    if not _VARIABLE.fullmatch(name):
        raise UsageError(f"{place}: {name!r} is not the name of an environment variable.")
    if reason := next((why for prefix, why in _REFUSED.items() if name.startswith(prefix)), None):
        raise UsageError(f"{place}: a variant cannot set {name}, because {reason}.")
    if rules.is_secret(name) or (isinstance(value, str) and rules.secrets_in({name: value})):
        raise UsageError(
            f"{place}: a variant cannot set {name}, because it contains a secret, and the variables of a variant are "
            "shown in Phoenix and in reports. Set the secret for the whole job. If the value is not a secret, list the "
            "variable in not_secrets under [masking]."
        )
    if not isinstance(value, str) or "\0" in value:
        raise UsageError(f"{place}: {name} = {value!r}: expected a string.")
