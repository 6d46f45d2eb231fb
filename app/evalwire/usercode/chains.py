"""Traversal of exception chains, independent of attributes that the exceptions' classes override."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_SLOTS: dict[str, Any] = {
    name: BaseException.__dict__[name] for name in ("__cause__", "__context__", "__suppress_context__", "__traceback__")
}
_MEMBERS: Any = BaseExceptionGroup.__dict__["exceptions"]


def links(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, its causes and contexts, and members of groups, each once: an error may be its own cause."""
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        link = left.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        left += [cause_of(link), None if slot(link, "__suppress_context__") else slot(link, "__context__")]
        left += _MEMBERS.__get__(link) if issubclass(type(link), BaseExceptionGroup) else ()


def cause_of(error: BaseException) -> BaseException | None:
    """Return the exception from which another was raised."""
    cause: BaseException | None = slot(error, "__cause__")
    return cause


def slot(error: BaseException, name: str) -> Any:
    """Return an attribute that Python itself stores with an exception, for example `__traceback__`."""
    return _SLOTS[name].__get__(error)


def name_of(type_: type) -> str:
    """Return the real name of a class, independent of its metaclass."""
    name: str = type.__dict__["__name__"].__get__(type_)
    return name


def has_own_attributes(error: BaseException) -> bool:
    """Check whether a class in the error's chain overrides the attributes that Python stores with exceptions."""
    return any(
        name in vars(base)
        for link in links(error)
        for base in type(link).__mro__
        if base not in (BaseException, BaseExceptionGroup, object)
        for name in (*_SLOTS, "exceptions", "__getattribute__")
        if not (name == "__getattribute__" and base.__module__ == "builtins")
    )
