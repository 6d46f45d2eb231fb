"""Show Markdown as GitHub shows a comment: the same elements, and fonts, colors and widths like GitHub's."""

from __future__ import annotations

from markdown_it import MarkdownIt

WIDTH = 860  # pixels of a comment on a wide screen

_STYLE = """
body { margin: 0; padding: 16px; box-sizing: border-box; width: 860px; background: #fff; color: #1f2328;
  font: 14px/1.5 -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif, "Noto Color Emoji";
  overflow-wrap: break-word; }
h2 { font-size: 1.5em; line-height: 1.25; margin: 24px 0 16px; padding-bottom: .3em; border-bottom: 1px solid #d1d9e0b3; }
h3 { font-size: 1.25em; line-height: 1.25; margin: 24px 0 16px; }
h2:first-child { margin-top: 0; }
p, ul, table, details { margin: 0 0 16px; }
ul { padding-left: 2em; }
ul ul { margin-bottom: 0; }
li + li { margin-top: .25em; }
a { color: #0969da; text-decoration: underline; }
code { font: 85%/1 ui-monospace, SFMono-Regular, "DejaVu Sans Mono", Menlo, monospace; padding: .2em .4em;
  background: #818b981f; border-radius: 6px; white-space: break-spaces; }
table { display: block; width: max-content; max-width: 100%; overflow: auto; border-spacing: 0; border-collapse: collapse; }
th, td { padding: 6px 13px; border: 1px solid #d1d9e0; }
th { font-weight: 600; }
tr:nth-child(2n) { background: #f6f8fa; }
summary { cursor: pointer; }
"""

_SIGNS = (
    ("✅", "#1a7f37", "✔"),
    ("❌", "#d1242f", "✘"),
    ("🔴", "#d1242f", "●"),
    ("🟢", "#1a7f37", "●"),
    ("⚪", "#818b98", "○"),
)


def page(markdown: str, *, is_open: bool = False) -> str:
    """Return an HTML page with the comment; `is_open` unfolds its details."""
    body = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown)
    for sign, color, shown in _SIGNS:  # GitHub has pictures for these, and this machine may have no font
        body = body.replace(sign, f'<span style="color: {color}">{shown}</span>')
    if is_open:
        body = body.replace("<details>", "<details open>")
    return f'<!doctype html><meta charset="utf-8"><title>comment</title><style>{_STYLE}</style>{body}'
