"""Follow an exception to what led to it, past whatever its class makes of its attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_SLOTS: dict[str, Any] = {
    name: BaseException.__dict__[name] for name in ("__cause__", "__context__", "__suppress_context__", "__traceback__")
}
_MEMBERS: Any = BaseExceptionGroup.__dict__["exceptions"]


def links(error: BaseException) -> Iterator[BaseException]:
    """Give the error, the members of a group, and all that led to it, each once: an error may be its own cause."""
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
    """Return what an exception was raised from."""
    cause: BaseException | None = slot(error, "__cause__")
    return cause


def slot(error: BaseException, name: str) -> Any:
    """Return what Python itself keeps with an exception, such as its `__traceback__`."""
    return _SLOTS[name].__get__(error)


def name_of(type_: type) -> str:
    """Return the name of a class, whatever its metaclass says."""
    name: str = type.__dict__["__name__"].__get__(type_)
    return name


def has_own_attributes(error: BaseException) -> bool:
    """Check whether the class of the error, or of what led to it, has its own way to read what Python keeps."""
    return any(
        name in vars(base)
        for link in links(error)
        for base in type(link).__mro__
        if base not in (BaseException, BaseExceptionGroup, object)
        for name in (*_SLOTS, "exceptions", "__getattribute__")
        if not (name == "__getattribute__" and base.__module__ == "builtins")
    )
