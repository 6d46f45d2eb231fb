"""Describe pieces of the page as trees, which Python renders as markup and the page's script as elements."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup, escape

from evalwire.reports.html.markup import visible

Node = str | list["Node"]
"""A text; or an element: its name, its class (for `a`: its address), and its children."""


def cleaned(node: Any) -> Any:
    """Return a tree, or other JSON values, whose texts have visible control characters."""
    if isinstance(node, str):
        return str(visible(node))
    return [cleaned(child) for child in node] if isinstance(node, list | tuple) else node


def render(node: Node) -> Markup:
    """Return a cleaned tree as markup."""
    return Markup(_render(node))  # noqa: S704 - names of elements are evalwire's own, and all else is escaped


def _render(node: Node) -> str:
    if isinstance(node, str):
        return str(escape(node))
    name, kind, *children = node
    content = "".join(map(_render, children))
    if name == "a":
        return f'<a href="{escape(kind)}" rel="noopener noreferrer">{content}</a>'
    named = f' class="{escape(kind)}"' if kind else ""
    start = "\n" if name == "pre" else ""  # HTML parsers ignore a line end right after <pre>
    return f"<{name}{named}>{start}{content}</{name}>"
