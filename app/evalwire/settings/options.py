"""The declaration of a setting: name, sources, parser and help."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from evalwire.settings.parsers import PATH, SWITCH, Parser

T = TypeVar("T")

# The panels of the help, in order.
SCOPE, LIMITS, GATING, OUTPUT, TESTSET = (
    "Experiments",
    "Limits and retries",
    "Gates",
    "Output",
    "Testset",
)
PANELS = (SCOPE, TESTSET, LIMITS, GATING, OUTPUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """The declaration of a setting.

    Attributes:
        parser: the parser of the value.
        default: the value if the setting is not set.
        help: the text for the help, the documentation and the schema, without the default.
        name: the name of the field in `Settings`.
        key: the key in `evalwire.toml`, as `section.key`; None if the file cannot set it.
        flag: the command-line flag; None without a flag.
        metavar: the placeholder for the value in the help; the parser's by default.
        panel: the help panel that shows the flag.
        is_repeatable: whether the flag can be given several times.
        is_read: whether the path is also searched for in the working directory, as in 0.6.
    """

    parser: Parser[Any]
    default: Any
    help: str
    name: str = ""
    key: str | None = None
    flag: str | None = None
    metavar: str = ""
    panel: str = SCOPE
    is_repeatable: bool = False
    is_read: bool = False

    @property
    def is_path(self) -> bool:
        """True if a relative path in `evalwire.toml` is relative to that file."""
        return self.parser is PATH

    @property
    def is_switch(self) -> bool:
        """True if the flag has no value, and a second flag for the opposite."""
        return self.parser is SWITCH

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"EVALWIRE_{self.name.upper()}"

    @property
    def section(self) -> str:
        """The section of `evalwire.toml`; empty if the file cannot set the option."""
        return (self.key or "").partition(".")[0]

    @property
    def default_text(self) -> str:
        """The default as text for a flag or a variable; empty without a default."""
        if isinstance(self.default, tuple):
            return ",".join(self.default)
        if isinstance(self.default, float):
            return f"{self.default:g}"
        return "" if self.default is None or self.is_switch else str(self.default)


def option(
    parser: Parser[T],
    help: str,  # noqa: A002 - the name that command-line libraries use
    *,
    default: T,
    key: str | None = None,
    flag: str | None = None,
    metavar: str = "",
    panel: str = SCOPE,
    is_repeatable: bool = False,
    is_read: bool = False,
) -> T:
    """Declare a setting as a dataclass field; mypy infers the type from the default."""
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
    return tuple(
        replace(entry.metadata["option"], name=entry.name) for entry in fields(table) if "option" in entry.metadata
    )
