"""Declare one setting: its places, its parser, its help."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from evalwire.settings.parsers import PATH, Parser

T = TypeVar("T")

# The panels of the help, in their order.
WHAT, HOW, JUDGED, SHOWN, TESTSET = "Experiments", "Limits and retries", "Gates", "Output", "Testset"
PANELS = (WHAT, TESTSET, HOW, JUDGED, SHOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """The declaration of a setting.

    Attributes:
        parser: checks and converts a value.
        default: the value when nobody sets it.
        help: a sentence for the help, the documentation and the schema, without the default.
        name: the name in the program, which is the name of the field.
        key: the place in `evalwire.toml`, as `section.key`; None when it cannot be set there.
        flag: the flag on the command line; None for none.
        metavar: the word for the value in the help, where that of the parser says too little.
        panel: the panel of the help that the flag is in.
        is_repeatable: whether the flag can be given several times.
        is_read: whether the path is also looked for in the working directory, as 0.6 did.
    """

    parser: Parser[Any]
    default: Any
    help: str
    name: str = ""
    key: str | None = None
    flag: str | None = None
    metavar: str = ""
    panel: str = WHAT
    is_repeatable: bool = False
    is_read: bool = False

    @property
    def is_path(self) -> bool:
        """True if a relative value in `evalwire.toml` is relative to that file."""
        return self.parser is PATH

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"EVALWIRE_{self.name.upper()}"

    @property
    def section(self) -> str:
        """The section of `evalwire.toml`; empty when it cannot be set there."""
        return (self.key or "").partition(".")[0]

    @property
    def default_text(self) -> str:
        """The default as it is written in a flag or a variable; empty for none."""
        if isinstance(self.default, tuple):
            return ",".join(self.default)
        if isinstance(self.default, float):
            return f"{self.default:g}"
        return "" if self.default is None else str(self.default)


def option(
    parser: Parser[T],
    help: str,  # noqa: A002 - the word of every command-line library
    *,
    default: T,
    key: str | None = None,
    flag: str | None = None,
    metavar: str = "",
    panel: str = WHAT,
    is_repeatable: bool = False,
    is_read: bool = False,
) -> T:
    """Declare a setting as a field of a dataclass; mypy sees its type."""
    declared: Any = field(
        default=default,
        metadata={
            "option": Option(
                parser=parser,
                default=default,
                help=help,
                key=key,
                flag=flag,
                metavar=metavar or parser.metavar,
                panel=panel,
                is_repeatable=is_repeatable,
                is_read=is_read,
            )
        },
    )
    return declared  # type: ignore[no-any-return]


def options_of(table: type) -> tuple[Option, ...]:
    """Return the declarations in a dataclass, in the order of its fields."""
    return tuple(replace(one.metadata["option"], name=one.name) for one in fields(table) if "option" in one.metadata)
