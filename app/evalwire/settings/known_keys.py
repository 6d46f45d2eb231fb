"""Check keys and variables: misspelled names are errors, and names of other programs are ignored with a note."""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Any

from evalwire.errors import UsageError
from evalwire.settings.settings import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

_PREFIX = "EVALWIRE_"

_OTHER_PARTS = ("EVALWIRE_OVERLAY", "EVALWIRE_REQUIREMENTS", "EVALWIRE_REQUIRE_IMAGE_TESTS", "EVALWIRE_TEST_PHOENIX")

_JUDGED = re.compile(
    "gate|limit|threshold|min|max|assert|criteri|check|pass|fail|score|quality|baseline|require", re.IGNORECASE
)

KEYS: dict[str, list[str]] = {}
for _option in OPTIONS:
    if _option.key:
        KEYS.setdefault(_option.section, []).append(_option.key.partition(".")[2])


def notes_on_keys(document: Mapping[str, Any], file: Path) -> Iterator[str]:
    """Check the sections and keys of `evalwire.toml`, and yield a note for each ignored section or key.

    Raises:
        UsageError: a name is misspelled, in the wrong section, or possibly meant as a gate.
    """
    for section, table in document.items():
        if section not in KEYS and section != "prices":
            yield _note_on_section(section, table, file)
        elif not isinstance(table, dict):
            raise UsageError(f"{file}: `{section}` is a section: write [{section}].")
        elif section == "phoenix":
            yield from _notes_on_phoenix(table, file)
        elif section not in ("gates", "prices"):  # their keys are checked where their tables are read
            _check_section(section, table, file)


def _check_section(section: str, table: Mapping[str, Any], file: Path) -> None:
    for key, value in table.items():
        is_table = section == "experiments" and isinstance(value, dict)
        if is_table and key in KEYS[section]:
            raise UsageError(
                f"{file}: [experiments] {key} = {value!r}: {key} is a setting, not an experiment.\n"
                f"For an experiment with this name, write [{experiment_table(key)}]."
            )
        if not is_table:
            require_known(key, KEYS[section], file, f"key in [{section}]")


def _note_on_section(section: str, table: Any, file: Path) -> str:
    known = [*KEYS, "prices"]
    words = [section, *(table if isinstance(table, dict) else ())]
    if not isinstance(table, dict) or _near(section, known) or any(map(_JUDGED.search, words)):
        require_known(section, known, file, "section")
    return f"{file}: [{section}] is not a section of evalwire and is ignored."


def _notes_on_phoenix(table: Mapping[str, Any], file: Path) -> Iterator[str]:
    """Yield a note for each key of `[phoenix]` that 0.6 accepted without using and that is ignored now."""
    for key in table:
        if key == "base_url":
            use = "is ignored because endpoint is set" if "endpoint" in table else "is read as endpoint"
            yield f"{file}: [phoenix] base_url {use}."
        elif key not in KEYS["phoenix"]:
            if _near(key, KEYS["phoenix"], cutoff=0.75):
                require_known(key, KEYS["phoenix"], file, "key in [phoenix]")
            yield f"{file}: [phoenix] {key} is not a setting of evalwire and is ignored."


def notes_on_variables(environ: Mapping[str, str]) -> Iterator[str]:
    """Check the variables that start with `EVALWIRE_`, and yield a note for each that is not a setting.

    Raises:
        UsageError: a variable's name resembles a setting or a flag.
    """
    known = {option.variable.removeprefix(_PREFIX): option.variable for option in OPTIONS}
    flags = {option.flag.lstrip("-").replace("-", "_").upper(): option.variable for option in OPTIONS if option.flag}
    names = {**flags, **known}
    for variable in environ:
        if not variable.startswith(_PREFIX) or variable in (*known.values(), *_OTHER_PARTS):
            continue
        if close := _near(variable.removeprefix(_PREFIX), names, cutoff=0.8):
            raise UsageError(f"unknown variable {variable}. Perhaps you meant {names[close]}.")
        yield f"{variable} is not a setting of evalwire and is ignored."


def experiment_table(name: str) -> str:
    """Return the name of an experiment's table in `evalwire.toml`, with `./` before a name that is also a setting."""
    key = f"./{name}" if name in KEYS["experiments"] else name
    return f"experiments.{key}" if re.fullmatch(r"[A-Za-z0-9_-]+", key) else f"experiments.{json.dumps(key)}"


def require_known(name: str, known: Collection[str], file: Path, what: str) -> None:
    """Check that a key is known.

    Raises:
        UsageError: the key is unknown.
    """
    if name in known:
        return
    close = _near(name, known)
    advice = f"Perhaps you meant {close!r}." if close else f"Known: {', '.join(sorted(known))}."
    raise UsageError(f"{file}: unknown {what}: {name!r}. {advice}")


def _near(name: str, known: Collection[str], *, cutoff: float = 0.6) -> str | None:
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=cutoff)), None)
