"""Readers for a project's text files, written by editors on any system."""

from __future__ import annotations

import codecs
import io
import re
import tomllib
from typing import TYPE_CHECKING, Any

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from evalwire.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

_NAME = re.compile(r"[\w.()-]+")


def read_text(file: Path) -> str:
    """Return the text of a UTF-8 file, with or without a byte order mark.

    Raises:
        UsageError: the file cannot be read, or has another encoding.
    """
    try:
        content = file.read_bytes()
        if content.startswith(_UTF_16) or b"\0" in content[:2]:
            raise UsageError(f"{file} is in UTF-16. Save it as UTF-8.")
        return content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}.") from error


def read_toml(file: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises:
        UsageError: the file cannot be read, or is not valid TOML.
    """
    return parse_toml(read_text(file), file)


def parse_toml(text: str, file: Path) -> dict[str, Any]:
    """Return the content of a TOML file with this text.

    Raises:
        UsageError: the text is not valid TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is not valid TOML: {error}.") from error


def read_env_file(file: Path) -> dict[str, str]:
    """Return the variables of a `.env` file.

    Raises:
        UsageError: the file cannot be read, or a line does not set a variable, so that a gate in it would be missing.
            The message omits the line's text, which may be a secret.
    """
    text = read_text(file)
    for binding in parse_stream(io.StringIO(text)):
        if problem := _problem(binding.key, binding.value, is_error=binding.error):
            written = binding.original.string
            line = binding.original.line + written[: len(written) - len(written.lstrip())].count("\n")
            raise UsageError(f"{file}: line {line} {problem}. Write NAME=value, and quote multi-line values.")
    return {name: value for name, value in dotenv_values(stream=io.StringIO(text)).items() if value is not None}


def _problem(key: str | None, value: str | None, *, is_error: bool) -> str:
    if is_error:
        return "does not set a variable, or has an unclosed quote"
    if key is None:  # blank, or a comment
        return ""
    if _NAME.fullmatch(key) is None:
        return "has an invalid variable name"
    if value is None and key.startswith("EVALWIRE_"):
        return f"sets {key} without a value"
    return "contains a NUL character" if "\0" in (value or "") else ""
